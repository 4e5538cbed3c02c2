import type { AtbGraph } from '../../graph/atb-graph.js';
import { NormedRotaryAttention } from '../../layers/attention-orders.js';
import { SandwichLayer } from '../../layers/decoder-layers.js';
import { BaseMLP } from '../../layers/mlp.js';
import { HeadNorm, OffsetRMSNorm } from '../../layers/norms.js';
import type { Weights } from '../../weights/weights.js';
import { buildRotaryGraphs, SlidingRotaryAttention } from '../base/sliding-rotary.js';
import { GemmaModelATB } from '../gemma/index.js';
import type { Gemma3Config } from './config-gemma3.js';

/** A sandwich whose queries and keys are normed head by head, then turned as the kind of the layer has it. */
export class Gemma3Layer extends SandwichLayer {
  constructor(layerId: number, config: Gemma3Config, weights: Weights) {
    const { numAttentionHeads, numKeyValueHeads, rmsNormEps, queryPreAttnScalar } = config;
    const own = weights.at('self_attn');
    const headNorm = (name: string, heads: number) =>
      new HeadNorm(own.at(name), { ...config, heads }, rmsNormEps, OffsetRMSNorm);
    const norms = { q: headNorm('q_norm', numAttentionHeads), k: headNorm('k_norm', numKeyValueHeads) };
    const norm = (name: string) => new OffsetRMSNorm(weights.at(name), config.hiddenSize, rmsNormEps);
    const slides = config.slidingWindows[layerId] !== undefined;
    const Attention = slides ? SlidingRotaryAttention : NormedRotaryAttention;
    const parts = {
      beforeAttention: norm('input_layernorm'),
      selfAttn: new Attention(layerId, config, own, norms, { scale: 1 / Math.sqrt(queryPreAttnScalar) }),
      afterAttention: norm('post_attention_layernorm'),
      beforeMlp: norm('pre_feedforward_layernorm'),
      mlp: new BaseMLP(config, weights.at('mlp')),
      afterMlp: norm('post_feedforward_layernorm'),
    };
    super(layerId, weights, parts, slides ? 'sliding' : '');
  }
}

/** Gemma's model, with rotary tables of two kinds (arXiv:2503.19786, section 2). */
export class Gemma3ModelATB extends GemmaModelATB {
  constructor(
    private readonly config: Gemma3Config,
    weights: Weights,
  ) {
    super(config, weights, (layerId, at) => new Gemma3Layer(layerId, config, at));
  }

  override buildPositionalEmbeddingGraph(graph: AtbGraph): void {
    buildRotaryGraphs(graph, this.config.slidingWindows, () => super.buildPositionalEmbeddingGraph(graph));
  }
}
