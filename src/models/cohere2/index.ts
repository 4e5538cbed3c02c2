import { PositionFreeAttention, RotaryAttention } from '../../layers/attention-orders.js';
import {
  biases,
  type ConfigOf,
  defineConfig,
  field,
  groupedQueryAttention,
  mlp,
  positive,
  rotaryConfig,
  slidingByLayer,
  textModel,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashParallelCohereATB } from '../cohere/index.js';

/** Defaults of transformers 5.24, Cohere2Config. */
const COHERE2_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: true }),
    ...groupedQueryAttention({
      numKeyValueHeads: 'num_attention_heads',
      headDim: 'hidden_size / num_attention_heads',
    }),
    ...mlp({ hiddenAct: 'silu' }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    layerNormEps: field('layer_norm_eps', positive(1), 1e-5),
    rope: rotaryConfig({ theta: 10_000, interleaved: true }),
    slidingWindows: slidingByLayer({ window: 4096, slidingWindowPattern: 4 }),
    logitScale: field('logit_scale', positive(1e6), 0.0625),
  },
});
type Cohere2Config = ConfigOf<typeof COHERE2_CONFIG>;

/** Command R7B and A: layers with a window know positions, the others do not (arXiv:2504.00698). */
export class FlashCohere2ForCausalLMATB extends FlashParallelCohereATB<Cohere2Config> {
  readonly name = 'cohere2';

  constructor(config: Cohere2Config, weights: Weights) {
    super(config, weights, (layerId, at) =>
      config.slidingWindows[layerId] === undefined
        ? new PositionFreeAttention(layerId, config, at)
        : new RotaryAttention(layerId, config, at),
    );
  }
}

export const Cohere2Router = routerOf(COHERE2_CONFIG, FlashCohere2ForCausalLMATB);
registerModel('cohere2', Cohere2Router);
