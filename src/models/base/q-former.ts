import type { ActivationKind } from '../../common-op-builders/index.js';
import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { attendWithQueries } from '../../layers/attention/query-attention.js';
import { encoderAttention } from '../../layers/attention-config.js';
import { BaseLayer } from '../../layers/base-layer.js';
import {
  activation,
  encoderHeads,
  field,
  integer,
  only,
  positive,
  WIDTH,
} from '../../layers/config/index.js';
import type { LayerStep } from '../../layers/decoder-layers.js';
import { buildLinear } from '../../layers/linear-steps.js';
import { UngatedMLP } from '../../layers/mlp.js';
import { type BorrowedTensor, Module } from '../../layers/module.js';
import { BaseLayerNorm } from '../../layers/norms.js';
import { addResidual } from '../../layers/residual.js';
import { QUERIED_WINDOWS } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import { BERT_LAYER, bertAttention } from './bert-parts.js';

const COUNT = integer(1, 10_000);

/** What an object of config.json says of queries. Defaults of transformers 5.24, Blip2QFormerConfig. */
export const Q_FORMER = {
  kind: field('model_type', only('blip_2_qformer'), 'blip_2_qformer'),
  numLayers: field('num_hidden_layers', COUNT, 12),
  intermediateSize: field('intermediate_size', WIDTH, 3072),
  hiddenAct: activation('hidden_act', 'gelu'),
  layerNormEps: field('layer_norm_eps', positive(1), 1e-12),
  seesEvery: field('cross_attention_frequency', COUNT, 2),
  readsWords: field('use_qformer_text_input', only(false), false),
  // Of queries nothing depends on positions; older files say what those of words would be.
  placed: field('position_embedding_type', only('absolute'), 'absolute'),
};

/** How wide queries are and what they look at, where the file says it. */
export const Q_FORMER_SIZES = {
  hiddenSize: field('hidden_size', WIDTH, 768),
  numHeads: encoderHeads('num_attention_heads', 12),
  seenSize: field('encoder_hidden_size', WIDTH, 1408),
};

/** Keys that change nothing: of words, which queries do not read, and of training. */
export const Q_FORMER_PASSED = [
  'vocab_size',
  'pad_token_id',
  'max_position_embeddings',
  'hidden_dropout_prob',
  'attention_probs_dropout_prob',
] as const;

/** What a Q-Former is told. */
export interface QFormerConfig {
  readonly hiddenSize: number;
  readonly numHeads: number;
  /** Of the rows that queries look at. */
  readonly seenSize: number;
  readonly numLayers: number;
  readonly intermediateSize: number;
  readonly hiddenAct: ActivationKind;
  readonly layerNormEps: number;
  /** In the first of so many layers, and in every so manieth behind it, queries look at rows. */
  readonly seesEvery: number;
}

/** Where a Q-Former stands in a model's graph. */
export interface QFormerPlace {
  /** Of its first layer. */
  readonly firstId: number;
  /** What its queries look at: a tensor of the model's graph, the rows of all windows. */
  readonly seen: string;
  /** Of its norm in the graph; `query_norm` when absent. */
  readonly normName?: string;
}

/** What layers call the rows of all windows. */
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
    private readonly config: QFormerConfig,
    weights: Weights,
    private readonly seen: string,
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

  override borrowed(): BorrowedTensor[] {
    return [[SEEN_ROWS, this.seen]];
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

  /** `layerId`: behind those of the encoder. `seen`: what it looks at; undefined where queries see each other alone. */
  constructor(layerId: number, weights: Weights, config: QFormerConfig, seen: string | undefined) {
    super(layerId, weights, seen === undefined ? 'queries' : 'seeing');
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
    this.crossAttn = seen === undefined ? undefined : new WindowAttention(config, cross, seen);
    this.crossNorm = this.crossAttn && norm('crossattention.output.LayerNorm', 'cross_norm');
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
 * BLIP-2's Q-Former (arXiv:2301.12597, section 3.1): queries, as many for each window of an encoder's rows, look at them:
 * [queries, hidden] -> the same shape. It reads what `queriedWindows` brings.
 */
export class QFormer extends Module {
  readonly norm: BaseLayerNorm;
  readonly layers: readonly QFormerLayer[];

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(
    config: QFormerConfig,
    weights: Weights,
    { firstId, seen, normName: name = 'query_norm' }: QFormerPlace,
  ) {
    super();
    const { hiddenSize, numLayers, seesEvery, layerNormEps } = config;
    this.norm = new BaseLayerNorm(weights.at('layernorm'), hiddenSize, layerNormEps, { name });
    this.layers = Array.from({ length: numLayers }, (_, index) => {
      const at = weights.at('encoder.layer').at(index);
      return new QFormerLayer(firstId + index, at, config, index % seesEvery === 0 ? seen : undefined);
    });
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, queries: string): string {
    let hidden = this.norm.buildGraph(graph, queries);
    for (const layer of this.layers) hidden = layer.buildGraph(graph, kind, hidden);
    return hidden;
  }
}
