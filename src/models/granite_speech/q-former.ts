import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { attendWithQueries } from '../../layers/attention/query-attention.js';
import { encoderAttention } from '../../layers/attention-config.js';
import { BaseLayer } from '../../layers/base-layer.js';
import type { LayerStep } from '../../layers/decoder-layers.js';
import { gatherRows } from '../../layers/gather-rows.js';
import { buildLinear } from '../../layers/linear-steps.js';
import { UngatedMLP } from '../../layers/mlp.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm } from '../../layers/norms.js';
import { addResidual } from '../../layers/residual.js';
import { QUERIED_WINDOWS } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import { asTable, constantWeight } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { BERT_LAYER, bertAttention } from '../base/bert-parts.js';
import type { ProjectorConfig } from './config.js';

/** What layers read of the encoder: rows of all windows. */
const SEEN_ROWS = 'window_hidden';

/** The checkpoint's names in the attention of queries to each other. */
const QUERY_NAMES = {
  ...BERT_LAYER,
  ...{ q: 'attention.query', k: 'attention.key', v: 'attention.value', dense: 'output.dense' },
};

/** Queries attend to the rows of their window: [queries, hidden] -> the same shape. */
class WindowAttention extends Module implements LayerStep {
  readonly q: Linear;
  readonly k: Linear;
  readonly v: Linear;
  readonly dense: Linear;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(
    private readonly config: ProjectorConfig,
    weights: Weights,
  ) {
    super();
    const { hiddenSize: outFeatures, seenSize } = config;
    const linear = (name: string, inFeatures: number): Linear =>
      Linear.load(weights, { parts: [{ name, outFeatures }], inFeatures, hasBias: true });
    this.q = linear('attention.query', outFeatures);
    this.k = linear('attention.key', seenSize);
    this.v = linear('attention.value', seenSize);
    this.dense = linear('output.dense', outFeatures);
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { numHeads, hiddenSize } = this.config;
    const heads = { headNum: numHeads, headDim: hiddenSize / numHeads };
    const attended = attendWithQueries(graph, kind, 'cross_attention', heads, {
      q: buildLinear(graph, this.q, input, 'cross_q_out'),
      k: buildLinear(graph, this.k, SEEN_ROWS, 'cross_k_out'),
      v: buildLinear(graph, this.v, SEEN_ROWS, 'cross_v_out'),
      seqLen: QUERIED_WINDOWS.seen,
      attentionOut: 'cross_attn_out',
    });
    return buildLinear(graph, this.dense, attended, 'cross_dense_out');
  }
}

/** Queries see each other, in some layers rows of their window, and pass an MLP; each result is added and normed. */
class QFormerLayer extends BaseLayer {
  readonly selfAttn: LayerStep;
  readonly selfNorm: BaseLayerNorm;
  readonly crossAttn: WindowAttention | undefined;
  readonly crossNorm: BaseLayerNorm | undefined;
  readonly mlp: UngatedMLP;
  readonly mlpNorm: BaseLayerNorm;

  /** `layerId`: behind those of the encoder. */
  constructor(layerId: number, weights: Weights, config: ProjectorConfig, seesRows: boolean) {
    super(layerId, weights, seesRows ? 'seeing' : 'queries');
    const { hiddenSize, numHeads, layerNormEps } = config;
    const attention = encoderAttention({
      hiddenSize,
      numHeads,
      qkvBias: true,
      keyBias: true,
      denseBias: true,
    });
    const norm = (at: string, name: string) =>
      new BaseLayerNorm(weights.at(at), hiddenSize, layerNormEps, { name });
    this.selfAttn = bertAttention(layerId, weights.at('attention'), attention, QUERY_NAMES, {
      seqLen: QUERIED_WINDOWS.lens,
    });
    this.selfNorm = norm('attention.output.LayerNorm', 'self_norm');
    const cross = weights.at('crossattention');
    this.crossAttn = seesRows ? new WindowAttention(config, cross) : undefined;
    this.crossNorm = seesRows ? norm('crossattention.output.LayerNorm', 'cross_norm') : undefined;
    this.mlp = new UngatedMLP({ ...config, mlpBias: true }, weights, {
      names: { up: 'intermediate_query.dense', down: 'output_query.dense' },
    });
    this.mlpNorm = norm('output_query.LayerNorm', 'mlp_norm');
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const added = (step: LayerStep, norm: BaseLayerNorm, input: string, sum: string): string =>
      norm.buildGraph(graph, addResidual(graph, input, step.buildGraph(graph, kind, input), sum));
    let rows = added(this.selfAttn, this.selfNorm, hidden, 'self_residual');
    if (this.crossAttn && this.crossNorm)
      rows = added(this.crossAttn, this.crossNorm, rows, 'cross_residual');
    return added(this.mlp, this.mlpNorm, rows, 'mlp_residual');
  }
}

/**
 * BLIP-2's Q-Former (arXiv:2301.12597, section 3.1): some learned queries look at each window of an encoder's rows,
 * and become tokens: [rows, seen] -> [windows * queries, out].
 */
export class QFormer extends Module {
  readonly norm: BaseLayerNorm;
  readonly layers: readonly QFormerLayer[];
  readonly linear: Linear;
  private readonly query: TensorRef;
  private readonly zeros: TensorRef;

  /** `firstId`: of its first layer. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(
    firstId: number,
    config: ProjectorConfig,
    weights: Weights,
    { queries, outSize }: { readonly queries: number; readonly outSize: number },
  ) {
    super();
    const { hiddenSize, numLayers, seesEvery, layerNormEps, seenSize } = config;
    const inner = weights.at('qformer');
    this.query = asTable(weights.get('query', [1, queries, hiddenSize]));
    this.zeros = constantWeight(weights.path('row_behind'), [1, seenSize], 0);
    this.norm = new BaseLayerNorm(inner.at('layernorm'), hiddenSize, layerNormEps, { name: 'query_norm' });
    this.layers = Array.from({ length: numLayers }, (_, index) => {
      const at = inner.at('encoder.layer').at(index);
      return new QFormerLayer(firstId + index, at, config, index % seesEvery === 0);
    });
    const parts = [{ name: 'linear', outFeatures: outSize }] as const;
    this.linear = Linear.load(weights, { parts, inFeatures: hiddenSize, hasBias: true });
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.query, this.zeros];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, rows: string): string {
    const concat = new BaseOperation('Concat', { concatDim: 0 }, 'padded_rows');
    graph.addOperation(concat, [rows, this.zeros.name], ['padded_rows']);
    gatherRows(graph, 'padded_rows', QUERIED_WINDOWS.rows, SEEN_ROWS);
    const queries = this.norm.buildGraph(graph, this.query.name);
    let hidden = gatherRows(graph, queries, QUERIED_WINDOWS.queries, 'window_states');
    for (const layer of this.layers) hidden = layer.buildGraph(graph, kind, hidden);
    return buildLinear(graph, this.linear, hidden, 'projector_out');
  }
}
