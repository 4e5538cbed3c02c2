import type { AtbGraph } from '../../graph/atb-graph.js';
import { dim } from '../../graph/atb-graph.js';
import { gatherRows } from '../../layers/formulas/gather-rows.js';
import { addResidual } from '../../layers/formulas/residual.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm, UnscaledRMSNorm } from '../../layers/norms/norms.js';
import {
  AXIS_POSITIONS,
  asTheyCome,
  axisPositions,
  PATCHES,
  patches,
  SOUND_FRAMES,
  type StepInput,
} from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import type { UnifiedAudioConfig, UnifiedVisionConfig } from './config.js';

/** Of norms for which files have none: the class leaves it to torch. */
const EPSILON = 1e-5;

/** Rows normed and brought to the size of words: [rows, in] -> [rows, out]. */
class RowEmbedder extends Module {
  readonly norm: UnscaledRMSNorm;
  readonly proj: Linear;

  constructor(weights: Weights, inFeatures: number, outFeatures: number, epsilon: number) {
    super();
    this.norm = new UnscaledRMSNorm(weights.at('embedding_pre_projection_norm'), inFeatures, epsilon);
    const parts = [{ name: 'embedding_projection', outFeatures }] as const;
    this.proj = Linear.load(weights, { parts, inFeatures });
  }

  buildGraph(graph: AtbGraph, rows: string): string {
    return buildLinear(graph, this.proj, this.norm.buildGraph(graph, rows), 'embedder_out');
  }
}

/** Samples of sound as they are, of which so many become a token. */
export class SampleEmbedder extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly embedder: RowEmbedder;

  /** `outSize`: of words. */
  constructor({ samples, rmsNormEps }: UnifiedAudioConfig, weights: Weights, outSize: number) {
    super();
    this.stepInputs = [patches(samples, asTheyCome, SOUND_FRAMES)];
    this.embedder = new RowEmbedder(weights, samples, outSize, rmsNormEps);
  }

  buildGraph(graph: AtbGraph): string {
    return this.embedder.buildGraph(graph, SOUND_FRAMES);
  }
}

/** Patches as vectors, with learned positions of their columns and of their rows: each becomes a token. */
export class PatchEmbedder extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly before: BaseLayerNorm;
  readonly dense: Linear;
  readonly behind: BaseLayerNorm;
  readonly placedNorm: BaseLayerNorm;
  readonly embedder: RowEmbedder;
  private readonly positions: TensorRef;

  /** `outSize`: of words. */
  constructor(vision: UnifiedVisionConfig, weights: Weights, embedder: Weights, outSize: number) {
    super();
    const { side, hiddenSize, positionSize, rmsNormEps } = vision;
    const inFeatures = 3 * side ** 2;
    const norm = (name: string, size: number) =>
      new BaseLayerNorm(weights.at(name), size, EPSILON, { hasBias: true });
    this.stepInputs = [patches(inFeatures), axisPositions(positionSize, 1, true)];
    this.before = norm('patch_ln1', inFeatures);
    const parts = [{ name: 'patch_dense', outFeatures: hiddenSize }] as const;
    this.dense = Linear.load(weights, { parts, inFeatures, hasBias: true });
    this.behind = norm('patch_ln2', hiddenSize);
    this.placedNorm = norm('pos_norm', hiddenSize);
    this.embedder = new RowEmbedder(embedder, hiddenSize, outSize, rmsNormEps);
    this.positions = weights.get('pos_embedding', [positionSize, 2, hiddenSize]);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.positions];
  }

  buildGraph(graph: AtbGraph): string {
    const rows = buildLinear(graph, this.dense, this.before.buildGraph(graph, PATCHES), 'patch_out');
    graph.addReshape(this.positions.name, 'position_rows', [dim(0, 1), dim(2)]);
    const ofColumns = gatherRows(graph, 'position_rows', AXIS_POSITIONS.columns, 'of_columns');
    const ofRows = gatherRows(graph, 'position_rows', AXIS_POSITIONS.rows, 'of_rows');
    const places = addResidual(graph, ofColumns, ofRows, 'of_places');
    const placed = addResidual(graph, this.behind.buildGraph(graph, rows), places, 'placed_patches');
    return this.embedder.buildGraph(graph, this.placedNorm.buildGraph(graph, placed));
  }
}
