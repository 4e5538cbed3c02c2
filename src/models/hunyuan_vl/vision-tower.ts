import { CommonOpBuilderManager } from '../../common-op-builders/index.js';
import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { PositionFreeAttention } from '../../layers/attention/attention-orders.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import type { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { gatherRows, sumOfRows } from '../../layers/formulas/gather-rows.js';
import { addResidual } from '../../layers/formulas/residual.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { Module } from '../../layers/module.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { LINE_END } from '../../media/index.js';
import {
  CORNERS,
  interpolatedPositions,
  lengths,
  mergedPatches,
  PACKED_ROWS,
  PATCHES,
  packedRows,
  patches,
  type StepInput,
} from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import { rowsOf } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { buildBlockRows, clipLayers, patchLinear } from '../base/vision/index.js';
import type { HunyuanVlConfig } from './config.js';

/** Rows that are learned, in the order in which they stand behind those of blocks; see `packedRows`. */
export const EDGES = { line: LINE_END, begin: LINE_END - 1, end: LINE_END - 2 } as const;

/**
 * Blocks of patches as tokens: norm, a convolution over each block, gelu, a Linear; the row that ends a line, which a
 * Linear brings to the size of words with the others; rows before and behind all, a norm of each token:
 * [patches, hidden] -> [tokens, out].
 */
class EdgedMerger extends BaseLayer {
  readonly before: BaseRMSNorm;
  readonly merge: Linear;
  readonly widen: Linear;
  readonly project: Linear;
  readonly after: BaseRMSNorm;
  private readonly line: TensorRef;
  private readonly begin: TensorRef;
  private readonly end: TensorRef;

  constructor(
    private readonly config: HunyuanVlConfig,
    weights: Weights,
  ) {
    const { vision, hiddenSize: outSize } = config;
    const { hiddenSize, mergeSize, layerNormEps, numLayers } = vision;
    super(numLayers, weights, 'merger');
    const [twice, fourTimes] = [2 * hiddenSize, 4 * hiddenSize];
    const convolution = (name: string, inSize: number, outFeatures: number, side: number): Linear =>
      Linear.load(weights, {
        parts: [{ name, outFeatures, kernel: [inSize, side, side] }],
        inFeatures: inSize * side ** 2,
        hasBias: true,
      });
    this.before = new BaseRMSNorm(weights.at('before_rms'), hiddenSize, layerNormEps);
    this.merge = convolution('proj.0', hiddenSize, twice, mergeSize);
    this.widen = convolution('proj.2', twice, fourTimes, 1);
    this.project = Linear.load(weights, {
      parts: [{ name: 'mlp', outFeatures: outSize }],
      inFeatures: fourTimes,
      hasBias: true,
    });
    this.after = new BaseRMSNorm(weights.at('after_rms'), outSize, layerNormEps);
    this.line = weights.get('image_newline', [fourTimes]);
    this.begin = weights.get('image_begin', [outSize]);
    this.end = weights.get('image_end', [outSize]);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.line, this.begin, this.end];
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    const blocks = buildBlockRows(graph, this.before.buildGraph(graph, hidden));
    const merged = buildLinear(graph, this.merge, blocks, 'merger_up_out');
    CommonOpBuilderManager.getBuilder({
      category: 'ACTIVATION',
      opName: 'merger_activation',
      kind: this.config.vision.hiddenAct,
      isGated: false,
      isPack: false,
    }).build(graph, { input: merged, actOut: 'merger_act_out' });
    const wide = buildLinear(graph, this.widen, 'merger_act_out', 'merger_wide_out');
    const lined = withRow(graph, wide, this.line, 'line_end');
    const tokens = buildLinear(graph, this.project, lined, 'merger_out');
    const all = withRow(graph, withRow(graph, tokens, this.begin, 'begin'), this.end, 'end');
    return this.after.buildGraph(graph, gatherRows(graph, all, PACKED_ROWS[0]?.rows ?? '', 'edged_tokens'));
  }
}

/** [rows, size] and a vector [size] -> [rows + 1, size], whose name comes back. */
function withRow(graph: AtbGraph, rows: string, vector: TensorRef, name: string): string {
  graph.addReshape(vector.name, `${name}_row`, [1, dim(0)]);
  const concat = new BaseOperation('Concat', { concatDim: 0 }, `with_${name}`);
  graph.addOperation(concat, [rows, `${name}_row`], [`with_${name}`]);
  return `with_${name}`;
}

const NAMES = {
  attentionNorm: 'input_layernorm',
  dense: 'o_proj',
  mlpNorm: 'post_attention_layernorm',
  up: 'dense_h_to_4h',
  down: 'dense_4h_to_h',
};

/** SigLIP's layers over pictures in their own shapes, learned positions drawn out bilinearly. */
export class HunyuanVlTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly patchEmbedding: Linear;
  readonly layers: readonly PreNormLayer[];
  readonly merger: EdgedMerger;
  private readonly positions: TensorRef;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(config: HunyuanVlConfig, weights: Weights) {
    super();
    const { hiddenSize, patchSize, imageSize, mergeSize } = config.vision;
    const [side, area] = [Math.floor(imageSize / patchSize), mergeSize ** 2];
    this.stepInputs = [
      ...[patches(3 * patchSize ** 2), interpolatedPositions(side, mergeSize, 'edges'), lengths],
      ...[mergedPatches(area), packedRows(false, area)],
    ];
    const embeddings = weights.at('embeddings');
    this.patchEmbedding = patchLinear(embeddings, 'patch_embedding', hiddenSize, patchSize, true);
    const table = embeddings.get('position_embedding.weight', [1 + side ** 2, hiddenSize]);
    // The first row was of a token that stood for a whole picture.
    this.positions = rowsOf(table, 1, side ** 2);
    this.layers = clipLayers(weights.at('layers'), config.vision, PositionFreeAttention, NAMES);
    this.merger = new EdgedMerger(config, weights.at('perceive'));
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.positions];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    const embedded = buildLinear(graph, this.patchEmbedding, PATCHES, 'patch_embedding_out');
    const places = sumOfRows(graph, this.positions.name, CORNERS, 'position_sum');
    let hidden = addResidual(graph, embedded, places, 'positioned_patches');
    for (const layer of this.layers) hidden = layer.buildGraph(graph, kind, hidden);
    return this.merger.buildGraph(graph, kind, hidden);
  }
}
