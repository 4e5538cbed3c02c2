import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  field,
  fullAttention,
  LLAMA_DEFAULTS,
  only,
  required,
  statedRope,
} from '../../layers/config/index.js';
import { PreNormLayer } from '../../layers/decoder-layers.js';
import { BaseRMSNorm } from '../../layers/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { Qwen3Attention } from '../qwen3/index.js';
import { XieluMLP } from './xielu-mlp.js';

const { hiddenAct: _, ...FIELDS } = decoder({ ...LLAMA_DEFAULTS, rmsNormEps: 1e-5, ropeTheta: required });

/** Defaults of transformers 5.24, ApertusConfig, whose rotary embedding is scaled where config.json has none. */
const APERTUS_CONFIG = defineConfig({
  fields: {
    ...FIELDS,
    hasRope: statedRope('ApertusConfig'),
    activation: field('hidden_act', only('xielu'), 'xielu'),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    normsHeads: field('qk_norm', only(true), true),
    normsResults: field('post_norm', only(false), false),
    slidingWindows: fullAttention,
  },
  irrelevant: { mlp_bias: 'ApertusMLP has no biases' },
});
type ApertusConfig = ConfigOf<typeof APERTUS_CONFIG>;

/** Llama with Qwen 3's norms of queries and keys, and xIELU in an MLP without a gate (arXiv:2509.14233, section 2). */
export class FlashApertusForCausalLMATB extends FlashForCausalLMATB<ApertusConfig> {
  readonly name = 'apertus';
  protected readonly model: BaseModelATB;

  constructor(config: ApertusConfig, weights: Weights) {
    super(config, weights);
    const norm = (at: Weights) => new BaseRMSNorm(at, config.hiddenSize, config.rmsNormEps);
    const inner = weights.at('model');
    this.model = new BaseModelATB(config, inner, {
      layer: (layerId, at) =>
        new PreNormLayer(layerId, at, {
          inputLayernorm: norm(at.at('attention_layernorm')),
          selfAttn: new Qwen3Attention(layerId, config, at.at('self_attn')),
          postAttentionLayernorm: norm(at.at('feedforward_layernorm')),
          mlp: new XieluMLP(config, at.at('mlp')),
        }),
      norm: norm(inner.at('norm')),
    });
  }
}

export const ApertusRouter = routerOf(APERTUS_CONFIG, FlashApertusForCausalLMATB, {
  // What transformers bounds an exponential by, which is bounded here by what it is of.
  harmlessTensors: [/\.act_fn\.eps$/],
  about: {
    kind: 'variant',
    features: ['norms of q and k', 'MLP without a gate', 'xIELU'],
    reference: 'transformers',
  },
});
registerModel('apertus', ApertusRouter);
