import type { ActivationKind } from '../../common-op-builders/index.js';
import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { attendWithQueries } from '../../layers/attention/query-attention.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import type { LayerStep } from '../../layers/decoder/decoder-layers.js';
import { gatherRows } from '../../layers/formulas/gather-rows.js';
import { addResidual } from '../../layers/formulas/residual.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { type BorrowedTensor, Module } from '../../layers/module.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { PERCEIVING } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import type { Idefics2Config } from './config.js';

/** What layers of queries call the patches that they all read, as wide as words. */
const CONTEXT = 'context_rows';

/** Patches come to the size of words: [patches, hidden] -> [patches, out]. */
class Projection extends BaseLayer {
  readonly mlp: BaseMLP;

  constructor(
    { vision, hiddenSize: outSize, intermediateSize, hiddenAct }: Idefics2Config,
    weights: Weights,
  ) {
    super(vision.numLayers, weights, 'projection');
    const mlp = { hiddenSize: vision.hiddenSize, intermediateSize, hiddenAct, mlpBias: false };
    this.mlp = new BaseMLP(mlp, weights, { outSize });
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    return this.mlp.buildGraph(graph, kind, hidden);
  }
}

/** What a layer of queries is told. */
interface PerceiverSizes {
  readonly width: number;
  readonly epsilon: number;
  readonly hiddenAct: ActivationKind;
  readonly numHeads: number;
  readonly headDim: number;
  readonly numKeyValueHeads: number;
}

/** Queries attend to patches and to each other, both normed, then an MLP: [pictures * queries, width] -> the same. */
class PerceiverLayer extends BaseLayer {
  readonly queryNorm: BaseRMSNorm;
  readonly contextNorm: BaseRMSNorm;
  readonly q: Linear;
  readonly k: Linear;
  readonly v: Linear;
  readonly dense: Linear;
  readonly mlpNorm: BaseRMSNorm;
  readonly mlp: BaseMLP;

  /** `context`: what the graph around calls the patches. */
  constructor(
    layerId: number,
    weights: Weights,
    private readonly sizes: PerceiverSizes,
    private readonly context: string,
  ) {
    super(layerId, weights, 'perceiver');
    const { width, epsilon, hiddenAct, numHeads, headDim, numKeyValueHeads } = sizes;
    const norm = (name: string) => new BaseRMSNorm(weights.at(name), width, epsilon);
    const attention = weights.at('self_attn');
    const linear = (name: string, inFeatures: number, outFeatures: number): Linear =>
      Linear.load(attention, { parts: [{ name, outFeatures }], inFeatures });
    this.queryNorm = norm('input_latents_norm');
    this.contextNorm = norm('input_context_norm');
    this.q = linear('q_proj', width, numHeads * headDim);
    this.k = linear('k_proj', width, numKeyValueHeads * headDim);
    this.v = linear('v_proj', width, numKeyValueHeads * headDim);
    this.dense = linear('o_proj', numHeads * headDim, width);
    this.mlpNorm = norm('post_attention_layernorm');
    const mlp = { hiddenSize: width, intermediateSize: 4 * width, hiddenAct, mlpBias: false };
    this.mlp = new BaseMLP(mlp, weights.at('mlp'));
  }

  override borrowed(): BorrowedTensor[] {
    return [...super.borrowed(), [CONTEXT, this.context]];
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const { numHeads, numKeyValueHeads, headDim } = this.sizes;
    const queries = this.queryNorm.buildGraph(graph, hidden);
    const context = this.contextNorm.buildGraph(graph, CONTEXT);
    const concat = new BaseOperation('Concat', { concatDim: 0 }, 'patches_before_queries');
    graph.addOperation(concat, [context, queries], ['patches_before_queries']);
    const seen = gatherRows(graph, 'patches_before_queries', PERCEIVING.seen, 'seen');
    const heads = { headNum: numHeads, kvHeadNum: numKeyValueHeads, headDim };
    const found = attendWithQueries(graph, kind, 'attention', heads, {
      q: buildLinear(graph, this.q, queries, 'query_out'),
      k: buildLinear(graph, this.k, seen, 'key_out'),
      v: buildLinear(graph, this.v, seen, 'value_out'),
      seqLen: PERCEIVING.lens,
      attentionOut: 'attn_out',
    });
    const dense = buildLinear(graph, this.dense, found, 'dense_out');
    const attended = addResidual(graph, hidden, dense, 'attn_residual');
    const mixed = this.mlp.buildGraph(graph, kind, this.mlpNorm.buildGraph(graph, attended));
    return addResidual(graph, attended, mixed, 'layer_out');
  }
}

/**
 * Patches come to the size of words by a gated MLP; so many learned queries look at those of each picture, and become
 * its tokens (arXiv:2405.02246, section 3.2): [patches, hidden] -> [pictures * queries, out].
 */
export class Idefics2Connector extends Module implements LayerStep {
  readonly projection: Projection;
  readonly layers: readonly PerceiverLayer[];
  readonly norm: BaseRMSNorm;
  private readonly queries: TensorRef;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(config: Idefics2Config, weights: Weights) {
    super();
    const { perceiver, hiddenSize: width } = config;
    // Where files leave the width out, the class takes both from the text.
    const epsilon = perceiver.width === width ? perceiver.epsilon : config.rmsNormEps;
    const sizes = { ...perceiver, width, epsilon };
    this.projection = new Projection(config, weights.at('modality_projection'));
    const first = this.projection.layerId + 1;
    const resampler = weights.at('perceiver_resampler');
    this.queries = resampler.get('latents', [perceiver.queries, width]);
    this.layers = Array.from(
      { length: perceiver.depth },
      (_, index) =>
        new PerceiverLayer(first + index, resampler.at('layers').at(index), sizes, `hidden_states_${first}`),
    );
    this.norm = new BaseRMSNorm(resampler.at('norm'), width, epsilon);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.queries];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, rows: string): string {
    this.projection.buildGraph(graph, kind, rows);
    let hidden = gatherRows(graph, this.queries.name, PERCEIVING.queries, 'query_latents');
    for (const layer of this.layers) hidden = layer.buildGraph(graph, kind, hidden);
    return this.norm.buildGraph(graph, hidden);
  }
}
