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
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { headNamesUnder, registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { Qwen3Attention } from '../qwen3/index.js';
import { XieluMLP } from './xielu-mlp.js';

const { hiddenAct: _, ...FIELDS } = decoder({ ...LLAMA_DEFAULTS, rmsNormEps: 1e-5, ropeTheta: required });

/** Defaults of transformers 5.24, ApertusConfig, whose rotary embedding is scaled where config.json has none. */
export const APERTUS_FIELDS = {
  ...FIELDS,
  hasRope: statedRope('ApertusConfig'),
  activation: field('hidden_act', only('xielu'), 'xielu'),
  ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
  normsHeads: field('qk_norm', only(true), true),
  normsResults: field('post_norm', only(false), false),
  slidingWindows: fullAttention,
};
export const APERTUS_IRRELEVANT = { mlp_bias: 'ApertusMLP has no biases' };

const APERTUS_CONFIG = defineConfig({ fields: APERTUS_FIELDS, irrelevant: APERTUS_IRRELEVANT });
type ApertusConfig = ConfigOf<typeof APERTUS_CONFIG> & { readonly embeddingRows?: number };

/** Llama with Qwen 3's norms of queries and keys, and xIELU in an MLP without a gate (arXiv:2509.14233, section 2). */
export class FlashApertusForCausalLMATB<
  C extends ApertusConfig = ApertusConfig,
> extends FlashForCausalLMATB<C> {
  readonly name: string = 'apertus';
  protected readonly model: BaseModelATB;

  /** `root`: what the checkpoint's names begin with. */
  constructor(config: C, weights: Weights, root = 'model') {
    super(config, weights, { names: headNamesUnder(root) });
    const { vocabSize, embeddingRows = vocabSize } = config;
    const norm = (at: Weights) => new BaseRMSNorm(at, config.hiddenSize, config.rmsNormEps);
    const inner = weights.at(root);
    this.model = new BaseModelATB({ ...config, vocabSize: embeddingRows }, inner, {
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

/** What transformers bounds an exponential by, which is bounded here by what it is of. */
export const XIELU_UNREAD = [/\.act_fn\.eps$/];

export const ApertusRouter = routerOf(APERTUS_CONFIG, FlashApertusForCausalLMATB, {
  harmlessTensors: XIELU_UNREAD,
  about: {
    kind: 'variant',
    features: ['norms of q and k', 'MLP without a gate', 'xIELU'],
    reference: 'transformers',
  },
});
registerModel('apertus', ApertusRouter);
