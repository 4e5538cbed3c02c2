import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  experts,
  type Field,
  field,
  fullAttention,
  keysBecause,
  LLAMA_DEFAULTS,
  only,
  positive,
  predictionLayers,
  sharedExperts,
  sparseByType,
  WIDTH,
} from '../../layers/config/index.js';
import { sigmoidExperts } from '../../layers/experts/sigmoid-experts.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashSparseLlamaATB } from '../llama/index.js';
import { Qwen3Attention } from '../qwen3/index.js';

/** Published files have two names for it, of which transformers reads the first. */
const expertWidth: Field<number> = field(['moe_intermediate_size', 'expert_hidden_dim'], WIDTH, 1536);

/** Defaults of transformers 5.24, HYV3Config. */
const HY_V3_CONFIG = defineConfig({
  fields: {
    ...decoder({
      ...LLAMA_DEFAULTS,
      numKeyValueHeads: 8,
      headDim: 128,
      rmsNormEps: 1e-5,
      ropeTheta: 11_158_840,
    }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: 'mlp_bias' }),
    ...experts({ numExperts: 192, numExpertsPerToken: 8, moeIntermediateSize: 1536, normTopkProb: 'always' }),
    moeIntermediateSize: expertWidth,
    routedScalingFactor: field('router_scaling_factor', positive(1e6), 2.826),
    sharedExperts: sharedExperts('num_shared_experts', 1),
    sparseLayers: sparseByType({ dense: 1 }),
    predictionLayers: predictionLayers(0),
    normsHeads: field('qk_norm', only(true), true),
    normsWeights: field('route_norm', only(true), true),
    scoresBySigmoid: field('moe_router_use_sigmoid', only(true), true),
    correctsChoice: field('moe_router_enable_expert_bias', only(true), true),
    slidingWindows: fullAttention,
  },
  irrelevant: {
    enable_moe_fp32_combine: 'says how two numbers are added, whose sum is rounded once either way',
    use_grouped_mm: 'says which of its kernels another program takes',
    ...keysBecause(
      'asks for f32 where HYV3ForCausalLM does not look at it',
      ...['enable_attention_fp32_softmax', 'enable_lm_head_fp32'],
    ),
  },
});
type HyV3Config = ConfigOf<typeof HY_V3_CONFIG>;

/** Hunyuan 3: Llama with Qwen 3's norms of queries and keys, and with experts that are chosen as in DeepSeek-V3. */
export class FlashHyV3ForCausalLMATB extends FlashSparseLlamaATB<HyV3Config> {
  readonly name = 'hy_v3';

  constructor(config: HyV3Config, weights: Weights) {
    const names = { gate: 'router.gate.weight', correction: 'expert_bias', shared: 'shared_mlp' };
    super(config, weights, {
      selfAttn: (layerId, at) => new Qwen3Attention(layerId, config, at),
      experts: (at) => sigmoidExperts(config, at, names),
    });
  }
}

export const HyV3Router = routerOf(HY_V3_CONFIG, FlashHyV3ForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['norms of q and k', 'corrected choice', 'a shared expert', 'MLPs before experts'],
    reference: 'transformers',
  },
});
registerModel('hy_v3', HyV3Router);
