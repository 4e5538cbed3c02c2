import type { AtbGraph } from '../../../graph/atb-graph.js';
import type { GraphKind } from '../../../graph/graph-kind.js';
import { RotaryAttention } from '../../../layers/attention/attention-orders.js';
import { encoderAttention } from '../../../layers/attention-config.js';
import { type LayerStep, PreNormLayer } from '../../../layers/decoder/decoder-layers.js';
import { buildLinear } from '../../../layers/linear/linear-steps.js';
import { BaseMLP } from '../../../layers/mlp/mlp.js';
import { Module } from '../../../layers/module.js';
import { BaseRMSNorm } from '../../../layers/norms/norms.js';
import {
  axialRotary,
  lengths,
  mergedPatches,
  PATCHES,
  patches,
  type StepInput,
  wordsAmongRows,
} from '../../../step-inputs/index.js';
import type { Linear } from '../../../weights/linear.js';
import type { TensorRef, Weights } from '../../../weights/weights.js';
import type { Encoder } from '../flash-with-encoder-atb.js';
import { patchLinear } from './clip-tower.js';
import type { PixtralVision } from './pixtral-config.js';
import { ProjectedTower } from './projected-tower.js';
import { buildWordsAmongGraph, type WordTable } from './words-among.js';

/** Of its norms. */
const EPSILON = 1e-5;

/** What Pixtral's encoder, and its processor, are told by the whole. */
export interface PixtralModel {
  readonly vision: PixtralVision;
  /** Patches along a side of a block, which becomes one token. */
  readonly mergeSize: number;
  readonly imageTokenId: number | undefined;
}

/** Pixtral's encoder of pictures of any size (arXiv:2410.07073, section 2.2): [patches, hidden]. */
export class PixtralEncoder extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly patchEmbedding: Linear;
  readonly patchNorm: BaseRMSNorm;
  readonly layers: readonly PreNormLayer[];

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor({ vision, mergeSize }: Omit<PixtralModel, 'imageTokenId'>, tower: Weights) {
    super();
    const { hiddenSize, numHeads, numLayers, patchSize, theta } = vision;
    this.stepInputs = [
      patches(3 * patchSize * patchSize),
      axialRotary({ theta, headDim: hiddenSize / numHeads, mergeSize, xShift: 0.5 }),
      lengths,
    ];
    this.patchEmbedding = patchLinear(tower, 'patch_conv', hiddenSize, patchSize);
    const norm = (at: Weights) => new BaseRMSNorm(at, hiddenSize, EPSILON);
    this.patchNorm = norm(tower.at('ln_pre'));
    const attention = encoderAttention({ hiddenSize, numHeads, qkvBias: false, denseBias: false });
    this.layers = Array.from({ length: numLayers }, (_, layerId) => {
      const at = tower.at('transformer.layers').at(layerId);
      return new PreNormLayer(layerId, at, {
        inputLayernorm: norm(at.at('attention_norm')),
        selfAttn: new RotaryAttention(layerId, attention, at.at('attention')),
        postAttentionLayernorm: norm(at.at('ffn_norm')),
        mlp: new BaseMLP({ ...vision, mlpBias: false }, at.at('feed_forward')),
      });
    });
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    const embedded = buildLinear(graph, this.patchEmbedding, PATCHES, 'patch_embedding_out');
    let hidden = this.patchNorm.buildGraph(graph, embedded);
    for (const layer of this.layers) hidden = layer.buildGraph(graph, kind, hidden);
    return hidden;
  }
}

/** The same, blocks of whose patches a projector makes tokens of, with embeddings of the words between its rows. */
export class PixtralTower extends ProjectedTower {
  private readonly words: WordTable;

  /** `projector` may read `merged_patches`; `words`: of the model of text. Throws what `PixtralEncoder` throws. */
  constructor(
    config: PixtralModel,
    tower: Weights,
    projector: LayerStep,
    { embedTokens, embeddingScale }: WordTable,
  ) {
    const { mergeSize, imageTokenId = -1 } = config;
    const more = [mergedPatches(mergeSize * mergeSize), wordsAmongRows(imageTokenId)];
    super(new PixtralEncoder(config, tower), projector, more);
    this.words = { embedTokens, embeddingScale };
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.words.embedTokens];
  }

  override buildGraph(graph: AtbGraph, kind: GraphKind): string {
    return buildWordsAmongGraph(graph, super.buildGraph(graph, kind), this.words);
  }
}
