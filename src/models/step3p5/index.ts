import { projectionNorms } from '../../layers/attention/attention-orders.js';
import { GatedRotaryAttention } from '../../layers/attention/gated-attention.js';
import { clampVariant } from '../../layers/config/index.js';
import { slidingVariant } from '../../layers/decoder/base-layer.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { ExpertRouter } from '../../layers/experts/expert-router.js';
import { Experts, SparseMLP } from '../../layers/experts/experts.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { HeadNorm, OffsetRMSNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { ExpertStacks } from '../../weights/expert-stacks.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { STEP3P5_CONFIG, type Step3p5Config } from './config-step3p5.js';

export type { Step3p5Config } from './config-step3p5.js';

/** Attention with as many heads of queries as its kind of layers has, each of which has a gate. */
class Step3p5Attention extends GatedRotaryAttention {
  /** Throws what `BaseAttention` throws. */
  constructor(layerId: number, config: Step3p5Config, weights: Weights) {
    const slides = config.slidingWindows[layerId] !== undefined;
    const sizes = slides ? { ...config, numAttentionHeads: config.slidingHeads } : config;
    const rope = slides ? config.slidingRope : config.rope;
    const norms = projectionNorms(
      sizes,
      (of, heads) =>
        new HeadNorm(weights.at(`${of}_norm`), { ...sizes, rope, heads }, config.rmsNormEps, OffsetRMSNorm),
    );
    const scale = 1 / Math.sqrt(config.scoreSize);
    super(layerId, sizes, weights, norms, { name: 'g_proj', perHead: true }, { scale });
  }
}

/** Stacks of all experts of a layer, [experts, rows, columns] each. */
const STACKS: ExpertStacks = Object.fromEntries(
  ['gate_proj.weight', 'up_proj.weight', 'down_proj.weight'].map((tensor) => [tensor, { tensor }]),
);

/** Corrected sigmoids choose experts, beside one that all tokens share. `layer` is the layer's cursor. */
function step3p5Experts(layerId: number, config: Step3p5Config, layer: Weights): SparseMLP {
  const weights = layer.at('moe');
  const shared = { ...config, intermediateSize: config.sharedWidth };
  return new SparseMLP({
    router: new ExpertRouter({ ...config, scoring: 'sigmoid' }, weights, {
      gate: 'gate.weight',
      correction: 'router_bias',
    }),
    experts: new Experts({ ...config, clamp: config.clamps[layerId] }, weights, { stacks: STACKS }),
    shared: new BaseMLP(shared, layer.at('share_expert'), { clamp: config.sharedClamps[layerId] }),
  });
}

/** Tells layers with experts from those without, and those whose bounds differ. */
function variantOf(layerId: number, config: Step3p5Config): string {
  const isSparse = config.sparseLayers[layerId];
  const own = clampVariant(isSparse ? config.clamps[layerId] : undefined, config.sharedClamps[layerId]);
  const parts = [isSparse ? '' : 'dense', own, slidingVariant(config, layerId)];
  return parts.filter((part) => part !== '').join('_');
}

/**
 * Step 3.5: gated attention with more heads and another rotary embedding in layers with a window, experts behind the first
 * layers, whose results have bounds in the last ones (transformers 5.24, Step3p7TextModel).
 */
export class FlashStep3p5ForCausalLMATB extends FlashForCausalLMATB<Step3p5Config> {
  readonly name: string = 'step3p5';
  protected readonly model: BaseModelATB;

  constructor(config: Step3p5Config, weights: Weights) {
    super(config, weights);
    const inner = weights.at('model');
    const norm = (at: Weights) => new OffsetRMSNorm(at, config.hiddenSize, config.rmsNormEps);
    this.model = new BaseModelATB(config, inner, {
      layer: (layerId, at) =>
        new PreNormLayer(
          layerId,
          at,
          {
            inputLayernorm: norm(at.at('input_layernorm')),
            selfAttn: new Step3p5Attention(layerId, config, at.at('self_attn')),
            postAttentionLayernorm: norm(at.at('post_attention_layernorm')),
            mlp: config.sparseLayers[layerId]
              ? step3p5Experts(layerId, config, at)
              : new BaseMLP(config, at.at('mlp'), { clamp: config.sharedClamps[layerId] }),
          },
          variantOf(layerId, config),
        ),
      norm: norm(inner.at('norm')),
    });
  }
}

export const Step3p5Router = routerOf(STEP3P5_CONFIG, FlashStep3p5ForCausalLMATB, {
  about: {
    kind: 'experts',
    features: [
      ...['gates of heads', 'more heads in layers with a window', 'norms of q and k', 'windows by layer'],
      ...['two rotary embeddings', 'corrected choice', 'a shared expert', 'clamped SwiGLU by layer'],
    ],
    reference: 'transformers, as step3p7',
  },
});
registerModel('step3p5', Step3p5Router);
