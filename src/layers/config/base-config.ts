import type { ExpertGroups } from '../../common-op-builders/index.js';
import type { FloatDType } from '../../dtype.js';
import type { RopeConfig } from '../../step-inputs/index.js';
import type { AttentionConfig } from '../attention-config.js';
import type { MLPConfig } from '../mlp-config.js';
import type { UnreadKey } from './config-reader.js';
import type { QueryScale } from './query-scale.js';

/** How far what is built of a family goes. */
export interface LongestContext {
  readonly tokens: number;
  readonly because: string;
}

/** What runners and tools need to know of every model. */
export interface BaseConfig {
  readonly modelType: string;
  /** The dtype that the checkpoint names, if it does. */
  readonly dtype: FloatDType | undefined;
  readonly hiddenSize: number;
  /** What an encoder gives of each token, where that is not hiddenSize. */
  readonly encodedSize?: number;
  readonly numHiddenLayers: number;
  readonly vocabSize: number;
  /** Tokens that prompts may have, where the head gives logits of fewer. */
  readonly embeddingRows?: number;
  readonly maxPositionEmbeddings: number;
  /** Positions that the model has learned embeddings of: a run's context may be shorter, not longer. */
  readonly learnedPositions?: number;
  /** Where a run's context may not be longer for another reason, which `because` names. */
  readonly longestContext?: LongestContext | undefined;
  /** Whether the head multiplies by the embedding's weight. */
  readonly tieWordEmbeddings: boolean;
  readonly bosTokenId: number | undefined;
  readonly eosTokenIds: readonly number[];
  readonly padTokenId: number | undefined;
  /** What config.json says and nobody reads. */
  readonly unreadKeys: readonly UnreadKey[];

  // What tools show, and profiles count by, of models that have it.
  readonly numAttentionHeads?: number;
  readonly numKeyValueHeads?: number;
  readonly headDim?: number;
  /** Of values, where their heads have another size. */
  readonly valueHeadDim?: number | undefined;
  /** Numbers of the latent vector that all heads' keys and values are made of; absent where there is none. */
  readonly kvLoraRank?: number;
  /** Of sparse attention: how many keys a query attends to. */
  readonly indexTopK?: number;
  /** For each layer, how many keys a query sees with its own; undefined: all before it. */
  readonly slidingWindows?: readonly (number | undefined)[];
  /** For each layer, the size of the chunks of positions within which a query sees keys; undefined or absent: none. */
  readonly attentionChunks?: readonly (number | undefined)[];
  readonly rope?: RopeConfig | undefined;
  /** The rotary embedding of layers with a window, where it is another one than `rope`. */
  readonly slidingRope?: RopeConfig | undefined;
  /** Of ALiBi, one for each head; absent without it. */
  readonly alibiSlopes?: readonly number[] | undefined;
  /** How queries grow with their positions; not at all when absent. */
  readonly queryScale?: QueryScale | undefined;
  /** Experts of a layer, and how many of them each token is given to; absent without experts. */
  readonly numExperts?: number;
  readonly numExpertsPerToken?: number;
  /** Groups of experts that routers choose first; absent where experts stand in none. */
  readonly expertGroups?: ExpertGroups | undefined;
  /** Layers of the checkpoint behind the last that is run: they guess further tokens. */
  readonly predictionLayers?: number;
  /** Types of tokens that have an embedding of their own. */
  readonly typeVocabSize?: number;
  /** Labels of a classifier. */
  readonly labels?: number | undefined;
  /** False where all tokens of a text see each other; true when absent. */
  readonly isCausal?: boolean;
}

/** A decoder of Llama's kind: rotary grouped-query attention, an MLP, RMSNorm. */
export interface DecoderConfig extends BaseConfig, AttentionConfig, MLPConfig {
  readonly hiddenSize: number;
  readonly numAttentionHeads: number;
  readonly numKeyValueHeads: number;
  /** Never derived elsewhere: it need not be hiddenSize / numAttentionHeads. */
  readonly headDim: number;
  readonly slidingWindows: readonly (number | undefined)[];
  readonly rope: RopeConfig;
  readonly rmsNormEps: number;
}
