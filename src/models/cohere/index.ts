import { NormedRotaryAttention, type ProjectionNorms } from '../../layers/attention-orders.js';
import {
  type ConfigOf,
  defineConfig,
  field,
  flag,
  fullAttention,
  rotaryConfig,
} from '../../layers/config/index.js';
import { PerHeadLayerNorm } from '../../layers/norms.js';
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

/** The norms of queries and keys, one for each head, in models that have them. */
function projectionNorms(config: CohereConfig, weights: Weights): ProjectionNorms | undefined {
  if (!config.useQkNorm) return undefined;
  const norm = (at: Weights, heads: number) => {
    const ofHeads = at.get('weight', [heads, config.headDim]);
    const ofHead = (head: number) => expertOf(ofHeads, head);
    return new PerHeadLayerNorm(at, { ...config, heads }, config.layerNormEps, ofHead);
  };
  return {
    q: norm(weights.at('q_norm'), config.numAttentionHeads),
    k: norm(weights.at('k_norm'), config.numKeyValueHeads),
  };
}

/** Command R. */
export class FlashCohereForCausalLMATB extends FlashParallelCohereATB<CohereConfig> {
  readonly name = 'cohere';

  constructor(config: CohereConfig, weights: Weights) {
    super(
      config,
      weights,
      (layerId, at) => new NormedRotaryAttention(layerId, config, at, projectionNorms(config, at)),
    );
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
