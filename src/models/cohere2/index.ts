import { PositionFreeAttention, RotaryAttention } from '../../layers/attention/attention-orders.js';
import { type ConfigOf, defineConfig, rotaryConfig, slidingByLayer } from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { COMMAND_FIELDS, FlashParallelCohereATB } from '../cohere/index.js';

/** Defaults of transformers 5.24, Cohere2Config. */
const COHERE2_CONFIG = defineConfig({
  fields: {
    ...COMMAND_FIELDS,
    rope: rotaryConfig({ theta: 10_000, interleaved: true }),
    slidingWindows: slidingByLayer({ window: 4096, slidingWindowPattern: 4 }),
  },
});
type Cohere2Config = ConfigOf<typeof COHERE2_CONFIG>;

/** Command R7B and A: layers with a window know positions, the others do not (arXiv:2504.00698). */
export class FlashCohere2ForCausalLMATB extends FlashParallelCohereATB<Cohere2Config> {
  readonly name = 'cohere2';

  constructor(config: Cohere2Config, weights: Weights) {
    super(config, weights, {
      attention: (layerId, at) =>
        config.slidingWindows[layerId] === undefined
          ? new PositionFreeAttention(layerId, config, at)
          : new RotaryAttention(layerId, config, at),
    });
  }
}

export const Cohere2Router = routerOf(COHERE2_CONFIG, FlashCohere2ForCausalLMATB, {
  about: {
    kind: 'variant',
    features: ['as cohere', 'windows by layer', 'layers without rotary'],
    reference: 'transformers',
  },
});
registerModel('cohere2', Cohere2Router);
