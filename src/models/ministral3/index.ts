import { ScaledRotaryAttention } from '../../layers/attention/attention-orders.js';
import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  field,
  integer,
  LLAMA_DEFAULTS,
  queryScale,
  required,
  slidingEverywhere,
  statedRope,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashLlamaForCausalLMATB, LlamaLayer } from '../llama/index.js';

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
    maxPositionEmbeddings: field('max_position_embeddings', integer(1, 2 ** 31 - 1), 262_144),
    hasRope: statedRope('Ministral3Config'),
    queryScale,
    ...biases({ qkv: false, dense: false, mlp: false }),
    slidingWindows: slidingEverywhere({ window: undefined }),
  },
  irrelevant: { 'rope_parameters.max_position_embeddings': 'says again what stands outside' },
});
type Ministral3Config = ConfigOf<typeof MINISTRAL3_CONFIG>;

/** Mistral with a window in every layer or in none, YaRN, and queries that grow; the text of Ministral 3 and Devstral Small 2. */
export class FlashMinistral3ForCausalLMATB extends FlashLlamaForCausalLMATB<Ministral3Config> {
  override readonly name = 'ministral3';

  constructor(config: Ministral3Config, weights: Weights) {
    super(config, weights, (layerId, at) => {
      if (!config.queryScale) return new LlamaLayer(layerId, config, at);
      const selfAttn = new ScaledRotaryAttention(layerId, config, at.at('self_attn'));
      return new LlamaLayer(layerId, config, at, { selfAttn });
    });
  }
}

export const Ministral3Router = routerOf(MINISTRAL3_CONFIG, FlashMinistral3ForCausalLMATB, {
  about: {
    kind: 'llama',
    features: ['YaRN', 'queries that grow with positions', 'a window in every layer'],
    reference: 'transformers',
  },
});
registerModel('ministral3', Ministral3Router);
