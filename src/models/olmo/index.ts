import type { AtbGraph } from '../../graph/atb-graph.js';
import {
  biases,
  type ConfigOf,
  constant,
  decoder,
  defineConfig,
  field,
  fullAttention,
  LLAMA_DEFAULTS,
  positive,
} from '../../layers/config/index.js';
import { addLayerNorm, BaseNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import { constantWeight } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { FlashNormedLlamaATB } from '../base/flash-normed-llama-atb.js';

/** Defaults of transformers 5.24, OlmoConfig. */
const OLMO_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, rotary: { keepsF32: true } }),
    // OlmoLayerNorm knows no other.
    rmsNormEps: constant(1e-5),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    clipQkv: field('clip_qkv', positive(1e6), undefined),
    slidingWindows: fullAttention,
  },
  irrelevant: { rms_norm_eps: 'OlmoLayerNorm has an epsilon of its own' },
});
type OlmoConfig = ConfigOf<typeof OLMO_CONFIG>;

/** LayerNorm that has neither weight nor bias: all of a model share ones and zeros. */
class PlainLayerNorm extends BaseNorm {
  private readonly ones: TensorRef;
  private readonly zeros: TensorRef;

  constructor(weights: Weights, { hiddenSize, rmsNormEps }: OlmoConfig) {
    super(weights, rmsNormEps);
    this.ones = constantWeight('layer_norm.ones', [hiddenSize], 1);
    this.zeros = constantWeight('layer_norm.zeros', [hiddenSize], 0);
  }

  override getWeights(): TensorRef[] {
    return [this.ones, this.zeros];
  }

  buildGraph(graph: AtbGraph, input: string): string {
    const { name, epsilon, ones: weight, zeros: bias } = this;
    return addLayerNorm(graph, { name, epsilon, weight, bias, axis: 1 }, input);
  }
}

/** Llama with norms that have no weights (arXiv:2402.00838, section 2.1). */
export class FlashOlmoForCausalLMATB extends FlashNormedLlamaATB<OlmoConfig> {
  readonly name = 'olmo';

  constructor(config: OlmoConfig, weights: Weights) {
    super(config, weights, {
      norm: (at) => new PlainLayerNorm(at, config),
      attention: { clip: config.clipQkv },
    });
  }
}

export const OlmoRouter = routerOf(OLMO_CONFIG, FlashOlmoForCausalLMATB, {
  about: {
    kind: 'variant',
    features: ['LayerNorm without weights', 'bounded projections'],
    reference: 'transformers',
  },
});
registerModel('olmo', OlmoRouter);
