import {
  biases,
  type ConfigOf,
  constant,
  decoder,
  defineConfig,
  experts,
  field,
  LLAMA_DEFAULTS,
  slidingByLayer,
  WIDTH,
} from '../../layers/config/index.js';
import { slidingVariant } from '../../layers/decoder/base-layer.js';
import { SandwichLayer } from '../../layers/decoder/decoder-layers.js';
import { CorrectedLogitRouter } from '../../layers/experts/corrected-logit-router.js';
import { Experts, SparseMLP } from '../../layers/experts/experts.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { exaone4Attention } from '../exaone4/index.js';
import { FlashLlamaForCausalLMATB } from '../llama/index.js';

/** Defaults of transformers 5.24, Kolibri1Config. */
const KOLIBRI1_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 4, headDim: 128 }),
    ...biases({ qkv: false, dense: false, mlp: false }),
    ...experts({ numExperts: 384, numExpertsPerToken: 6, moeIntermediateSize: 512, normTopkProb: false }),
    /** Of the one MLP that is none of the experts: all tokens pass through it. */
    intermediateSize: field('shared_expert_intermediate_size', WIDTH, 512),
    /** Layers that see everything know no positions. */
    isHybrid: constant(true),
    slidingWindows: slidingByLayer({ window: 513, slides: (layer) => layer % 5 !== 4 }),
  },
  irrelevant: { intermediate_size: 'no layer has an MLP of that width' },
});
type Kolibri1Config = ConfigOf<typeof KOLIBRI1_CONFIG>;

/** `weights` is the cursor of a layer, of which the correction of the choice has a module of its own. */
function kolibri1Experts(config: Kolibri1Config, weights: Weights): SparseMLP {
  const correction = weights.get('moe.router.expert_bias', [config.numExperts]);
  const at = weights.at('mlp');
  return new SparseMLP({
    router: new CorrectedLogitRouter({ ...config, scoring: 'sigmoid' }, at, correction),
    experts: new Experts(config, at.at('experts')),
    shared: new BaseMLP(config, at.at('shared_experts')),
  });
}

/** Sandwiches of EXAONE 4's attention and of experts that corrected logits choose. */
export class FlashKolibri1ForCausalLMATB extends FlashLlamaForCausalLMATB<Kolibri1Config> {
  override readonly name = 'kolibri1';

  constructor(config: Kolibri1Config, weights: Weights) {
    super(config, weights, (layerId, at) => {
      const norm = (name: string) => new BaseRMSNorm(at.at(name), config.hiddenSize, config.rmsNormEps);
      const parts = {
        beforeAttention: norm('input_layernorm'),
        selfAttn: exaone4Attention(layerId, config, at.at('self_attn')),
        afterAttention: norm('post_attn_norm'),
        beforeMlp: norm('post_attention_layernorm'),
        mlp: kolibri1Experts(config, at),
        afterMlp: norm('post_ffn_norm'),
      };
      return new SandwichLayer(layerId, at, parts, slidingVariant(config, layerId));
    });
  }
}

export const Kolibri1Router = routerOf(KOLIBRI1_CONFIG, FlashKolibri1ForCausalLMATB, {
  about: {
    kind: 'experts',
    features: [
      ...['sandwich norms', 'norms of q and k', 'windows by layer', 'layers without rotary'],
      ...['a choice by corrected logits', 'a shared expert'],
    ],
    reference: 'transformers',
  },
});
registerModel('kolibri1', Kolibri1Router);
