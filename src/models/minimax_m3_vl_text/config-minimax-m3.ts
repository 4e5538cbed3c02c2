import {
  biases,
  blockIndexer,
  type ConfigOf,
  constant,
  decoder,
  defineConfig,
  experts,
  type Field,
  field,
  fullAttention,
  keysBecause,
  LLAMA_DEFAULTS,
  layersOfType,
  markedLayers,
  oneOf,
  only,
  positive,
  predictionLayers,
  rotaryConfig,
  routedScalingFactor,
  SIZE,
  WIDTH,
} from '../../layers/config/index.js';
import type { RopeConfig } from '../../step-inputs/index.js';
import { SIGMOID } from '../deepseek_v3/index.js';

type Layers = { readonly numHiddenLayers: number };

/** For each layer, whether its MLP is experts: all are in files that do not say it. */
const sparseLayers: Field<readonly boolean[], Layers> = {
  read(json, config) {
    const marked = markedLayers(json, 'moe_layer_freq', config);
    const otherwise = () => (layer: number) => marked?.[layer] ?? true;
    return layersOfType('sparse', 'dense', otherwise, 'mlp_layer_types').read(json, config);
  },
};

/**
 * The model reads `partial_rotary_factor`, and files of transformers may say something else here. Where nobody says a
 * share, a part of a head is refused: other programs turn that part.
 */
const turnedSize: Field<number, { readonly headDim: number; readonly rope: RopeConfig }> = {
  read(json, { headDim, rope: { rotaryDim } }) {
    const found = json.value('rotary_dim', SIZE) ?? rotaryDim;
    if (found < headDim && rotaryDim === headDim)
      json.problem(
        `rotary_dim (${found}) must be said by partial_rotary_factor, which is that of a whole head`,
      );
    return rotaryDim;
  },
};

/** Defaults of transformers 5.24, MiniMaxM3VLTextConfig. */
export const MINIMAX_M3_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 4, headDim: 128 }),
    ...biases({ qkv: false, dense: false, mlp: false }),
    ...experts({
      numExperts: 128,
      numExpertsPerToken: 4,
      moeIntermediateSize: 'intermediate_size',
      normTopkProb: 'always',
    }),
    rope: rotaryConfig({ theta: 5_000_000, factor: 1 }),
    turnedSize,
    slidingWindows: fullAttention,
    // Whatever it says, gates are those of gpt-oss.
    activation: field('hidden_act', oneOf('swigluoai', 'silu'), 'silu'),
    hiddenAct: constant('silu' as const),
    swigluAlpha: field('swiglu_alpha', positive(100), 1.702),
    swigluLimit: field('swiglu_limit', positive(1e6), 7),
    raised: field('swiglu_beta', only(1), 1),
    denseWidth: field('dense_intermediate_size', WIDTH, 12_288),
    sharedWidth: field('shared_intermediate_size', WIDTH, 3072),
    sharedExperts: field('n_shared_experts', only(1), 1),
    sparseLayers,
    scoring: SIGMOID,
    routedScalingFactor: routedScalingFactor(2),
    correctsChoice: field('use_routing_bias', only(true), true),
    predictionLayers: predictionLayers(0),
    hasOffsetNorms: field('use_gemma_norm', only(true), true),
    normsHeads: field('use_qk_norm', only(true), true),
    normedByHead: field('qk_norm_type', only('per_head'), 'per_head'),
    hasGate: field('attention_output_gate', only(false), false),
    ...blockIndexer,
  },
  irrelevant: {
    router_jitter_noise: 'is added in training alone',
    ...keysBecause(
      'tells of layers that guess further tokens, which are left out',
      ...['use_mtp', 'num_mtp_modules', 'mtp_transformer_layers'],
    ),
  },
});
export type MiniMaxM3Config = ConfigOf<typeof MINIMAX_M3_CONFIG>;
