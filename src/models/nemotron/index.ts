import {
  biases,
  type ConfigOf,
  defineConfig,
  field,
  fullAttention,
  groupedQueryAttention,
  mlp,
  positive,
  rotaryConfig,
  textModel,
} from '../../layers/config/index.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import { plus } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { FlashNormedLlamaATB } from '../base/flash-normed-llama-atb.js';

/** Defaults of transformers 5.24, NemotronConfig. */
const NEMOTRON_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: false }),
    ...groupedQueryAttention({
      numKeyValueHeads: 'num_attention_heads',
      headDim: 'hidden_size / num_attention_heads',
    }),
    ...mlp({ hiddenAct: 'relu2' }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: 'mlp_bias' }),
    normEps: field('norm_eps', positive(1), 1e-5),
    rope: rotaryConfig({ theta: 10_000, factor: 0.5 }),
    slidingWindows: fullAttention,
  },
});
type NemotronConfig = ConfigOf<typeof NEMOTRON_CONFIG>;

/** LayerNorm whose weights are stored as distances from one. */
class OffsetLayerNorm extends BaseLayerNorm {
  override readonly weight: TensorRef;

  constructor(weights: Weights, { hiddenSize, normEps }: NemotronConfig) {
    super(weights, hiddenSize, normEps);
    this.weight = plus(weights.get('weight', [hiddenSize]), 1);
  }
}

/** Half of each head turns, and relu squared stands in an MLP without a gate (arXiv:2402.16819, section 2). */
export class FlashNemotronForCausalLMATB extends FlashNormedLlamaATB<NemotronConfig> {
  readonly name = 'nemotron';

  constructor(config: NemotronConfig, weights: Weights) {
    super(config, weights, {
      norm: (at) => new OffsetLayerNorm(at, config),
      mlp: (at) => new UngatedMLP(config, at),
    });
  }
}

export const NemotronRouter = routerOf(NEMOTRON_CONFIG, FlashNemotronForCausalLMATB, {
  about: {
    kind: 'variant',
    features: ['LayerNorm of 1 + weight', 'partial rotary', 'MLP without a gate', 'relu²'],
    reference: 'transformers',
  },
});
registerModel('nemotron', NemotronRouter);
