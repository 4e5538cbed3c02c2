import {
  type ConfigOf,
  defineConfig,
  type Field,
  field,
  flag,
  keysBecause,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { CAUSAL_MASKS, FlashGpt2LikeATB, GPT2_HEAD, GPT2_IRRELEVANT, gpt2Fields } from '../gpt2/index.js';

/** One for all heads, or one each. */
const keyValueHeads: Field<number, { readonly multiQuery: boolean; readonly numAttentionHeads: number }> = {
  read: (_, { multiQuery, numAttentionHeads }) => (multiQuery ? 1 : numAttentionHeads),
};

/** Defaults of transformers 5.24, GPTBigCodeConfig. */
const GPT_BIGCODE_CONFIG = defineConfig({
  fields: {
    ...gpt2Fields({ activation: 'gelu_tanh' }),
    multiQuery: field('multi_query', flag, true),
    numKeyValueHeads: keyValueHeads,
  },
  irrelevant: {
    ...GPT2_IRRELEVANT,
    num_key_value_heads: 'multi_query decides',
    ...keysBecause(
      'scores are computed in f32 here anyway',
      ...['attention_softmax_in_fp32', 'scale_attention_softmax_in_fp32'],
    ),
    ...keysBecause(
      'is about kernels of another program',
      ...['inference_runner', 'validate_runner_input', 'pre_allocate_kv_cache', 'pad_key_length'],
      ...['max_sequence_length', 'max_batch_size'],
    ),
  },
});
type GptBigCodeConfig = ConfigOf<typeof GPT_BIGCODE_CONFIG>;

/** GPT-2 whose heads may share one key and value (arXiv:2301.03988, section 4). */
export class FlashGptBigCodeForCausalLMATB extends FlashGpt2LikeATB<GptBigCodeConfig> {
  readonly name = 'gpt_bigcode';

  constructor(config: GptBigCodeConfig, weights: Weights) {
    super(config, weights, () => ({
      qkv: { packed: 'c_attn', order: config.multiQuery ? 'blocks' : 'groups' },
      scale: config.scalesScores ? 1 / Math.sqrt(config.headDim) : 1,
    }));
  }
}

export const GptBigCodeRouter = routerOf(GPT_BIGCODE_CONFIG, FlashGptBigCodeForCausalLMATB, {
  harmlessTensors: CAUSAL_MASKS,
  headNames: GPT2_HEAD,
  about: {
    kind: 'positions',
    features: ['as gpt2', 'one key and value for all heads'],
    reference: 'transformers',
  },
});
registerModel('gpt_bigcode', GptBigCodeRouter);
