import {
  biases,
  type ConfigOf,
  defineConfig,
  field,
  flag,
  fullAttention,
  groupedQueryAttention,
  mlp,
  positive,
  rotaryConfig,
  textModel,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { CohereAttention, FlashParallelCohereATB } from './modeling-cohere-atb.js';

export * from './modeling-cohere-atb.js';

/** Defaults of transformers 5.24, CohereConfig. */
const COHERE_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: true }),
    ...groupedQueryAttention({
      numKeyValueHeads: 'num_attention_heads',
      headDim: 'hidden_size / num_attention_heads',
    }),
    ...mlp({ hiddenAct: 'silu' }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    layerNormEps: field('layer_norm_eps', positive(1), 1e-5),
    rope: rotaryConfig({ theta: 500_000, interleaved: true }),
    slidingWindows: fullAttention,
    logitScale: field('logit_scale', positive(1e6), 0.0625),
    useQkNorm: field('use_qk_norm', flag, false),
  },
});
type CohereConfig = ConfigOf<typeof COHERE_CONFIG>;

/** Command R. */
export class FlashCohereForCausalLMATB extends FlashParallelCohereATB<CohereConfig> {
  readonly name = 'cohere';

  constructor(config: CohereConfig, weights: Weights) {
    super(config, weights, (layerId, at) => new CohereAttention(layerId, config, at));
  }
}

export const CohereRouter = routerOf(COHERE_CONFIG, FlashCohereForCausalLMATB);
registerModel('cohere', CohereRouter);
