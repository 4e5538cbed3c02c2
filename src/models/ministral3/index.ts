import {
  biases,
  contextLength,
  decoder,
  defineConfig,
  integer,
  LLAMA_DEFAULTS,
  longestContext,
  positive,
  required,
  slidingEverywhere,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { FlashLlamaForCausalLMATB } from '../llama/index.js';

/** Defaults of transformers 5.24, Ministral3Config, whose rotary embedding is scaled where config.json has none. */
const MINISTRAL3_CONFIG = defineConfig({
  fields: {
    ...decoder({
      ...LLAMA_DEFAULTS,
      numKeyValueHeads: 8,
      headDim: 128,
      rmsNormEps: 1e-5,
      ropeTheta: required,
    }),
    maxPositionEmbeddings: contextLength('max_position_embeddings', 262_144),
    // Scores are multiplied by 1 + beta * ln(1 + floor(position / length)), which is 1 below that length.
    longestContext: longestContext(
      'llama_4_scaling_beta of config.json: how scores grow beyond the original length is not built',
      (_, json) => {
        const rope = json.section('rope_parameters') ?? json.section('rope_scaling');
        const beta = rope?.optional('llama_4_scaling_beta', positive(1e6, -1e-9)) ?? 0;
        const length = rope?.optional('original_max_position_embeddings', integer(2, 2 ** 31 - 1));
        return beta === 0 ? undefined : length;
      },
    ),
    ...biases({ qkv: false, dense: false, mlp: false }),
    slidingWindows: slidingEverywhere({ window: undefined }),
  },
  irrelevant: { 'rope_parameters.max_position_embeddings': 'says again what stands outside' },
});

/** Mistral with a window in every layer or in none, and YaRN; the text of Ministral 3 and Devstral Small 2. */
export class FlashMinistral3ForCausalLMATB extends FlashLlamaForCausalLMATB {
  override readonly name = 'ministral3';
}

export const Ministral3Router = routerOf(MINISTRAL3_CONFIG, FlashMinistral3ForCausalLMATB, {
  about: { kind: 'llama', features: ['YaRN', 'a window in every layer'], reference: 'transformers' },
});
registerModel('ministral3', Ministral3Router);
