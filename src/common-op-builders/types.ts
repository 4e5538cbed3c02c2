import type { FloatDType } from '../dtype.js';
import type { AtbGraph } from '../graph/atb-graph.js';
import type { GraphKind } from '../graph/graph-kind.js';
import type { SwigluClamp } from '../graph/ops/activation.js';
import type { ExpertLinear } from '../weights/expert-linear.js';
import type { Linear } from '../weights/linear.js';
import type { ExpertGroups } from './expert-groups.js';
import type { RecurrentRule } from './recurrent-rule.js';
import type {
  AttentionCache,
  IndexerTensors,
  LatentTensors,
  StateTensors,
  TokenSequences,
} from './tensor-groups.js';
import type { TensorParallelInfo } from './tensor-parallel.js';

export type * from './expert-groups.js';
export type * from './recurrent-rule.js';
export type * from './tensor-groups.js';
export { SINGLE_RANK, type TensorParallelInfo } from './tensor-parallel.js';

/** What every param has. */
interface BaseParam {
  /** Name of the first operation; others append to it. */
  readonly opName: string;
  /** Whose builders may answer; `DEFAULT` when absent. Users' own builders choose another. */
  readonly owner?: string;
}

export type ActivationKind = 'silu' | 'gelu' | 'gelu_tanh' | 'quick_gelu' | 'relu' | 'relu2';

/** Ways to turn queries and keys by position. Add one of your own by declaration merging, with a builder for it. */
export interface RopeTypes {
  /** The operation Rope, with rows of the tables for each token. */
  rope_2d: true;
}

/** What positions become before the layers. Add one of your own by declaration merging, with a builder for it. */
export interface PositionalEmbeddingTypes {
  /** Rows of the rotary tables; or some frequencies by positions in time, some in height, some in width. */
  rope: true;
  mrope: true;
  mrope_sum: true;
  /** Of a row of the tables as it lies, each stretch by positions of an axis of its own. */
  mrope_row: true;
}

/**
 * What each category is told. A category of your own is an entry here and one in `BuilderTensors`, by declaration merging:
 *
 *     declare module 'atb-models' {
 *       interface CategoryParams { ALIBI: { readonly headNum: number } }
 *       interface BuilderTensors { ALIBI: { positionIds: string; slopesOut: string } }
 *     }
 */
export interface CategoryParams {
  MOE_ROUTER: {
    readonly topK: number;
    /** What scores the experts: softmax over all of them, or the sigmoid of each; `none`: logits are scores. */
    readonly scoring: 'softmax' | 'sigmoid' | 'none';
    /** The highest are chosen, or `chosenOut` is there by then. Weights are scores as they were; of logits, of the chosen. */
    readonly choosesBy: 'scores' | 'corrected' | 'logits' | 'nothing';
    /** Experts stand in groups of neighbours, of which only the best are chosen from. */
    readonly groups?: ExpertGroups;
    /** Whether the weights of a token are divided by their sum. */
    readonly normalizes: boolean;
    /** What keeps that sum above 0: a number that is added, or one that it is at least. */
    readonly sumGuard?: 'added' | 'least';
    /** What weights are multiplied by; 1 leaves them as they are. */
    readonly scale: number;
    /** Of the model; scores are f32. */
    readonly dtype: FloatDType;
  };
  MOE: {
    readonly topK: number;
    /** Gate over up of each expert, or up alone. */
    readonly gateUp: ExpertLinear;
    readonly isGated: boolean;
    readonly down: ExpertLinear;
    readonly activation: ActivationKind;
    /** Of silu; gates and what they gate are not clamped when absent. */
    readonly clamp?: SwigluClamp | undefined;
  };
  LINEAR: { readonly linear: Linear };
  LINEAR_PARALLEL: {
    readonly linear: Linear;
    readonly parallelType: 'ALL_REDUCE' | 'ALL_GATHER';
    readonly parallelInfo: TensorParallelInfo;
    /** Matmul and collective in one operation, where the backend has it. */
    readonly enableLcoc: boolean;
  };
  QKV: {
    /** One packed linear, or q, k and v. */
    readonly linears: readonly [Linear] | readonly [Linear, Linear, Linear];
    readonly headNum: number;
    readonly kvHeadNum: number;
    readonly headDim: number;
    /** Of values, where it is another. */
    readonly valueHeadDim?: number;
  };
  GATE_UP: {
    /** One packed linear, or gate and up. */
    readonly linears: readonly [Linear] | readonly [Linear, Linear];
  };
  NORM: {
    readonly normType: 'RmsNorm' | 'LayerNorm';
    readonly epsilon: number;
    readonly weight: string;
    /** LayerNorm's beta. */
    readonly bias?: string;
    /** Of LayerNorm: the input's last axis, over which it norms; 1 when absent, of [tokens, hidden]. */
    readonly axis?: number;
    /** Of RmsNorm: what is added to the weight first; 0 when absent. */
    readonly weightOffset?: 0 | 1;
    /** Adds `residualInput` first and gives the sum as `addOut`. */
    readonly enableAddNorm: boolean;
  };
  ROPE: {
    readonly rotaryCoeff: number;
    /** rope_2d when absent. */
    readonly ropeType?: keyof RopeTypes;
  };
  ATTENTION: {
    readonly attnType: 'PAGED_ATTENTION';
    /** Of the graph that it stands in. */
    readonly kind: GraphKind;
    readonly headNum: number;
    readonly kvHeadNum: number;
    readonly headDim: number;
    /** Of values, and so of the result, where it is another. */
    readonly valueHeadDim?: number;
    /** What scores are multiplied by. */
    readonly scale: number;
    /** Whether a token sees only itself and those before it. Otherwise all tokens of a sequence see each other. */
    readonly isCausal: boolean;
    /** Keys that a query sees, its own included; all before it when absent. */
    readonly windowSize?: number;
    /** Keys before the last multiple of so many positions are not seen; all before a query are when absent. */
    readonly chunkSize?: number;
    /** Of ALiBi, one for each head; none when absent. */
    readonly slopes?: readonly number[];
    /** Scaled scores s become `softcap * tanh(s / softcap)`; they stay when absent. */
    readonly softcap?: number;
    /** Each head has a number that takes part in its softmax as the score of a key without a value. */
    readonly hasSinks?: boolean;
    /** Where all tokens see each other: the mask has a number for each head, query and key, which is added to its score. */
    readonly hasScoreBias?: boolean;
  };
  /** Latent attention (arXiv:2405.04434, section 2.1): causal, over a cache of one latent vector for each token. */
  MLA: {
    readonly kind: GraphKind;
    readonly headNum: number;
    readonly kvLoraRank: number;
    /** Of a head: sizes that do not turn, sizes that turn, and sizes of a value. */
    readonly qkNopeHeadDim: number;
    readonly qkRopeHeadDim: number;
    readonly vHeadDim: number;
    readonly scale: number;
    /** Whether queries attend to all keys up to their own, or to those that an indexer chose of them. */
    readonly keys: 'all' | 'chosen';
    /** Each head has a number that takes part in its softmax over chosen keys as the score of one without a value. */
    readonly hasSinks?: boolean;
  };
  /** Which keys each query of sparse attention attends to: the `topK` that answer it best. */
  INDEXER: { readonly headNum: number; readonly topK: number };
  /** A convolution of each channel over a sequence's last tokens, and the state of those before. */
  CAUSAL_CONV: {
    readonly hasBias: boolean;
    /** Whether silu follows. */
    readonly activates: boolean;
  };
  /** Heads whose matrix of state goes from token to token (docs/architecture.md, "A state in place of a past"). */
  RECURRENT: RecurrentRule;
  ACTIVATION: {
    readonly kind: ActivationKind;
    /** act(gate) * up, not act(x). */
    readonly isGated: boolean;
    /** gate and up lie in one tensor, side by side. */
    readonly isPack: boolean;
    /** Of gated silu; not clamped when absent. */
    readonly clamp?: SwigluClamp | undefined;
  };
  WORD_EMBEDDING: { readonly parallelInfo: TensorParallelInfo };
  POSITIONAL_EMBEDDING: {
    /** rope when absent. `sections` counts frequencies: those of time, height and width, or half of each stretch of a row. */
    readonly embeddingType?: keyof PositionalEmbeddingTypes;
    readonly sections?: readonly number[];
  };
  LM_HEAD: {
    readonly linear: Linear;
    /** Only the rows at `indices` reach the head. */
    readonly gatherAhead: boolean;
    readonly parallelInfo: TensorParallelInfo;
  };
}

export type Category = keyof CategoryParams & keyof BuilderTensors;

/** What a builder is asked for. */
export type ParamOf<C extends Category> = BaseParam & { readonly category: C } & CategoryParams[C];

/** Discriminated by `category`. */
export type BuilderParam = { [C in Category]: ParamOf<C> }[Category];

/** The tensors that each category reads and writes, by graph name. */
export interface BuilderTensors {
  /** `logits` f32 [tokens, experts] -> `chosenOut` i32 and `probsOut` f32, [tokens, topK] both. */
  MOE_ROUTER: {
    logits: string;
    /** What is added to scores that are corrected, f32 [experts]. */
    correction?: string;
    /** Read with groups: 0, 1, 2, … */
    groupIndices?: string;
    /** Of `sumGuard`, f32 [1] each: what is added, or the bound with its sign changed, and the bound. */
    sumAdded?: string;
    sumBound?: string;
    chosenOut: string;
    probsOut: string;
  };
  MOE: { input: string; chosen: string; probs: string; expertsOut: string };
  LINEAR: { input: string; linearOut: string };
  LINEAR_PARALLEL: { input: string; linearOut: string };
  QKV: { input: string; qOut: string; kOut: string; vOut: string };
  /** gate over up of one packed linear, or both apart. */
  GATE_UP: { input: string; gateUpOut: string } | { input: string; gateOut: string; upOut: string };
  /** Alone, or with `enableAddNorm`: then `addOut` is the sum that is normalised. */
  NORM:
    | { input: string; normOut: string }
    | { input: string; normOut: string; residualInput: string; addOut: string };
  ROPE: {
    q: string;
    k: string;
    cosEmbedding: string;
    sinEmbedding: string;
    seqLen: string;
    qOut: string;
    kOut: string;
  };
  /** `input` [tokens, at least channels] -> `convOut` [tokens, channels]. */
  CAUSAL_CONV: { input: string; weight: string; bias?: string; state: StateTensors; convOut: string };
  /** `rows` and `steps` as the rule's operation reads them -> `recurrentOut` [tokens, values of all heads]. */
  RECURRENT: {
    rows: string;
    steps: string;
    /** f32, of each head or channel, as the rule's operation reads them: decays, biases of steps or gates, what x is added by. */
    perHead: readonly string[];
    state: StateTensors;
    recurrentOut: string;
  };
  ATTENTION: {
    q: string;
    k: string;
    v: string;
    /** Where keys and values are kept; absent where nothing is. */
    cache?: AttentionCache;
    seqLen: string;
    /** Read by causal attention in prefill, in split-fuse, with a window, and with `hasScoreBias`. */
    attentionMask: string;
    /** Read in split-fuse. */
    qLen: string;
    /** Read in split-fuse with slopes. */
    tokenSequences?: TokenSequences;
    /** f32 [headNum], with `hasSinks`. */
    sinks?: string;
    /** [tokens, 1], by which queries are multiplied; they stay when absent. */
    queryScales?: string;
    /** i32 [tokens]: keys that each query sees, where some see later ones: masks are [batch, context, context] or [tokens, context]. */
    seen?: string;
    attentionOut: string;
  };
  MLA: LatentTensors;
  INDEXER: IndexerTensors;
  /** Of one tensor, or of a gate and up that are not packed. */
  ACTIVATION: { input: string; actOut: string } | { gate: string; up: string; actOut: string };
  WORD_EMBEDDING: { embeddingWeights: string; inputIds: string; wordEmbeddingOut: string };
  POSITIONAL_EMBEDDING: {
    positionIds: string;
    otherIds?: readonly string[];
    axisTables?: readonly { readonly cos: string; readonly sin: string }[];
    cosTable: string;
    sinTable: string;
    cosEmbedding: string;
    sinEmbedding: string;
  };
  /** Of all rows, or of those at `indices`, with `gatherAhead`. */
  LM_HEAD: { input: string; linearOut: string } | { input: string; indices: string; linearOut: string };
}

/** A stateless rule: does this param fit, and which operations does it become? */
export interface OpBuilder<C extends Category = Category> {
  readonly category: C;
  /** Answers params of this owner only; `DEFAULT` when absent. */
  readonly owner?: string;
  /** True, or why not: "wants one packed linear". */
  isMatch(param: ParamOf<C>): true | string;
  build(graph: AtbGraph, param: ParamOf<C>, tensors: BuilderTensors[C]): void;
}
