import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import { Linear } from '../../weights/linear.js';
import { constantWeight } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { addPair, addResidual } from '../formulas/residual.js';
import { buildLinear } from '../linear/linear-steps.js';
import { Module } from '../module.js';
import { addRMSNorm, type BaseRMSNorm } from '../norms/norms.js';
import { addStream, asStream, type StreamConfig } from './streams.js';

/**
 * What a layer does with streams (Alternating Updates, arXiv:2301.13310): all are predicted, one is computed, all are
 * corrected.
 */
export class AltUp extends Module {
  readonly routerNorm: BaseRMSNorm;
  readonly router: Linear;
  readonly prediction: Linear;
  readonly correction: Linear;
  private readonly one: TensorRef;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(
    private readonly config: StreamConfig & { readonly activeStream: number },
    weights: Weights,
    norm: (weights: Weights) => BaseRMSNorm,
  ) {
    super();
    const { hiddenSize, streams } = config;
    const load = (name: string, inFeatures: number, outFeatures: number, times = 1) =>
      Linear.load(weights, { parts: [{ name, outFeatures, times }], inFeatures, role: 'gates' });
    this.routerNorm = norm(weights.at('router_norm'));
    this.router = load('modality_router', hiddenSize, streams, 1 / hiddenSize);
    this.prediction = load('prediction_coefs', streams, streams ** 2);
    this.correction = load('correction_coefs', streams, streams);
    this.one = constantWeight(weights.path('one'), [1], 1);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.one];
  }

  /** `streams` -> sums of all of them for each, by coefficients of the active one, and itself: the same shape. */
  buildPredictGraph(graph: AtbGraph, streams: string): string {
    const { streams: count, activeStream } = this.config;
    const modalities = this.buildModalityGraph(
      graph,
      addStream(graph, streams, activeStream, 'active'),
      'predict',
    );
    const coefficients = buildLinear(graph, this.prediction, modalities, 'prediction_coefs_out');
    graph.addReshape(coefficients, 'prediction_matrices', [dim(0), count, count]);
    const product = new BaseOperation('Linear', { transposeB: false, hasBias: false }, 'predict_mix');
    graph.addOperation(product, ['prediction_matrices', streams], ['mixed_streams']);
    return addResidual(graph, 'mixed_streams', streams, 'predictions');
  }

  /**
   * `predictions`, and `activated` [tokens, hidden], what the active one became -> the streams, of the first's shape.
   */
  buildCorrectGraph(graph: AtbGraph, predictions: string, predicted: string, activated: string): string {
    const modalities = this.buildModalityGraph(graph, activated, 'correct');
    const coefficients = buildLinear(graph, this.correction, modalities, 'correction_coefs_out');
    addResidual(graph, coefficients, this.one.name, 'correction_factors');
    graph.addReshape('correction_factors', 'correction_column', [dim(0), dim(1), 1]);
    const innovation = addPair(graph, 'ELEWISE_SUB', activated, predicted, 'innovation');
    addPair(graph, 'ELEWISE_MUL', 'correction_column', asStream(graph, innovation), 'corrections');
    return addResidual(graph, 'corrections', predictions, 'corrected');
  }

  /** `input` [tokens, hidden] -> [tokens, streams]. */
  private buildModalityGraph(graph: AtbGraph, input: string, name: string): string {
    const { weight, epsilon } = this.routerNorm;
    const normed = addRMSNorm(graph, { name: `${name}_router_norm`, epsilon, weight }, input);
    const routed = buildLinear(graph, this.router, normed, `${name}_router_out`);
    const tanh = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_TANH' }, `${name}_tanh`);
    graph.addOperation(tanh, [routed], [`${name}_modalities`]);
    return `${name}_modalities`;
  }
}
