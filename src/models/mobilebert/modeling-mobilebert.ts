import { type ActivationKind, CommonOpBuilderManager } from '../../common-op-builders/index.js';
import { type AtbGraph, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { attendWithQueries } from '../../layers/attention/query-attention.js';
import { BaseLayer } from '../../layers/base-layer.js';
import { gatherOrZeros, zeroRow } from '../../layers/convolution.js';
import type { AddedEmbedding } from '../../layers/learned-positions.js';
import { buildLinear } from '../../layers/linear-steps.js';
import { Module } from '../../layers/module.js';
import { NoNorm } from '../../layers/norms.js';
import { addPair, addResidual } from '../../layers/residual.js';
import { addSplit } from '../../layers/split.js';
import { TEXT_TAPS } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { bertAdditions } from '../base/bert-parts.js';
import type { MobileBertConfig } from './index.js';

/** What stands where others have a norm: x * weight + bias, each of them [size]. */
class Affine extends Module {
  private readonly weight: TensorRef;
  private readonly bias: TensorRef;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH. */
  constructor(weights: Weights, size: number) {
    super();
    this.weight = weights.get('weight', [size]);
    this.bias = weights.get('bias', [size]);
  }

  override getWeights(): TensorRef[] {
    return [this.weight, this.bias];
  }

  /** Returns `out`. */
  buildGraph(graph: AtbGraph, input: string, out: string): string {
    const scaled = addPair(graph, 'ELEWISE_MUL', input, this.weight.name, `${out}_scaled`);
    return addResidual(graph, scaled, this.bias.name, out);
  }
}

/** A product, what it is added to if anything, and what stands for a norm of the sum: [tokens, in] -> [tokens, out]. */
class AffineLinear extends Module {
  readonly dense: Linear;
  readonly affine: Affine;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(weights: Weights, inFeatures: number, outFeatures: number) {
    super();
    this.dense = linear(weights, 'dense', inFeatures, outFeatures);
    this.affine = new Affine(weights.at('LayerNorm'), outFeatures);
  }

  /** Returns `out`. */
  buildGraph(graph: AtbGraph, input: string, out: string, residual?: string): string {
    const product = buildLinear(graph, this.dense, input, `${out}_dense_out`);
    const sum = residual === undefined ? product : addResidual(graph, product, residual, `${out}_sum`);
    return this.affine.buildGraph(graph, sum, out);
  }
}

const linear = (weights: Weights, name: string, inFeatures: number, outFeatures: number): Linear =>
  Linear.load(weights, { parts: [{ name, outFeatures }], inFeatures, hasBias: true });

/** One of a layer's MLPs, and what its input is added to. */
class NarrowMLP extends Module {
  readonly up: Linear;
  readonly down: AffineLinear;
  private readonly act: ActivationKind;

  /** `weights` has `intermediate` and `output`. */
  constructor({ narrowSize, intermediateSize, hiddenAct }: MobileBertConfig, weights: Weights) {
    super();
    this.up = linear(weights, 'intermediate.dense', narrowSize, intermediateSize);
    this.down = new AffineLinear(weights.at('output'), intermediateSize, narrowSize);
    this.act = hiddenAct;
  }

  /** `input` [tokens, narrow] -> `out`, the same shape. */
  buildGraph(graph: AtbGraph, input: string, out: string): string {
    const up = buildLinear(graph, this.up, input, `${out}_up_out`);
    const act = { category: 'ACTIVATION', opName: `${out}_act`, kind: this.act } as const;
    CommonOpBuilderManager.getBuilder({ ...act, isGated: false, isPack: false }).build(graph, {
      input: up,
      actOut: `${out}_act_out`,
    });
    return this.down.buildGraph(graph, `${out}_act_out`, out, input);
  }
}

/** Attention and several MLPs on narrow vectors, between a product that makes them and one that makes them wide again. */
class MobileBertLayer extends BaseLayer {
  readonly narrow: AffineLinear;
  readonly shared: AffineLinear;
  readonly queryKey: Linear;
  readonly value: Linear;
  readonly attended: AffineLinear;
  readonly mlps: readonly NarrowMLP[];
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
    this.value = linear(attention, 'value', hiddenSize, narrowSize);
    this.attended = new AffineLinear(weights.at('attention').at('output'), narrowSize, narrowSize);
    const others = Array.from({ length: feedForwards - 1 }, (_, at) => weights.at('ffn').at(at));
    this.mlps = [...others, weights].map((at) => new NarrowMLP(config, at));
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
    this.transform = linear(weights, 'embedding_transformation', 3 * embeddingSize, hiddenSize);
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
