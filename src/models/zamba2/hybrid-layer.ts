import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { AdaptedAttention, AdaptedMLP } from '../../layers/adapted-steps.js';
import { BaseLayer } from '../../layers/base-layer.js';
import { buildLinear } from '../../layers/linear-steps.js';
import { Mamba2Mixer } from '../../layers/mamba2.js';
import type { BorrowedTensor } from '../../layers/module.js';
import { BaseRMSNorm } from '../../layers/norms.js';
import { addResidual } from '../../layers/residual.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import type { Zamba2Config } from './config-zamba2.js';

/** Its mixers' norms have an epsilon of their own. */
export const mixerOf = (layerId: number, config: Zamba2Config, at: Weights): Mamba2Mixer =>
  new Mamba2Mixer(layerId, { ...config, rmsNormEps: 1e-5 }, at);

/** Of the mixer, in graphs: the transformer before it has a norm whose own name is the same. */
class MixerNorm extends BaseRMSNorm {
  override readonly name = 'mixer_norm';
}

/** x += mixer(norm(x + linear(transformer(x, embeddings)))), of which several layers share the transformer's weights. */
export class HybridLayer extends BaseLayer {
  readonly inputLayernorm: BaseRMSNorm;
  readonly selfAttn: AdaptedAttention;
  readonly preFfLayernorm: BaseRMSNorm;
  readonly mlp: AdaptedMLP;
  readonly linear: Linear;
  readonly mixerNorm: BaseRMSNorm;
  readonly mixer: Mamba2Mixer;

  /** `shared`: the transformer's weights, which may lie in an earlier layer; `use` counts the layers like this before it. */
  constructor(layerId: number, config: Zamba2Config, weights: Weights, shared: Weights, use: number) {
    // Weights that lie elsewhere have other names in each layer's graph.
    super(layerId, weights, `hybrid_${use}`);
    const { hiddenSize, rmsNormEps, adapterRank: rank, adaptsAttention } = config;
    this.inputLayernorm = new BaseRMSNorm(shared.at('input_layernorm'), 2 * hiddenSize, rmsNormEps);
    const wide = { scale: 1 / Math.sqrt(config.headDim / 2), inFeatures: 2 * hiddenSize };
    const adapters = adaptsAttention ? { rank, use } : undefined;
    this.selfAttn = new AdaptedAttention(layerId, config, shared.at('self_attn'), wide, adapters);
    this.preFfLayernorm = new BaseRMSNorm(shared.at('pre_ff_layernorm'), hiddenSize, rmsNormEps);
    this.mlp = new AdaptedMLP(config, shared.at('feed_forward'), { rank, use });
    this.linear = Linear.load(weights, {
      parts: [{ name: 'linear', outFeatures: hiddenSize }],
      inFeatures: hiddenSize,
    });
    const decoder = weights.at('mamba_decoder');
    this.mixerNorm = new MixerNorm(decoder.at('input_layernorm'), hiddenSize, rmsNormEps);
    this.mixer = mixerOf(layerId, config, decoder.at('mamba'));
  }

  override borrowed(): BorrowedTensor[] {
    return [...super.borrowed(), ['embeddings', 'hidden_states']];
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const concat = new BaseOperation('Concat', { concatDim: 1 }, 'with_embeddings_concat');
    graph.addOperation(concat, [hidden, 'embeddings'], ['with_embeddings']);
    const normed = this.inputLayernorm.buildGraph(graph, 'with_embeddings');
    const attended = this.selfAttn.buildGraph(graph, kind, normed);
    const mixed = this.mlp.buildGraph(graph, kind, this.preFfLayernorm.buildGraph(graph, attended));
    const transformed = buildLinear(graph, this.linear, mixed, 'transformed_out');
    const sum = addResidual(graph, hidden, transformed, 'transformed_sum');
    const stepped = this.mixer.buildGraph(graph, kind, this.mixerNorm.buildGraph(graph, sum));
    return addResidual(graph, hidden, stepped, 'layer_out');
  }
}
