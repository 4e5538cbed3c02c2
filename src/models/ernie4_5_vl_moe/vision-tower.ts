import { CommonOpBuilderManager } from '../../common-op-builders/index.js';
import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import { gatherRows } from '../../layers/formulas/gather-rows.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm, BaseRMSNorm } from '../../layers/norms/norms.js';
import { MERGED_PATCHES } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import { VisionTower } from '../base/vision/index.js';
import type { ErnieVlConfig } from './config.js';

const linear = (weights: Weights, name: string, inFeatures: number, outFeatures: number): Linear =>
  Linear.load(weights, { parts: [{ name, outFeatures }], inFeatures, hasBias: true });

/** Linear, gelu, Linear, LayerNorm: [rows, in] -> [rows, out]. */
class NormedMLP extends Module {
  readonly up: Linear;
  readonly down: Linear;
  readonly norm: BaseLayerNorm;

  constructor(
    weights: Weights,
    private readonly name: string,
    inSize: number,
    outSize: number,
    epsilon: number,
  ) {
    super();
    this.up = linear(weights, '0', inSize, outSize);
    this.down = linear(weights, '2', outSize, outSize);
    this.norm = new BaseLayerNorm(weights.at('3'), outSize, epsilon, { name: `${name}_norm` });
  }

  buildGraph(graph: AtbGraph, input: string): string {
    const { name } = this;
    const up = buildLinear(graph, this.up, input, `${name}_up_out`);
    CommonOpBuilderManager.getBuilder({
      category: 'ACTIVATION',
      opName: `${name}_activation`,
      ...{ kind: 'gelu', isGated: false, isPack: false },
    }).build(graph, { input: up, actOut: `${name}_act_out` });
    return this.norm.buildGraph(graph, buildLinear(graph, this.down, `${name}_act_out`, `${name}_down_out`));
  }
}

/** Blocks of patches as tokens, as if a picture were two frames: norm, side by side, MLPs, norm. [patches, hidden] -> [tokens, out]. */
class Resampler extends BaseLayer {
  readonly norm: BaseLayerNorm;
  readonly spatial: NormedMLP;
  readonly temporal: NormedMLP;
  readonly mlp: Linear;
  readonly afterNorm: BaseRMSNorm;

  /** `tower`: whose norm comes first. */
  constructor({ vision, hiddenSize: outSize, rmsNormEps }: ErnieVlConfig, tower: Weights, weights: Weights) {
    super(vision.depth, weights, 'resampler');
    const { hiddenSize, mergeSize, temporalMergeSize, epsilon } = vision;
    const size = hiddenSize * mergeSize ** 2;
    this.norm = new BaseLayerNorm(tower.at('ln'), hiddenSize, epsilon);
    this.spatial = new NormedMLP(weights.at('spatial_linear'), 'spatial', size, size, epsilon);
    const pair = size * temporalMergeSize;
    this.temporal = new NormedMLP(weights.at('temporal_linear'), 'temporal', pair, size, epsilon);
    this.mlp = linear(weights, 'mlp', size, outSize);
    this.afterNorm = new BaseRMSNorm(weights.at('after_norm'), outSize, rmsNormEps);
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    gatherRows(graph, this.norm.buildGraph(graph, hidden), MERGED_PATCHES, 'merged_hidden');
    graph.addReshape('merged_hidden', 'merged_rows', [dim(0), dim(1, 2)]);
    const spatial = this.spatial.buildGraph(graph, 'merged_rows');
    const twice = new BaseOperation('Concat', { concatDim: 1 }, 'two_frames');
    graph.addOperation(twice, [spatial, spatial], ['two_frames']);
    const temporal = this.temporal.buildGraph(graph, 'two_frames');
    return this.afterNorm.buildGraph(graph, buildLinear(graph, this.mlp, temporal, 'resampler_mlp_out'));
  }
}

/** Qwen2-VL's tower behind patches of one frame, and the resampler. */
export class ErnieTower extends VisionTower {
  /** `root`: where all names begin. */
  constructor(config: ErnieVlConfig, root: Weights) {
    const { vision, hiddenSize: outSize } = config;
    // What transformers writes has the one, what is published the other.
    const isPublished = root.has('vision_model.ln.weight');
    const tower = root.at(isPublished ? 'vision_model' : 'model.vision_model');
    const mlp = { ...vision, mlpBias: true };
    super(
      {
        ...{ ...vision, outSize },
        norm: (at, size) => new BaseLayerNorm(at, size, vision.epsilon),
        mlp: (at) => new UngatedMLP(mlp, at, { names: { up: 'fc1', down: 'fc2' } }),
        patchAxes: [vision.inChannels * vision.patchSize ** 2],
        merger: () => new Resampler(config, tower, root.at('model.resampler_model')),
      },
      tower,
    );
  }
}
