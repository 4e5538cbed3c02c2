import { PositionFreeAttention } from '../../layers/attention-orders.js';
import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  type Field,
  integer,
  LLAMA_DEFAULTS,
  listOf,
  slidingByLayer,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashLlamaForCausalLMATB, LlamaLayer } from '../llama/index.js';

/** Which layers rotate: those with a 1 in `no_rope_layers`, or all but every n-th. */
const rotaryLayers: Field<readonly boolean[], { readonly numHiddenLayers: number }> = {
  read(json, { numHiddenLayers: layers }) {
    const given = json.optional('no_rope_layers', listOf(integer(0, 1), '0 and 1'));
    const interval = json.optional('no_rope_layer_interval', integer(1, 1000)) ?? 4;
    if (given !== undefined && given.length !== layers) {
      json.problem(
        `no_rope_layers must have one entry for each of the ${layers} layers, found ${given.length}`,
      );
    }
    return Array.from({ length: layers }, (_, layer) =>
      given === undefined ? (layer + 1) % interval !== 0 : given[layer] === 1,
    );
  },
};

/** Defaults of transformers 5.24, SmolLM3Config. */
const SMOLLM3_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 4, ropeTheta: 2_000_000, tieWordEmbeddings: true }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: 'mlp_bias' }),
    rotaryLayers,
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
