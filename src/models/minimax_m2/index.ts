import { NormedRotaryAttention } from '../../layers/attention/attention-orders.js';
import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  experts,
  field,
  fullAttention,
  keysBecause,
  LLAMA_DEFAULTS,
  listOf,
  only,
  rotaryOfDim,
} from '../../layers/config/index.js';
import { ExpertRouter } from '../../layers/experts/expert-router.js';
import { Experts, SparseMLP } from '../../layers/experts/experts.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { SIGMOID } from '../deepseek_v3/index.js';
import { FlashSparseLlamaATB } from '../llama/index.js';
import { olmo2Norms } from '../olmo2/index.js';

/** Defaults of transformers 5.24, MiniMaxM2Config. */
const MINIMAX_M2_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 8, headDim: 128 }),
    ...biases({ qkv: false, dense: false, mlp: false }),
    ...experts({
      numExperts: 256,
      numExpertsPerToken: 8,
      moeIntermediateSize: 'intermediate_size',
      normTopkProb: 'always',
    }),
    rope: rotaryOfDim(5_000_000),
    scoring: SIGMOID,
    normsHeads: field('use_qk_norm', only(true), true),
    normedAtOnce: field('qk_norm_type', only('per_layer'), 'per_layer'),
    correctsChoice: field('use_routing_bias', only(true), true),
    sharedWidth: field('shared_intermediate_size', only(0), 0),
    fullLayers: field('attn_type_list', listOf(only(1), 'ones'), []),
    slidingWindows: fullAttention,
  },
  irrelevant: {
    router_jitter_noise: 'is added in training alone',
    ...keysBecause(
      'tells of layers that guess further tokens, which are left out',
      ...['use_mtp', 'num_mtp_modules', 'mtp_transformer_layers'],
    ),
    ...keysBecause(
      'scales residuals of another model of that class',
      ...['layernorm_full_attention_beta', 'layernorm_linear_attention_beta', 'layernorm_mlp_beta'],
    ),
  },
});
type MiniMaxM2Config = ConfigOf<typeof MINIMAX_M2_CONFIG>;

/** Mixtral with OLMo 2's norms of queries and keys, of which half a head turns; sigmoids choose experts. */
export class FlashMiniMaxM2ForCausalLMATB extends FlashSparseLlamaATB<MiniMaxM2Config> {
  readonly name = 'minimax_m2';

  constructor(config: MiniMaxM2Config, weights: Weights) {
    super(config, weights, {
      mlpName: 'block_sparse_moe',
      selfAttn: (layerId, at) => new NormedRotaryAttention(layerId, config, at, olmo2Norms(config, at)),
      experts: (at) =>
        new SparseMLP({
          router: new ExpertRouter(config, at, {
            gate: 'gate.weight',
            correction: 'e_score_correction_bias',
          }),
          experts: new Experts(config, at.at('experts'), { gate: 'w1', up: 'w3', down: 'w2' }),
        }),
    });
  }
}

export const MiniMaxM2Router = routerOf(MINIMAX_M2_CONFIG, FlashMiniMaxM2ForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['corrected choice', 'partial rotary', 'norms of q and k over all heads'],
    reference: 'transformers',
  },
});
registerModel('minimax_m2', MiniMaxM2Router);
