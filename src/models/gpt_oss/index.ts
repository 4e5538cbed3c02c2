import { RotaryAttention } from '../../layers/attention-orders.js';
import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  expertsPerToken,
  field,
  flag,
  integer,
  positive,
  slidingByLayer,
} from '../../layers/config/index.js';
import { ExpertRouter, Experts, SparseMLP } from '../../layers/experts.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashLlamaForCausalLMATB, LlamaLayer } from '../llama/index.js';
import { ofStacks } from './stacked-experts.js';

const ATTENTION_BIAS = field('attention_bias', flag, true);

/** Defaults of transformers 5.24, GptOssConfig. */
const GPT_OSS_CONFIG = defineConfig({
  fields: {
    ...decoder({
      numKeyValueHeads: 8,
      headDim: 64,
      hiddenAct: 'silu',
      rmsNormEps: 1e-5,
      ropeTheta: 150_000,
      tieWordEmbeddings: false,
    }),
    ...biases({ qkv: ATTENTION_BIAS, dense: ATTENTION_BIAS, mlp: false }),
    numExperts: field(['num_local_experts', 'num_experts'], integer(1, 10_000), 128),
    numExpertsPerToken: expertsPerToken(['num_experts_per_tok', 'experts_per_token'], 4),
    swigluAlpha: field('swiglu_alpha', positive(100), 1.702),
    swigluLimit: field('swiglu_limit', positive(1e6), 7),
    slidingWindows: slidingByLayer({ window: 128, slides: (layer) => layer % 2 === 0 }),
  },
  irrelevant: { initial_context_length: 'it is original_max_position_embeddings once more' },
});

type GptOssConfig = ConfigOf<typeof GPT_OSS_CONFIG>;

/**
 * gpt-oss (arXiv:2508.10925): experts with biases and a clamped SwiGLU, attention with sinks and, in every second layer, a
 * window. Published experts are mxfp4.
 */
export class FlashGptOssForCausalLMATB extends FlashLlamaForCausalLMATB<GptOssConfig> {
  override readonly name = 'gpt_oss';

  constructor(config: GptOssConfig, weights: Weights) {
    const experts = {
      ...config,
      moeIntermediateSize: config.intermediateSize,
      normTopkProb: true,
      hasBias: true,
      clamp: { limit: config.swigluLimit, gateScale: config.swigluAlpha },
    };
    super(config, weights, (layerId, at) => {
      const selfAttn = new RotaryAttention(layerId, config, at.at('self_attn'), { sinks: 'sinks' });
      const own = at.at('mlp');
      // The softmax of the chosen logits is that of all of them, divided by the sum of the chosen.
      const names = { gate: 'router.weight', bias: 'router.bias' };
      const router = new ExpertRouter({ ...experts, scoring: 'softmax' }, own, names);
      const mlp = new SparseMLP({ router, experts: new Experts(experts, ofStacks(own.at('experts'))) });
      return new LlamaLayer(layerId, config, at, { selfAttn, mlp });
    });
  }
}

export const GptOssRouter = routerOf(GPT_OSS_CONFIG, FlashGptOssForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['sinks', 'windows by layer', 'clamped SwiGLU', 'mxfp4 experts'],
    reference: 'transformers',
  },
});
registerModel('gpt_oss', GptOssRouter);
