import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  experts,
  field,
  flag,
  integer,
  keysBecause,
  LLAMA_DEFAULTS,
  only,
  positive,
  sharedExperts,
  slidingByLayer,
  sparseBehind,
} from '../../layers/config/index.js';
import { slidingVariant } from '../../layers/decoder/base-layer.js';
import { SandwichLayer } from '../../layers/decoder/decoder-layers.js';
import { sigmoidExperts } from '../../layers/experts/sigmoid-experts.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { LlamaModelATB } from '../llama/index.js';
import { AfmoeAttention } from './gated-attention.js';

/** Defaults of transformers 5.24, AfmoeConfig. */
const AFMOE_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, headDim: 128, rmsNormEps: 1e-5 }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    ...experts({
      numExperts: 64,
      numExpertsPerToken: 6,
      moeIntermediateSize: 1408,
      normTopkProb: 'always',
    }),
    scoring: field('score_func', only('sigmoid'), 'sigmoid'),
    normsWeights: field('route_norm', only(true), true),
    routedScalingFactor: field('route_scale', positive(1e6), 1),
    groups: field(['n_group', 'num_expert_groups'], only(1), 1),
    keptGroups: field(['topk_group', 'num_limited_groups'], only(1), 1),
    sharedExperts: sharedExperts('num_shared_experts', 2),
    sparseLayers: sparseBehind('num_dense_layers', 1),
    scalesEmbedding: field('mup_enabled', flag, false),
    globalLayers: field('global_attn_every_n_layers', integer(1, 1000), 4),
    slidingWindows: slidingByLayer({
      window: 1024,
      slides: (
        layer,
        { globalLayers }: { readonly globalLayers: number; readonly numHiddenLayers: number },
      ) => (layer + 1) % globalLayers !== 0,
    }),
  },
  irrelevant: keysBecause('is used in training alone', 'load_balance_coeff', 'use_grouped_mm'),
});
type AfmoeConfig = ConfigOf<typeof AFMOE_CONFIG>;

/** Sandwiches of gated attention and of experts behind the first layers; layers with a window alone know positions. */
export class FlashAfmoeForCausalLMATB extends FlashForCausalLMATB<AfmoeConfig> {
  readonly name = 'afmoe';
  protected readonly model: LlamaModelATB;

  constructor(config: AfmoeConfig, weights: Weights) {
    super(config, weights);
    const norm = (at: Weights) => new BaseRMSNorm(at, config.hiddenSize, config.rmsNormEps);
    const names = { gate: 'router.gate.weight', correction: 'expert_bias' };
    const layer = (layerId: number, at: Weights) => {
      const isSparse = config.sparseLayers[layerId];
      const parts = {
        beforeAttention: norm(at.at('input_layernorm')),
        selfAttn: new AfmoeAttention(layerId, config, at.at('self_attn')),
        afterAttention: norm(at.at('post_attention_layernorm')),
        beforeMlp: norm(at.at('pre_mlp_layernorm')),
        mlp: isSparse ? sigmoidExperts(config, at.at('mlp'), names) : new BaseMLP(config, at.at('mlp')),
        afterMlp: norm(at.at('post_mlp_layernorm')),
      };
      const variant = [isSparse ? '' : 'dense', slidingVariant(config, layerId)].filter(
        (part) => part !== '',
      );
      return new SandwichLayer(layerId, at, parts, variant.join('_'));
    };
    const scale = config.scalesEmbedding ? Math.sqrt(config.hiddenSize) : undefined;
    this.model = new LlamaModelATB(config, weights.at('model'), layer, scale);
  }
}

export const AfmoeRouter = routerOf(AFMOE_CONFIG, FlashAfmoeForCausalLMATB, {
  about: {
    kind: 'experts',
    features: [
      ...['gated attention', 'sandwich norms', 'norms of q and k', 'corrected choice', 'a shared expert'],
      ...['windows by layer', 'layers without rotary'],
    ],
    reference: 'transformers',
  },
});
registerModel('afmoe', AfmoeRouter);
