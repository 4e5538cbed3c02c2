import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import { sigmoidExperts } from '../../layers/experts/sigmoid-experts.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashSparseLlamaATB } from '../llama/index.js';
import { MIMO_V2_FLASH_CONFIG, type MiMoV2FlashConfig } from './config.js';

/**
 * Layers with a window have more heads of keys than the others, and sinks; values are shorter than keys, and multiplied by
 * a number, which the output projection has here (transformers 5.24, MiMoV2FlashAttention).
 */
function attentionOf(layerId: number, config: MiMoV2FlashConfig, weights: Weights): RotaryAttention {
  const { valueScale: outputScale, slidingKeyValueHeads: numKeyValueHeads } = config;
  if (config.slidingWindows[layerId] === undefined)
    return new RotaryAttention(layerId, config, weights, { outputScale });
  const sinks = 'attention_sink_bias';
  return new RotaryAttention(layerId, { ...config, numKeyValueHeads }, weights, { outputScale, sinks });
}

/** MiMo-V2-Flash: most layers have a window, and all but the first have experts, chosen as in GLM 4.5. */
export class FlashMiMoV2FlashForCausalLMATB extends FlashSparseLlamaATB<MiMoV2FlashConfig> {
  readonly name = 'mimo_v2_flash';

  constructor(config: MiMoV2FlashConfig, weights: Weights) {
    super(config, weights, {
      selfAttn: (layerId, at) => attentionOf(layerId, config, at),
      experts: (at) => sigmoidExperts(config, at, { correction: 'gate.e_score_correction_bias' }),
    });
  }
}

// Layers behind the last that guess further tokens.
export const MiMoV2FlashRouter = routerOf(MIMO_V2_FLASH_CONFIG, FlashMiMoV2FlashForCausalLMATB, {
  harmlessTensors: [/^model\.mtp\./],
  about: {
    kind: 'experts',
    features: [
      'as glm4_moe',
      'windows by layer',
      'sinks',
      'values shorter than keys',
      'a rotary base by window',
    ],
    reference: 'transformers',
  },
});
registerModel('mimo_v2_flash', MiMoV2FlashRouter);
