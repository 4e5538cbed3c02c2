import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { PositionFreeAttention } from '../../layers/attention/attention-orders.js';
import { encoderAttention } from '../../layers/attention-config.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { gatherRows } from '../../layers/formulas/gather-rows.js';
import { addResidual } from '../../layers/formulas/residual.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm, BaseRMSNorm } from '../../layers/norms/norms.js';
import {
  BUCKETED_POSITIONS,
  gridPositions,
  lengths,
  MERGED_PATCHES,
  mergedPatches,
  PACKED_ROWS,
  PATCHES,
  packedRows,
  patches,
  type StepInput,
} from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import { named, rowsOf, transposed } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { patchLinear } from '../base/vision/index.js';
import type { Ovis2Config } from './config.js';

/** Of the norm before softmax: the class leaves it to torch. */
const EPSILON = 1e-5;

/**
 * Tokens of pictures as mixtures of visual words (arXiv:2405.20797, section 3), and among them, as `packed_rows_0` says it,
 * those that stand around tiles: [patches, hidden] -> [tokens, out].
 */
class VisualWords extends BaseLayer {
  readonly head: Linear;
  readonly norm: BaseLayerNorm;
  /** [out, words] of those that tokens are mixtures of, and [indicators, out] of the others. */
  private readonly words: TensorRef;
  private readonly indicators: TensorRef;

  constructor({ vision, hiddenSize: outSize }: Ovis2Config, weights: Weights) {
    const tower = weights.at('vision_tower');
    super(vision.numLayers, tower, 'words');
    const { vocabSize, indicators, mergeSize, hiddenSize } = vision;
    const outFeatures = vocabSize - indicators;
    const inFeatures = mergeSize ** 2 * hiddenSize;
    this.head = Linear.load(tower, { parts: [{ name: 'head_linear', outFeatures }], inFeatures });
    this.norm = new BaseLayerNorm(tower.at('head_norm'), outFeatures, EPSILON, { hasBias: true });
    const table = weights.get('visual_embeddings_table.weight', [vocabSize, outSize]);
    this.words = named(transposed(rowsOf(table, 0, outFeatures)), `${table.name}_words`);
    this.indicators = named(rowsOf(table, outFeatures, indicators), `${table.name}_indicators`);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.words, this.indicators];
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    gatherRows(graph, hidden, MERGED_PATCHES, 'merged_hidden');
    graph.addReshape('merged_hidden', 'merged_rows', [dim(0), dim(1, 2)]);
    const normed = this.norm.buildGraph(
      graph,
      buildLinear(graph, this.head, 'merged_rows', 'word_logits_out'),
    );
    graph.addOperation(new BaseOperation('Softmax', { axes: [1] }, 'word_shares'), [normed], ['word_shares']);
    const mixed = new BaseOperation('Linear', { transposeB: true, hasBias: false }, 'mixed_words');
    graph.addOperation(mixed, ['word_shares', this.words.name], ['mixed_words']);
    const concat = new BaseOperation('Concat', { concatDim: 0 }, 'words_and_indicators');
    graph.addOperation(concat, ['mixed_words', this.indicators.name], ['words_and_indicators']);
    return gatherRows(graph, 'words_and_indicators', PACKED_ROWS[0]?.rows ?? '', 'visual_rows');
  }
}

/** Patches, normed, with learned positions added. */
class PatchFront extends BaseLayer {
  readonly proj: Linear;
  readonly norm: BaseRMSNorm;
  private readonly positions: TensorRef;

  constructor({ hiddenSize, patchSize, imageSize, epsilon }: Ovis2Config['vision'], weights: Weights) {
    super(-1, weights, 'front');
    this.proj = patchLinear(weights, 'patch_embedding', hiddenSize, patchSize, true);
    this.norm = new BaseRMSNorm(weights.at('rms_norm'), hiddenSize, epsilon);
    const count = Math.floor(imageSize / patchSize) ** 2;
    this.positions = weights.get('position_embedding.weight', [count, hiddenSize]);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.positions];
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, input: string): string {
    const embedded = buildLinear(graph, this.proj, input, 'patch_embedding_out');
    const rows = gatherRows(graph, this.positions.name, BUCKETED_POSITIONS, 'position_rows');
    return addResidual(graph, this.norm.buildGraph(graph, embedded), rows, 'positioned_patches');
  }
}

/** AIMv2 over square tiles (arXiv:2411.14402, section 2), and its visual words. */
export class Ovis2Tower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly front: PatchFront;
  readonly layers: readonly PreNormLayer[];
  readonly norm: BaseRMSNorm;
  readonly words: VisualWords;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(config: Ovis2Config, weights: Weights) {
    super();
    const { vision } = config;
    const { hiddenSize, numHeads, numLayers, imageSize, patchSize, mergeSize, qkvBias, epsilon } = vision;
    const side = Math.floor(imageSize / patchSize);
    const area = mergeSize ** 2;
    this.stepInputs = [
      ...[patches(3 * patchSize * patchSize), gridPositions(side, mergeSize), lengths],
      ...[mergedPatches(area), packedRows(false, area)],
    ];
    const tower = weights.at('vision_tower.transformer');
    const norm = (at: Weights) => new BaseRMSNorm(at, hiddenSize, epsilon);
    this.front = new PatchFront(vision, tower.at('embeddings'));
    const attention = encoderAttention({ hiddenSize, numHeads, qkvBias, denseBias: qkvBias });
    this.layers = Array.from({ length: numLayers }, (_, layerId) => {
      const at = tower.at('encoder.layers').at(layerId);
      return new PreNormLayer(layerId, at, {
        inputLayernorm: norm(at.at('rms_norm1')),
        selfAttn: new PositionFreeAttention(layerId, attention, at.at('attention'), { dense: 'out_proj' }),
        postAttentionLayernorm: norm(at.at('rms_norm2')),
        mlp: new BaseMLP(vision, at.at('ffn')),
      });
    });
    this.norm = norm(tower.at('rms_norm'));
    this.words = new VisualWords(config, weights);
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    let hidden = this.front.buildGraph(graph, kind, PATCHES);
    for (const layer of this.layers) hidden = layer.buildGraph(graph, kind, hidden);
    return this.words.buildGraph(graph, kind, this.norm.buildGraph(graph, hidden));
  }
}
