import {
  NormedRotaryAttention,
  type ProjectionNorms,
  projectionNorms,
} from '../../layers/attention/attention-orders.js';
import type { AttentionConfig } from '../../layers/attention-config.js';
import {
  biases,
  type DecoderConfig,
  decoder,
  defineConfig,
  fullAttention,
  LLAMA_DEFAULTS,
} from '../../layers/config/index.js';
import { slidingVariant } from '../../layers/decoder/base-layer.js';
import { type LayerStep, NormedResultLayer } from '../../layers/decoder/decoder-layers.js';
import { rotaryOrder } from '../../layers/linear/projections.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashLlamaForCausalLMATB } from '../llama/index.js';

/** Defaults of transformers 5.24, Olmo2Config. */
const OLMO2_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, rmsNormEps: 1e-5, rotary: { keepsF32: true } }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    slidingWindows: fullAttention,
  },
});

/** The norms of queries and keys, each over all heads at once. */
export const olmo2Norms = (
  config: AttentionConfig & { readonly rmsNormEps: number },
  weights: Weights,
): ProjectionNorms =>
  projectionNorms(config, (of, heads) => {
    const order = rotaryOrder(heads, config.rope);
    return new BaseRMSNorm(weights.at(`${of}_norm`), heads * config.headDim, config.rmsNormEps, order);
  });

/** The parts of a layer that a variant may replace. */
export interface Olmo2LayerParts {
  readonly selfAttn?: LayerStep;
  readonly mlp?: LayerStep;
}

/** Norms are over the results of attention and MLP, not over what goes into them (arXiv:2501.00656, section 3). */
export class Olmo2Layer extends NormedResultLayer {
  constructor(layerId: number, config: DecoderConfig, weights: Weights, given: Olmo2LayerParts = {}) {
    const own = weights.at('self_attn');
    const norm = (name: string) => new BaseRMSNorm(weights.at(name), config.hiddenSize, config.rmsNormEps);
    const parts = {
      selfAttn: given.selfAttn ?? new NormedRotaryAttention(layerId, config, own, olmo2Norms(config, own)),
      afterAttention: norm('post_attention_layernorm'),
      mlp: given.mlp ?? new BaseMLP(config, weights.at('mlp')),
      afterMlp: norm('post_feedforward_layernorm'),
    };
    super(layerId, weights, parts, slidingVariant(config, layerId));
  }
}

/** Llama with layers of that kind. */
export class FlashOlmo2ForCausalLMATB<
  C extends DecoderConfig = DecoderConfig,
> extends FlashLlamaForCausalLMATB<C> {
  override readonly name: string = 'olmo2';

  constructor(config: C, weights: Weights) {
    super(config, weights, (layerId, at) => new Olmo2Layer(layerId, config, at));
  }
}

export const Olmo2Router = routerOf(OLMO2_CONFIG, FlashOlmo2ForCausalLMATB, {
  about: {
    kind: 'variant',
    features: ['norms behind each step', 'norms of q and k over all heads'],
    reference: 'transformers',
  },
});
registerModel('olmo2', Olmo2Router);
