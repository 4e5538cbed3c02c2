import { describeValue } from '../../describe-value.js';
import { NormedAttention, NormedRotaryAttention } from '../../layers/attention/attention-orders.js';
import type { AttentionOptions } from '../../layers/attention/base-attention.js';
import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  type Field,
  integer,
  LLAMA_DEFAULTS,
  slidingByLayer,
} from '../../layers/config/index.js';
import type { LayerStep } from '../../layers/decoder/decoder-layers.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashLlamaForCausalLMATB } from '../llama/index.js';
import { Olmo2Layer } from '../olmo2/index.js';
import { type NormedHeadsConfig, qwen3Norms } from '../qwen3/index.js';

/** Every which layer sees everything, where `layer_types` does not say; letters (LLLG) need it beside them. */
const globalLayers: Field<number> = {
  read(json) {
    const pattern = json.raw('sliding_window_pattern');
    if (typeof pattern !== 'string') {
      // Without windows transformers writes 0.
      const least = json.isNull('sliding_window') ? 0 : 1;
      return json.check('sliding_window_pattern', pattern, integer(least, 1000)) ?? 4;
    }
    if (!/^[LG]+$/.test(pattern))
      json.problem(
        `sliding_window_pattern must be a number or letters L and G, found ${describeValue(pattern)}`,
      );
    if (json.isAbsent('layer_types'))
      json.problem(`layer_types is missing beside sliding_window_pattern ${JSON.stringify(pattern)}`);
    return 1;
  },
};

/** Whether layers with a window are mixed with others, which then do not know positions. */
const isHybrid: Field<boolean> = { read: (json) => !json.isNull('sliding_window') };

/** Which layers have a window, and whether the others know positions. */
export const exaone4Windows = {
  isHybrid,
  globalLayers,
  slidingWindows: slidingByLayer({
    window: 4096,
    slides: (layer, { globalLayers }: { readonly globalLayers: number; readonly numHiddenLayers: number }) =>
      (layer + 1) % globalLayers !== 0,
  }),
};

/** Qwen 3's norms of queries and keys; beside layers with a window, those without know no positions. */
export function exaone4Attention(
  layerId: number,
  config: NormedHeadsConfig & { readonly isHybrid: boolean },
  weights: Weights,
  options?: AttentionOptions,
): LayerStep {
  const rotates = !config.isHybrid || config.slidingWindows[layerId] !== undefined;
  const Attention = rotates ? NormedRotaryAttention : NormedAttention;
  return new Attention(layerId, config, weights, qwen3Norms(config, weights), options);
}

/** Defaults of transformers 5.24, Exaone4Config. */
const EXAONE4_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 32, rmsNormEps: 1e-5 }),
    ...biases({ qkv: false, dense: false, mlp: false }),
    ...exaone4Windows,
  },
});
type Exaone4Config = ConfigOf<typeof EXAONE4_CONFIG>;

/** Layers of OLMo 2 with Qwen 3's norms of q and k; beside layers with a window, those without know no positions (arXiv:2507.11407, section 2.1). */
export class FlashExaone4ForCausalLMATB extends FlashLlamaForCausalLMATB<Exaone4Config> {
  override readonly name = 'exaone4';

  constructor(config: Exaone4Config, weights: Weights) {
    super(config, weights, (layerId, at) => {
      const selfAttn = exaone4Attention(layerId, config, at.at('self_attn'));
      return new Olmo2Layer(layerId, config, at, { selfAttn });
    });
  }
}

export const Exaone4Router = routerOf(EXAONE4_CONFIG, FlashExaone4ForCausalLMATB, {
  about: {
    kind: 'variant',
    features: ['norms behind each step', 'norms of q and k', 'windows by layer', 'layers without rotary'],
    reference: 'transformers',
  },
});
registerModel('exaone4', Exaone4Router);
