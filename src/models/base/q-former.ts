import type { ActivationKind } from '../../common-op-builders/index.js';
import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { attendWithQueries } from '../../layers/attention/query-attention.js';
import { encoderAttention } from '../../layers/attention-config.js';
import {
  activation,
  encoderHeads,
  field,
  integer,
  only,
  positive,
  WIDTH,
} from '../../layers/config/index.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import type { LayerStep } from '../../layers/decoder/decoder-layers.js';
import { gatherRows } from '../../layers/formulas/gather-rows.js';
import { addResidual } from '../../layers/formulas/residual.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { type BorrowedTensor, Module } from '../../layers/module.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import { QUERIED_WINDOWS, QUERIED_WORDS } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { BERT_LAYER, bertAttention } from './bert-parts.js';
import { RowProjector } from './vision/row-projector.js';

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
  /** Words that queries see beside each other: ids, and places of one of them; none when absent. */
  readonly words?: { readonly vocabSize: number; readonly positions: number };
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

/** Rows of queries and of words -> those of each picture behind each other, as `queriedWords` says. Returns `out`. */
function buildSequences(graph: AtbGraph, queries: string, words: string, out: string): string {
  const both = `${out}_unordered`;
  graph.addOperation(new BaseOperation('Concat', { concatDim: 0 }, both), [queries, words], [both]);
  return gatherRows(graph, both, QUERIED_WORDS.sequences, out);
}

/** Queries see each other, in some layers rows of their window, and pass an MLP; each result is added and normed. */
class QFormerLayer extends BaseLayer {
  readonly selfAttn: LayerStep;
  readonly selfNorm: BaseLayerNorm;
  readonly crossAttn: WindowAttention | undefined;
  readonly crossNorm: BaseLayerNorm | undefined;
  readonly mlp: UngatedMLP;
  readonly mlpNorm: BaseLayerNorm;
  readonly wordMlp: RowProjector | undefined;
  readonly wordNorm: BaseLayerNorm | undefined;

  /** `layerId`: behind those of the encoder. `seen`: what it looks at; undefined where queries see each other alone. */
  constructor(layerId: number, weights: Weights, config: QFormerConfig, seen: string | undefined) {
    super(layerId, weights, seen === undefined ? 'queries' : 'seeing');
    const { hiddenSize, numHeads, layerNormEps, intermediateSize, hiddenAct, words } = config;
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
    this.wordMlp =
      words &&
      new RowProjector(weights, {
        ...{
          inSize: hiddenSize,
          innerSize: intermediateSize,
          outSize: hiddenSize,
          hasBias: true,
          act: hiddenAct,
        },
        ...{ names: { up: 'intermediate.dense', down: 'output.dense' }, prefix: 'word_' },
      });
    this.wordNorm = words && norm('output.LayerNorm', 'word_norm');
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const added = (step: LayerStep, norm: BaseLayerNorm, input: string, sum: string): string =>
      norm.buildGraph(graph, addResidual(graph, input, step.buildGraph(graph, kind, input), sum));
    const seeing = added(this.selfAttn, this.selfNorm, hidden, 'self_residual');
    const { wordMlp, wordNorm } = this;
    let rows = wordMlp ? gatherRows(graph, seeing, QUERIED_WORDS.queries, 'query_rows') : seeing;
    if (this.crossAttn && this.crossNorm)
      rows = added(this.crossAttn, this.crossNorm, rows, 'cross_residual');
    rows = added(this.mlp, this.mlpNorm, rows, 'mlp_residual');
    if (!wordMlp || !wordNorm) return rows;
    const read = gatherRows(graph, seeing, QUERIED_WORDS.words, 'word_rows');
    return buildSequences(graph, rows, added(wordMlp, wordNorm, read, 'word_residual'), 'sequences');
  }
}

/**
 * BLIP-2's Q-Former (arXiv:2301.12597, section 3.1): queries, as many for each window of an encoder's rows, look at them:
 * [queries, hidden] -> the same shape. It reads what `queriedWindows` brings, or `queriedPictures`; where they see words,
 * too, `queriedWords` (InstructBLIP, arXiv:2305.06500, section 2.3).
 */
export class QFormer extends Module {
  readonly norm: BaseLayerNorm;
  private readonly wordTables: readonly [ids: TensorRef, positions: TensorRef] | undefined;
  readonly layers: readonly QFormerLayer[];

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(
    config: QFormerConfig,
    weights: Weights,
    { firstId, seen, normName: name = 'query_norm' }: QFormerPlace,
  ) {
    super();
    const { hiddenSize, numLayers, seesEvery, layerNormEps, words } = config;
    const embeddings = weights.at('embeddings');
    const norm = (words ? embeddings : weights).at('layernorm');
    this.norm = new BaseLayerNorm(norm, hiddenSize, layerNormEps, { name });
    this.wordTables = words && [
      embeddings.get('word_embeddings.weight', [words.vocabSize, hiddenSize]),
      embeddings.get('position_embeddings.weight', [words.positions, hiddenSize]),
    ];
    this.layers = Array.from({ length: numLayers }, (_, index) => {
      const at = weights.at('encoder.layer').at(index);
      return new QFormerLayer(firstId + index, at, config, index % seesEvery === 0 ? seen : undefined);
    });
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), ...(this.wordTables ?? [])];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, queries: string): string {
    let hidden = this.norm.buildGraph(
      graph,
      this.wordTables ? this.buildBesideWords(graph, queries) : queries,
    );
    for (const layer of this.layers) hidden = layer.buildGraph(graph, kind, hidden);
    return this.wordTables
      ? gatherRows(graph, hidden, QUERIED_WORDS.queries, 'queries_beside_words')
      : hidden;
  }

  private buildBesideWords(graph: AtbGraph, queries: string): string {
    const [ids, positions] = this.wordTables ?? [];
    const words = gatherRows(graph, ids?.name ?? '', QUERIED_WORDS.ids, 'queried_word_rows');
    const places = gatherRows(graph, positions?.name ?? '', QUERIED_WORDS.positions, 'queried_place_rows');
    return buildSequences(graph, queries, addResidual(graph, words, places, 'queried_words'), 'queried_rows');
  }
}
