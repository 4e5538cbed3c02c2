import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import type { BaseAttention } from '../attention/base-attention.js';
import { LENT } from '../attention/borrowing-attention.js';
import { borrowedKeys, type LentAttention, lendingVariant } from '../attention/lent-keys.js';
import { BaseLayer } from '../decoder/base-layer.js';
import { addPair, addResidual, addScaled } from '../formulas/residual.js';
import { BaseMLP, type MLPConfig } from '../mlp/mlp.js';
import { SparseGateMLP } from '../mlp/sparse-gates.js';
import type { BorrowedTensor } from '../module.js';
import { type LowRankConfig, LowRankResidual } from '../norms/low-rank-residual.js';
import { BaseRMSNorm } from '../norms/norms.js';
import { AltUp } from './altup.js';
import { PerLayerStep, perLayerInput } from './per-layer-inputs.js';
import { addStream, addStreams, asStream, joinStreams, type StreamConfig } from './streams.js';

/** What a layer is told by the configuration. */
export interface StreamedLayerConfig extends StreamConfig, LowRankConfig, MLPConfig {
  readonly slidingWindows: readonly (number | undefined)[];
  /** The stream that attention and MLP see. */
  readonly activeStream: number;
  /** For each layer, the width of its MLP, and which share of its gates is closed. */
  readonly widths: readonly number[];
  readonly closedGates: readonly number[];
  /** Of the layer's own vector of each token. */
  readonly perLayerSize: number;
  /** Whether what is beside that vector is multiplied by weights of the layer. */
  readonly scalesCorrected: boolean;
}

/**
 * One of several streams through attention and MLP, with a learned residual; then the layer's own vector of each token.
 */
export class StreamedLayer extends BaseLayer {
  readonly altup: AltUp;
  readonly inputLayernorm: BaseRMSNorm;
  readonly laurel: LowRankResidual;
  readonly selfAttn: BaseAttention;
  readonly postAttentionLayernorm: BaseRMSNorm;
  readonly preFeedforwardLayernorm: BaseRMSNorm;
  readonly mlp: BaseMLP;
  readonly postFeedforwardLayernorm: BaseRMSNorm;
  readonly perLayer: PerLayerStep;
  private readonly scale: TensorRef | undefined;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(
    layerId: number,
    private readonly config: StreamedLayerConfig,
    weights: Weights,
    private readonly attention: LentAttention,
  ) {
    const { hiddenSize, rmsNormEps, slidingWindows } = config;
    const share = config.closedGates[layerId] ?? 0;
    const isSliding = slidingWindows[layerId] !== undefined;
    super(layerId, weights, lendingVariant(attention, isSliding, share > 0 && 'sparse'));
    const norm = (at: Weights) => new BaseRMSNorm(at, hiddenSize, rmsNormEps);
    const mlp = { ...config, intermediateSize: config.widths[layerId] as number };
    this.altup = new AltUp(config, weights.at('altup'), norm);
    this.inputLayernorm = norm(weights.at('input_layernorm'));
    this.laurel = new LowRankResidual(config, weights.at('laurel'));
    this.selfAttn = attention.selfAttn;
    this.postAttentionLayernorm = norm(weights.at('post_attention_layernorm'));
    this.preFeedforwardLayernorm = norm(weights.at('pre_feedforward_layernorm'));
    this.mlp =
      share > 0 ? new SparseGateMLP(mlp, weights.at('mlp'), share) : new BaseMLP(mlp, weights.at('mlp'));
    this.postFeedforwardLayernorm = norm(weights.at('post_feedforward_layernorm'));
    this.perLayer = new PerLayerStep(config, weights);
    this.scale = config.scalesCorrected
      ? weights.at('altup').get('correct_output_scale', [hiddenSize])
      : undefined;
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), ...(this.scale ? [this.scale] : [])];
  }

  override borrowed(): BorrowedTensor[] {
    return [...borrowedKeys(this.attention.owner), perLayerInput(this.layerId)];
  }

  override lent(): string[] {
    return this.attention.isLending ? [...LENT] : [];
  }

  /** `streams` [tokens, streams, hidden] -> the same shape. */
  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, streams: string): string {
    const predictions = this.altup.buildPredictGraph(graph, streams);
    const predicted = addStream(graph, predictions, this.config.activeStream, 'predicted');
    const activated = this.buildStepsGraph(graph, kind, predicted);
    const corrected = this.altup.buildCorrectGraph(graph, predictions, predicted, activated);
    const active = addStream(graph, corrected, this.config.activeStream, 'corrected_active');
    const scaled = this.scale
      ? addPair(graph, 'ELEWISE_MUL', active, this.scale.name, 'scaled_active')
      : active;
    const step = asStream(graph, this.perLayer.buildGraph(graph, scaled));
    // The first stream is left alone, whichever the active one is.
    const others = addResidual(
      graph,
      addStreams(graph, corrected, 1, -1, 'other_streams'),
      step,
      'others_stepped',
    );
    return joinStreams(graph, addStreams(graph, corrected, 0, 1, 'first_stream'), others, 'layer_streams');
  }

  /** Attention and MLP: `input` [tokens, hidden] -> the same shape. */
  private buildStepsGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const normed = this.inputLayernorm.buildGraph(graph, input);
    const learned = this.laurel.buildGraph(graph, normed);
    const attended = this.postAttentionLayernorm.buildGraph(
      graph,
      this.selfAttn.buildGraph(graph, kind, normed),
    );
    const sum = addResidual(
      graph,
      addResidual(graph, input, attended, 'attn_residual'),
      learned,
      'laurel_sum',
    );
    const both = addScaled(graph, sum, Math.SQRT1_2, 'attn_laurel');
    const mixed = this.mlp.buildGraph(graph, kind, this.preFeedforwardLayernorm.buildGraph(graph, both));
    return addResidual(graph, both, this.postFeedforwardLayernorm.buildGraph(graph, mixed), 'activated');
  }
}
