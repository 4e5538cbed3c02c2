import { NormedRotaryAttention } from '../../layers/attention/attention-orders.js';
import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  expertGroups,
  experts,
  type Field,
  field,
  flag,
  fullAttention,
  keysBecause,
  LLAMA_DEFAULTS,
  only,
  predictionLayers,
  routedScalingFactor,
  sharedExperts,
  sparseBehindDense,
} from '../../layers/config/index.js';
import { sigmoidExperts } from '../../layers/experts/sigmoid-experts.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { LlamaLayer } from '../llama/index.js';
import { qwen3Norms } from '../qwen3/index.js';

const qkv: Field<boolean> = field(['attention_bias', 'use_qkv_bias'], flag, false);

/** The width of the MLP that all tokens pass through, which published files say once more. */
const sharedWidth: Field<number, { readonly sharedExperts: number; readonly moeIntermediateSize: number }> = {
  read(json, config) {
    const width = config.sharedExperts * config.moeIntermediateSize;
    return field('moe_shared_expert_intermediate_size', only(width), width).read(json, {});
  },
};

/** Names of the file that Sarvam published, and of transformers, which takes it for a glm4_moe. */
export const sarvamExperts = {
  sharedExperts: sharedExperts(['n_shared_experts', 'num_shared_experts'], 1),
  sharedWidth,
  scoringOfExperts: field('score_function', only('sigmoid'), 'sigmoid'),
  correctsChoice: field('moe_router_enable_expert_bias', only(true), true),
};

/** Keys of both that change nothing. */
export const SARVAM_IRRELEVANT = {
  max_window_layers: 'no layer has a window',
  ...keysBecause('is used in training alone', 'output_dropout'),
};

/** Defaults of transformers 5.24, SarvamMoEConfig. */
const SARVAM_MOE_CONFIG = defineConfig({
  fields: {
    ...decoder({
      ...{ ...LLAMA_DEFAULTS, numKeyValueHeads: 4, headDim: 64 },
      ...{ ropeTheta: 8_000_000, rotary: { factor: 1 } },
    }),
    ...biases({ qkv, dense: false, mlp: false }),
    ...experts({
      ...{ numExperts: 128, numExpertsPerToken: 6, moeIntermediateSize: 1024, normTopkProb: true },
      names: { numExperts: ['n_routed_experts', 'num_experts', 'num_local_experts'] },
    }),
    ...sarvamExperts,
    expertGroups: expertGroups({ count: 1, kept: 1, scored: 2 }),
    routedScalingFactor: routedScalingFactor(2.5),
    sparseLayers: sparseBehindDense({ dense: 1 }),
    predictionLayers: predictionLayers(0),
    normsHeads: field('use_qk_norm', flag, true),
    slidingWindows: fullAttention,
  },
  irrelevant: SARVAM_IRRELEVANT,
});
type SarvamMoeConfig = ConfigOf<typeof SARVAM_MOE_CONFIG>;

const HEAD = { embedding: 'model.word_embeddings', head: 'lm_head' };

/** Sarvam 30B: GLM 4.5 whose whole heads turn, under other names, with queries, keys and values in one tensor. */
export class FlashSarvamMoeForCausalLMATB extends FlashForCausalLMATB<SarvamMoeConfig> {
  readonly name = 'sarvam_moe';
  protected readonly model: BaseModelATB;

  constructor(config: SarvamMoeConfig, weights: Weights) {
    super(config, weights, { names: HEAD });
    const packed = { qkv: { packed: 'query_key_value', order: 'blocks' }, dense: 'dense' } as const;
    const names = { q: 'query_layernorm', k: 'key_layernorm' };
    const inner = weights.at('model');
    this.model = new BaseModelATB(config, inner, {
      names: { embedding: 'word_embeddings', layers: 'layers' },
      layer(layerId, at) {
        const own = at.at('attention');
        const norms = config.normsHeads ? qwen3Norms(config, own, names) : undefined;
        const selfAttn = new NormedRotaryAttention(layerId, config, own, norms, packed);
        if (!config.sparseLayers[layerId])
          return new LlamaLayer(layerId, config, at, { selfAttn, variant: 'dense' });
        const mlp = sigmoidExperts(config, at.at('mlp'), { correction: 'gate.expert_bias' });
        return new LlamaLayer(layerId, config, at, { selfAttn, mlp });
      },
      norm: new BaseRMSNorm(inner.at('norm'), config.hiddenSize, config.rmsNormEps),
    });
  }
}

export const SarvamMoeRouter = routerOf(SARVAM_MOE_CONFIG, FlashSarvamMoeForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['as glm4_moe', 'q, k and v packed'],
    reference: 'transformers',
  },
  headNames: HEAD,
});
registerModel('sarvam_moe', SarvamMoeRouter);
