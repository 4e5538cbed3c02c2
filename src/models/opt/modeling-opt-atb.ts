import { CommonOpBuilderManager } from '../../common-op-builders/index.js';
import type { AtbGraph } from '../../graph/atb-graph.js';
import { PositionFreeAttention } from '../../layers/attention/attention-orders.js';
import { PostNormLayer, PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import { LearnedPositionModelATB } from '../base/learned-position-model-atb.js';
import type { OptConfig } from './config-opt.js';

/** OPT's own: config.json says nothing of it. */
const LAYER_NORM_EPS = 1e-5;

const norm = (config: OptConfig, weights: Weights): BaseLayerNorm =>
  new BaseLayerNorm(weights, config.hiddenSize, LAYER_NORM_EPS);

/** A projection between rows of the embedding and hidden states, in models where their widths differ. */
class WidthChange extends Module {
  private readonly linear: Linear | undefined;

  constructor(
    weights: Weights,
    private readonly name: string,
    inFeatures: number,
    outFeatures: number,
  ) {
    super();
    if (inFeatures !== outFeatures)
      this.linear = Linear.load(weights, { parts: [{ name, outFeatures }], inFeatures });
  }

  /** `input` [tokens, inFeatures] -> the tensor whose name is returned, [tokens, outFeatures]. */
  buildGraph(graph: AtbGraph, input: string): string {
    if (!this.linear) return input;
    const linearOut = `${this.name}_out`;
    CommonOpBuilderManager.getBuilder({ category: 'LINEAR', opName: this.name, linear: this.linear }).build(
      graph,
      { input, linearOut },
    );
    return linearOut;
  }
}

/** What stands between the last layer and the head. */
class OptLastStep extends Module {
  private readonly finalLayerNorm: BaseLayerNorm | undefined;
  private readonly projectOut: WidthChange;

  constructor(config: OptConfig, weights: Weights) {
    super();
    if (config.hasLastNorm) this.finalLayerNorm = norm(config, weights.at('final_layer_norm'));
    this.projectOut = new WidthChange(weights, 'project_out', config.hiddenSize, config.embeddingSize);
  }

  buildGraph(graph: AtbGraph, input: string): string {
    return this.projectOut.buildGraph(graph, this.finalLayerNorm?.buildGraph(graph, input) ?? input);
  }
}

/** Norms before each step; in OPT-350m after each residual, and embeddings narrower than hidden states. */
export class OptModelATB extends LearnedPositionModelATB {
  private readonly projectIn: WidthChange;

  constructor(config: OptConfig, weights: Weights) {
    const Layer = config.normsBefore ? PreNormLayer : PostNormLayer;
    super(config, weights, {
      layer: (layerId, at) =>
        new Layer(layerId, at, {
          inputLayernorm: norm(config, at.at('self_attn_layer_norm')),
          selfAttn: new PositionFreeAttention(layerId, config, at.at('self_attn'), { dense: 'out_proj' }),
          postAttentionLayernorm: norm(config, at.at('final_layer_norm')),
          mlp: new UngatedMLP(config, at, { names: { up: 'fc1', down: 'fc2' } }),
        }),
      norm: new OptLastStep(config, weights),
      embeddingSize: config.embeddingSize,
      positions: { name: 'embed_positions', firstRow: 2 },
    });
    this.projectIn = new WidthChange(weights, 'project_in', config.embeddingSize, config.hiddenSize);
  }

  override buildWordEmbeddingGraph(graph: AtbGraph): string {
    return this.projectIn.buildGraph(graph, super.buildWordEmbeddingGraph(graph));
  }
}
