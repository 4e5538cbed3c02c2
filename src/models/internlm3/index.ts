import {
  biases,
  decoder,
  defineConfig,
  field,
  flag,
  fullAttention,
  LLAMA_DEFAULTS,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { FlashLlamaForCausalLMATB } from '../llama/index.js';

const otherBias = field(['bias', 'mlp_bias'], flag, false);

/** Defaults of transformers 5.24, InternLM3Config, which spells biases in its own way; published files in the other. */
const INTERNLM3_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 2, headDim: 128, rmsNormEps: 1e-5 }),
    ...biases({ qkv: field(['qkv_bias', 'attention_bias'], flag, false), dense: otherBias, mlp: otherBias }),
    slidingWindows: fullAttention,
  },
});

/** Llama. */
export class FlashInternlm3ForCausalLMATB extends FlashLlamaForCausalLMATB {
  override readonly name = 'internlm3';
}

export const Internlm3Router = routerOf(INTERNLM3_CONFIG, FlashInternlm3ForCausalLMATB, {
  about: {
    kind: 'remote',
    features: ['biases of all projections'],
    reference: 'transformers',
  },
});
registerModel('internlm3', Internlm3Router);
