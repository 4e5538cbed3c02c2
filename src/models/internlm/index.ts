import {
  biases,
  decoder,
  defineConfig,
  fullAttention,
  LLAMA_DEFAULTS,
  longestContext,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { FlashLlamaForCausalLMATB } from '../llama/index.js';
import { INTERNLM_CHAT } from './chat-format.js';

/** What all versions with code of their own have, with the defaults of the published configuration_internlm.py. */
export const INTERNLM_FIELDS = {
  ...decoder(LLAMA_DEFAULTS),
  ...biases({ qkv: 'bias', dense: 'bias', mlp: false }),
  slidingWindows: fullAttention,
};

const INTERNLM_CONFIG = defineConfig({
  fields: {
    ...INTERNLM_FIELDS,
    longestContext: longestContext(
      'max_position_embeddings of config.json: what "rotary" does beyond it is not built',
      ({ maxPositionEmbeddings }: { readonly maxPositionEmbeddings: number }) => maxPositionEmbeddings,
    ),
  },
  irrelevant: { rotary: 'does nothing within max_position_embeddings, and no context is longer' },
});

/** Llama with biases in attention. */
export class FlashInternlmForCausalLMATB extends FlashLlamaForCausalLMATB {
  override readonly name = 'internlm';
}

export const InternlmRouter = routerOf(INTERNLM_CONFIG, FlashInternlmForCausalLMATB, {
  about: {
    kind: 'remote',
    features: ['biases of all projections of attention'],
    reference: 'transformers, as llama',
  },
  chatFormat: () => INTERNLM_CHAT,
});
registerModel('internlm', InternlmRouter);
