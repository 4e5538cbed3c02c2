import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  experts,
  type Field,
  field,
  flag,
  LLAMA_DEFAULTS,
  only,
  positive,
  slidingEverywhere,
} from '../../layers/config/index.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { Experts, SparseMLP } from '../../layers/experts/experts.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { SparseMixerRouter } from './sparse-mixer.js';

/** The class chooses two, whatever config.json says, but reads how many. */
const two: Field<2> = field('num_experts_per_tok', only(2), 2);

/** Defaults of transformers 5.24, PhimoeConfig. */
const PHIMOE_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 8, rmsNormEps: 1e-5, ropeTheta: 1_000_000 }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    ...experts({
      numExperts: 16,
      numExpertsPerToken: 2,
      moeIntermediateSize: 'intermediate_size',
      normTopkProb: false,
    }),
    numExpertsPerToken: two,
    jitter: field('router_jitter_noise', positive(0.5), 0.01),
    hasHeadBias: field('lm_head_bias', flag, false),
    slidingWindows: slidingEverywhere({ window: undefined }),
  },
  irrelevant: { input_jitter_noise: 'is added in training alone' },
});
type PhimoeConfig = ConfigOf<typeof PHIMOE_CONFIG>;

/** Phi-3.5-MoE: LayerNorms, and two experts for each token, chosen one after the other (arXiv:2404.14219). */
export class FlashPhimoeForCausalLMATB extends FlashForCausalLMATB<PhimoeConfig> {
  readonly name = 'phimoe';
  protected readonly model: BaseModelATB;

  constructor(config: PhimoeConfig, weights: Weights) {
    super(config, weights, { hasBias: config.hasHeadBias });
    const { hiddenSize, rmsNormEps, jitter } = config;
    const norm = (at: Weights) => new BaseLayerNorm(at, hiddenSize, rmsNormEps);
    const inner = weights.at('model');
    this.model = new BaseModelATB(config, inner, {
      layer: (layerId, at) => {
        const moe = at.at('block_sparse_moe');
        return new PreNormLayer(layerId, at, {
          inputLayernorm: norm(at.at('input_layernorm')),
          selfAttn: new RotaryAttention(layerId, config, at.at('self_attn')),
          postAttentionLayernorm: norm(at.at('post_attention_layernorm')),
          mlp: new SparseMLP({
            router: new SparseMixerRouter(config, moe, jitter),
            experts: new Experts(config, moe.at('experts'), { gate: 'w1', up: 'w3', down: 'w2' }),
          }),
        });
      },
      norm: norm(inner.at('norm')),
    });
  }
}

export const PhimoeRouter = routerOf(PHIMOE_CONFIG, FlashPhimoeForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['LayerNorm', 'experts chosen one after the other', 'longrope', 'a bias of the head'],
    reference: 'transformers',
  },
});
registerModel('phimoe', PhimoeRouter);
