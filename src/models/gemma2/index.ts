import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { RotaryAttention } from '../../layers/attention-orders.js';
import { SandwichLayer } from '../../layers/decoder-layers.js';
import { BaseMLP } from '../../layers/mlp.js';
import { OffsetRMSNorm } from '../../layers/norms.js';
import { addSoftcap } from '../../layers/softcap.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { GemmaModelATB } from '../gemma/index.js';
import { GEMMA2_CONFIG, type Gemma2Config } from './config-gemma2.js';

/** Gemma in sandwiches, every other layer with a window; scores and logits are bounded (arXiv:2408.00118, section 2). */
export class FlashGemma2ForCausalLMATB extends FlashForCausalLMATB<Gemma2Config> {
  readonly name = 'gemma2';
  protected readonly model: GemmaModelATB;

  constructor(config: Gemma2Config, weights: Weights) {
    super(config, weights);
    const norm = (at: Weights) => new OffsetRMSNorm(at, config.hiddenSize, config.rmsNormEps);
    const options = { scale: 1 / Math.sqrt(config.queryPreAttnScalar), softcap: config.scoreSoftcap };
    this.model = new GemmaModelATB(config, weights.at('model'), (layerId, at) => {
      const parts = {
        beforeAttention: norm(at.at('input_layernorm')),
        selfAttn: new RotaryAttention(layerId, config, at.at('self_attn'), options),
        afterAttention: norm(at.at('post_attention_layernorm')),
        beforeMlp: norm(at.at('pre_feedforward_layernorm')),
        mlp: new BaseMLP(config, at.at('mlp')),
        afterMlp: norm(at.at('post_feedforward_layernorm')),
      };
      const slides = config.slidingWindows[layerId] !== undefined;
      return new SandwichLayer(layerId, at, parts, slides ? 'sliding' : '');
    });
  }

  protected override buildHeadGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const logits = super.buildHeadGraph(graph, kind, hidden);
    const { logitSoftcap } = this.config;
    return logitSoftcap === undefined ? logits : addSoftcap(graph, logits, logitSoftcap, 'bounded_logits');
  }
}

export const Gemma2Router = routerOf(GEMMA2_CONFIG, FlashGemma2ForCausalLMATB, {
  about: {
    kind: 'gemma',
    features: ['sandwich norms', 'bounded scores and logits', 'windows by layer'],
    reference: 'transformers',
  },
});
registerModel('gemma2', Gemma2Router);
