import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import {
  activation,
  biases,
  type DecoderConfig,
  decoder,
  defineConfig,
  type Field,
  fullAttention,
  LLAMA_DEFAULTS,
} from '../../layers/config/index.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { OffsetRMSNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { GemmaModelATB } from './modeling-gemma-atb.js';

export * from './modeling-gemma-atb.js';

/** The first files say "gelu" and mean its approximation. */
const hiddenAct: Field<DecoderConfig['hiddenAct']> = {
  read(json) {
    const found = activation('hidden_act', 'gelu_tanh').read(json, {});
    return found === 'gelu' ? 'gelu_tanh' : found;
  },
};

/** Defaults of transformers 5.24, GemmaConfig. */
const GEMMA_CONFIG = defineConfig({
  fields: {
    ...decoder({
      ...LLAMA_DEFAULTS,
      numKeyValueHeads: 16,
      headDim: 256,
      hiddenAct: 'gelu_tanh',
      tieWordEmbeddings: true,
    }),
    hiddenAct,
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    slidingWindows: fullAttention,
  },
  irrelevant: { hidden_activation: 'GemmaMLP reads hidden_act' },
});

/** Llama with norms of 1 + weight and scaled embeddings (arXiv:2403.08295, section 2). */
export class FlashGemmaForCausalLMATB extends FlashForCausalLMATB {
  readonly name = 'gemma';
  protected readonly model: GemmaModelATB;

  constructor(config: DecoderConfig, weights: Weights) {
    super(config, weights);
    const norm = (at: Weights) => new OffsetRMSNorm(at, config.hiddenSize, config.rmsNormEps);
    this.model = new GemmaModelATB(config, weights.at('model'), (layerId, at) => {
      return new PreNormLayer(layerId, at, {
        inputLayernorm: norm(at.at('input_layernorm')),
        selfAttn: new RotaryAttention(layerId, config, at.at('self_attn')),
        postAttentionLayernorm: norm(at.at('post_attention_layernorm')),
        mlp: new BaseMLP(config, at.at('mlp')),
      });
    });
  }
}

export const GemmaRouter = routerOf(GEMMA_CONFIG, FlashGemmaForCausalLMATB, {
  about: { kind: 'gemma', features: ['norms of 1 + weight', 'scaled embeddings'], reference: 'transformers' },
});
registerModel('gemma', GemmaRouter);
