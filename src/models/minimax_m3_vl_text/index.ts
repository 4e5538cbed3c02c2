import { NormedRotaryAttention, projectionNorms } from '../../layers/attention/attention-orders.js';
import { BlockAttention } from '../../layers/attention/block-attention.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { ExpertRouter } from '../../layers/experts/expert-router.js';
import { Experts, SparseMLP } from '../../layers/experts/experts.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { HeadNorm, OffsetRMSNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { MINIMAX_M3_CONFIG, type MiniMaxM3Config } from './config-minimax-m3.js';

/** Attention with norms of heads, to all keys or to those of chosen blocks. */
function attentionOf(layerId: number, config: MiniMaxM3Config, weights: Weights): NormedRotaryAttention {
  const norms = projectionNorms(
    config,
    (of, heads) =>
      new HeadNorm(weights.at(`${of}_norm`), { ...config, heads }, config.rmsNormEps, OffsetRMSNorm),
  );
  return config.blockLayers[layerId]
    ? new BlockAttention(layerId, config, weights, norms)
    : new NormedRotaryAttention(layerId, config, weights, norms);
}

/** Gates are clamped as gpt-oss has it. */
const clampOf = (config: MiniMaxM3Config) => ({
  limit: config.swigluLimit,
  gateScale: config.swigluAlpha,
});

/** An MLP of another width, whose gates transformers stores over what they gate, and published files beside it. */
function clampedMLP(config: MiniMaxM3Config, intermediateSize: number, weights: Weights): BaseMLP {
  const options = weights.has('gate_up_proj.weight')
    ? { names: { gateUp: 'gate_up_proj', down: 'down_proj' } }
    : {};
  return new BaseMLP({ ...config, intermediateSize }, weights, { clamp: clampOf(config), ...options });
}

/** Corrected sigmoids choose experts, beside one that all tokens share. */
const expertsOf = (config: MiniMaxM3Config, weights: Weights): SparseMLP =>
  new SparseMLP({
    router: new ExpertRouter(config, weights, {
      gate: 'gate.weight',
      correction: 'gate.e_score_correction_bias',
    }),
    experts: new Experts({ ...config, clamp: clampOf(config) }, weights.at('experts'), {
      ...{ gate: 'w1', up: 'w3', down: 'w2' },
    }),
    shared: clampedMLP(config, config.sharedWidth, weights.at('shared_experts')),
  });

/** MiniMax-M3's text: experts behind attention of which most layers read some blocks of keys alone. */
export class FlashMiniMaxM3ForCausalLMATB extends FlashForCausalLMATB<MiniMaxM3Config> {
  readonly name = 'minimax_m3_vl_text';
  protected readonly model: BaseModelATB;

  constructor(config: MiniMaxM3Config, weights: Weights) {
    super(config, weights);
    const inner = weights.at('model');
    const norm = (at: Weights) => new OffsetRMSNorm(at, config.hiddenSize, config.rmsNormEps);
    this.model = new BaseModelATB(config, inner, {
      layer(layerId, at) {
        const mlp = at.at('mlp');
        const parts = {
          inputLayernorm: norm(at.at('input_layernorm')),
          selfAttn: attentionOf(layerId, config, at.at('self_attn')),
          postAttentionLayernorm: norm(at.at('post_attention_layernorm')),
          mlp: config.sparseLayers[layerId]
            ? expertsOf(config, mlp)
            : clampedMLP(config, config.denseWidth, mlp),
        };
        const variant = [
          config.sparseLayers[layerId] ? '' : 'dense',
          config.blockLayers[layerId] ? 'blocks' : '',
        ];
        return new PreNormLayer(layerId, at, parts, variant.filter((part) => part !== '').join('_'));
      },
      norm: norm(inner.at('norm')),
    });
  }
}

export const MiniMaxM3Router = routerOf(MINIMAX_M3_CONFIG, FlashMiniMaxM3ForCausalLMATB, {
  about: {
    kind: 'experts',
    features: [
      ...['attention to chosen blocks', 'norms of q and k', 'partial rotary'],
      ...['corrected choice', 'a shared expert', 'clamped SwiGLU'],
    ],
    reference: 'transformers',
  },
  // Layers that guess further tokens.
  harmlessTensors: [/(^|\.)mtp\./],
});
registerModel('minimax_m3_vl_text', MiniMaxM3Router);
