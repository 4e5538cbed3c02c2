import { PositionFreeAttention } from '../../layers/attention/attention-orders.js';
import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  LLAMA_DEFAULTS,
  rotaryLayers,
  slidingByLayer,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashLlamaForCausalLMATB, LlamaLayer } from '../llama/index.js';

/** Defaults of transformers 5.24, SmolLM3Config. */
const SMOLLM3_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 4, ropeTheta: 2_000_000, tieWordEmbeddings: true }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: 'mlp_bias' }),
    rotaryLayers: rotaryLayers(),
    slidingWindows: slidingByLayer({
      useSlidingWindow: false,
      window: undefined,
      slides: (
        layer,
        config: { readonly rotaryLayers: readonly boolean[]; readonly numHiddenLayers: number },
      ) => config.rotaryLayers[layer] === false,
    }),
  },
  irrelevant: { max_window_layers: 'layer_types alone says where windows are' },
});
type SmolLM3Config = ConfigOf<typeof SMOLLM3_CONFIG>;

/** Llama in which some layers do not know positions (arXiv:2501.18795). */
export class FlashSmolLM3ForCausalLMATB extends FlashLlamaForCausalLMATB<SmolLM3Config> {
  override readonly name = 'smollm3';

  constructor(config: SmolLM3Config, weights: Weights) {
    super(config, weights, (layerId, at) => {
      if (config.rotaryLayers[layerId]) return new LlamaLayer(layerId, config, at);
      const selfAttn = new PositionFreeAttention(layerId, config, at.at('self_attn'));
      return new LlamaLayer(layerId, config, at, { selfAttn, variant: 'position_free' });
    });
  }
}

export const SmolLM3Router = routerOf(SMOLLM3_CONFIG, FlashSmolLM3ForCausalLMATB, {
  about: {
    kind: 'llama',
    features: ['layers without rotary', 'windows by layer'],
    reference: 'transformers',
  },
});
registerModel('smollm3', SmolLM3Router);
