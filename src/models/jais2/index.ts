import {
  biases,
  type ConfigOf,
  defineConfig,
  field,
  flag,
  fullAttention,
  groupedQueryAttention,
  LLAMA_DEFAULTS,
  mlp,
  positive,
  rotaryConfig,
  textModel,
} from '../../layers/config/index.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashNormedLlamaATB } from '../base/flash-normed-llama-atb.js';

const attentionBias = field('attention_bias', flag, true);

/** Defaults of transformers 5.24, Jais2Config. */
const JAIS2_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: false }),
    ...groupedQueryAttention(LLAMA_DEFAULTS),
    ...mlp({ hiddenAct: 'relu2' }),
    ...biases({ qkv: attentionBias, dense: attentionBias, mlp: field('mlp_bias', flag, true) }),
    layerNormEps: field('layer_norm_eps', positive(1), 1e-5),
    rope: rotaryConfig({ theta: 10_000 }),
    slidingWindows: fullAttention,
  },
});
type Jais2Config = ConfigOf<typeof JAIS2_CONFIG>;

/** Llama with LayerNorm, biases, and relu squared in an MLP without a gate. */
export class FlashJais2ForCausalLMATB extends FlashNormedLlamaATB<Jais2Config> {
  readonly name = 'jais2';

  constructor(config: Jais2Config, weights: Weights) {
    super(config, weights, {
      norm: (at) => new BaseLayerNorm(at, config.hiddenSize, config.layerNormEps),
      mlp: (at) => new UngatedMLP(config, at),
    });
  }
}

export const Jais2Router = routerOf(JAIS2_CONFIG, FlashJais2ForCausalLMATB, {
  about: {
    kind: 'variant',
    features: ['LayerNorm', 'MLP without a gate', 'relu²'],
    reference: 'transformers',
  },
});
registerModel('jais2', Jais2Router);
