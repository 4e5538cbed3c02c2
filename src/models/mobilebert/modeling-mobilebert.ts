import { type AtbGraph, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { attendWithQueries } from '../../layers/attention/query-attention.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import type { AddedEmbedding } from '../../layers/decoder/learned-positions.js';
import { addSplit } from '../../layers/formulas/split.js';
import { gatherOrZeros, zeroRow } from '../../layers/linear/convolution.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { Affine, AffineLinear, AffineMLP, biasedLinear } from '../../layers/mlp/affine.js';
import { NoNorm } from '../../layers/norms/norms.js';
import { TEXT_TAPS } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { bertAdditions } from '../base/bert-parts.js';
import type { MobileBertConfig } from './config-mobilebert.js';

/** Attention and several MLPs on narrow vectors, between a product that makes them and one that makes them wide. */
class MobileBertLayer extends BaseLayer {
  readonly narrow: AffineLinear;
  readonly shared: AffineLinear;
  readonly queryKey: Linear;
  readonly value: Linear;
  readonly attended: AffineLinear;
  readonly mlps: readonly AffineMLP[];
  readonly wide: AffineLinear;

  constructor(
    layerId: number,
    private readonly config: MobileBertConfig,
    weights: Weights,
  ) {
    super(layerId, weights);
    const { hiddenSize, narrowSize, feedForwards } = config;
    this.narrow = new AffineLinear(weights.at('bottleneck').at('input'), hiddenSize, narrowSize);
    this.shared = new AffineLinear(weights.at('bottleneck').at('attention'), hiddenSize, narrowSize);
    const attention = weights.at('attention').at('self');
    const part = (name: string) => ({ name, outFeatures: narrowSize });
    this.queryKey = Linear.load(attention, {
      name: 'query_key',
      parts: [part('query'), part('key')],
      inFeatures: narrowSize,
      hasBias: true,
    });
    this.value = biasedLinear(attention, 'value', hiddenSize, narrowSize);
    this.attended = new AffineLinear(weights.at('attention').at('output'), narrowSize, narrowSize);
    const others = Array.from({ length: feedForwards - 1 }, (_, at) => weights.at('ffn').at(at));
    this.mlps = [...others, weights].map((at) => new AffineMLP({ ...config, hiddenSize: narrowSize }, at));
    this.wide = new AffineLinear(weights.at('output').at('bottleneck'), narrowSize, hiddenSize);
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const { numAttentionHeads: headNum, headDim, narrowSize } = this.config;
    const shared = this.shared.buildGraph(graph, hidden, 'shared');
    addSplit(graph, 'query_key_split', buildLinear(graph, this.queryKey, shared, 'query_key_out'), [
      ['q', narrowSize],
      ['k', narrowSize],
    ]);
    const v = buildLinear(graph, this.value, hidden, 'v');
    const tensors = { q: 'q', k: 'k', v, seqLen: 'seq_len', attentionOut: 'attn_out' };
    const heads = attendWithQueries(graph, kind, 'attention', { headNum, headDim }, tensors);
    const narrow = this.narrow.buildGraph(graph, hidden, 'narrow');
    const attended = this.attended.buildGraph(graph, heads, 'attended', narrow);
    const mixed = this.mlps.reduce((input, mlp, at) => mlp.buildGraph(graph, input, `mlp_${at}`), attended);
    return this.wide.buildGraph(graph, mixed, 'layer_out', hidden);
  }
}

/** What layers read, made of the embeddings of each token and of its neighbours, of its place and of its type. */
class MobileBertFront extends BaseLayer {
  readonly transform: Linear;
  readonly added: readonly AddedEmbedding[];
  readonly affine: Affine;
  private readonly zeros: TensorRef;

  constructor({ embeddingSize, ...config }: MobileBertConfig, weights: Weights) {
    super(-1, weights, 'front');
    const { hiddenSize } = config;
    this.transform = biasedLinear(weights, 'embedding_transformation', 3 * embeddingSize, hiddenSize);
    this.added = bertAdditions(weights, config);
    this.affine = new Affine(weights.at('LayerNorm'), hiddenSize);
    this.zeros = zeroRow(weights, embeddingSize);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.zeros];
  }

  /** `words` [tokens, embedding] -> [tokens, hidden]. */
  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, words: string): string {
    const around = gatherOrZeros(graph, words, this.zeros, TEXT_TAPS, 'neighbours');
    graph.addReshape(around, 'neighbour_rows', [dim(0), dim(1, 2)]);
    let hidden = buildLinear(graph, this.transform, 'neighbour_rows', 'transformed_out');
    for (const embedding of this.added) hidden = embedding.buildGraph(graph, hidden);
    return this.affine.buildGraph(graph, hidden, 'embedded');
  }
}

/** Embeddings, layers, and no norm behind them. */
export class MobileBertModelATB extends BaseModelATB {
  readonly front: MobileBertFront;

  constructor(config: MobileBertConfig, weights: Weights) {
    super(config, weights, {
      names: { embedding: 'embeddings.word_embeddings', layers: 'encoder.layer' },
      embeddingSize: config.embeddingSize,
      layer: (layerId, at) => new MobileBertLayer(layerId, config, at),
      norm: new NoNorm(),
    });
    this.front = new MobileBertFront(config, weights.at('embeddings'));
  }

  override buildInputGraph(graph: AtbGraph, kind: GraphKind): string {
    return this.front.buildGraph(graph, kind, super.buildInputGraph(graph, kind));
  }
}
