import {
  NormedRotaryAttention,
  type ProjectionNorms,
  projectionNorms,
} from '../../layers/attention/attention-orders.js';
import {
  type ConfigOf,
  defineConfig,
  field,
  flag,
  fullAttention,
  rotaryConfig,
} from '../../layers/config/index.js';
import { PerHeadLayerNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import { expertOf } from '../../weights/weight-changes.js';
import type { Weights } from '../../weights/weights.js';
import { COMMAND_FIELDS, FlashParallelCohereATB } from './modeling-cohere-atb.js';

export * from './modeling-cohere-atb.js';

/** Defaults of transformers 5.24, CohereConfig. */
const COHERE_CONFIG = defineConfig({
  fields: {
    ...COMMAND_FIELDS,
    rope: rotaryConfig({ theta: 500_000, interleaved: true }),
    slidingWindows: fullAttention,
    useQkNorm: field('use_qk_norm', flag, false),
  },
});
type CohereConfig = ConfigOf<typeof COHERE_CONFIG>;

/** The norms of queries and keys, one for each head. */
const normsOf = (config: CohereConfig, weights: Weights): ProjectionNorms =>
  projectionNorms(config, (of, heads) => {
    const at = weights.at(`${of}_norm`);
    const all = at.get('weight', [heads, config.headDim]);
    const ofHead = (head: number) => expertOf(all, head);
    return new PerHeadLayerNorm(at, { ...config, heads }, config.layerNormEps, ofHead);
  });

/** Command R. */
export class FlashCohereForCausalLMATB extends FlashParallelCohereATB<CohereConfig> {
  readonly name = 'cohere';

  constructor(config: CohereConfig, weights: Weights) {
    super(config, weights, {
      attention(layerId, at) {
        const norms = config.useQkNorm ? normsOf(config, at) : undefined;
        return new NormedRotaryAttention(layerId, config, at, norms);
      },
    });
  }
}

export const CohereRouter = routerOf(COHERE_CONFIG, FlashCohereForCausalLMATB, {
  about: {
    kind: 'variant',
    features: ['LayerNorm', 'parallel steps', 'interleaved rotary', 'scaled logits'],
    reference: 'transformers',
  },
});
registerModel('cohere', CohereRouter);
