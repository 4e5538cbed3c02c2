import {
  biases,
  type ConfigOf,
  type ConfigReader,
  decoder,
  defineConfig,
  type Field,
  field,
  flag,
  HEADS,
  integer,
  keysBecause,
  LENGTH,
  LLAMA_DEFAULTS,
  markedLayers,
  only,
  positive,
  predictionLayers,
  rotaryByWindow,
  slidingByLayer,
  sparseByType,
} from '../../layers/config/index.js';
import { glm4Experts } from '../glm4_moe/index.js';

const HEAD_SIZE = integer(1, 1000);
type Layers = { readonly numHiddenLayers: number };

/** The first layer and every sixth see all keys. */
const byDefault = (layer: number): boolean => layer !== 0 && (layer + 1) % 6 !== 0;

/** Published files mark layers with a window in a list of their own, and count the keys before a query's own. */
const slidingWindows: Field<readonly (number | undefined)[], Layers> = {
  read(json, config) {
    const marked = markedLayers(json, 'hybrid_layer_pattern', config);
    const slides = (layer: number): boolean => marked?.[layer] ?? byDefault(layer);
    const windows = slidingByLayer({ window: 129, slides }).read(json, config);
    const before = json.optional('sliding_window_size', LENGTH);
    return windows.map((window) => (window === undefined || before === undefined ? window : before + 1));
  },
};

/** Published files mark layers with experts. */
const sparseLayers: Field<readonly boolean[], Layers> = {
  read(json, config) {
    const marked = Array.isArray(json.dict.moe_layer_freq) && markedLayers(json, 'moe_layer_freq', config);
    return marked || sparseByType({ dense: 1 }).read(json, config);
  },
};

/** What layers with a window say apart must be what the others have. */
const sameAs = <K extends string>(name: string, property: K): Field<number, Readonly<Record<K, number>>> => ({
  read(json: ConfigReader, config) {
    const own = config[property];
    const found = json.value(name, integer(1, 10_000)) ?? own;
    if (found !== own) json.problem(`${name} must be that of all layers (${own}), found ${found}`);
    return own;
  },
});

const turning = (theta: number, thetaNames: string) => ({
  theta,
  thetaNames,
  factor: 0.334,
  isScaled: false,
});

/** Defaults of transformers 5.24, MiMoV2FlashConfig. */
export const MIMO_V2_FLASH_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 4, headDim: 192, rmsNormEps: 1e-5 }),
    rmsNormEps: field(['rms_norm_eps', 'layernorm_epsilon'], positive(1), 1e-5),
    valueHeadDim: field('v_head_dim', HEAD_SIZE, 128),
    slidingKeyValueHeads: field(
      'swa_num_key_value_heads',
      HEADS,
      ({ numKeyValueHeads }: { readonly numKeyValueHeads: number }) => 2 * numKeyValueHeads,
    ),
    slidingHeads: sameAs('swa_num_attention_heads', 'numAttentionHeads'),
    slidingHeadDim: sameAs('swa_head_dim', 'headDim'),
    slidingValueHeadDim: sameAs('swa_v_head_dim', 'valueHeadDim'),
    slidingSinks: field('add_swa_attention_sink_bias', only(true), true),
    fullSinks: field('add_full_attention_sink_bias', only(false), false),
    valueScale: {
      read: (json: ConfigReader) =>
        json.isNull('attention_value_scale')
          ? 1
          : (json.value('attention_value_scale', positive(1e6)) ?? 0.707),
    },
    ...rotaryByWindow({
      full_attention: turning(5_000_000, 'rope_theta'),
      sliding_attention: turning(10_000, 'swa_rope_theta'),
    }),
    slidingWindows,
    ...biases({ qkv: field('attention_bias', flag, false), dense: false, mlp: false }),
    ...glm4Experts(
      { numExperts: 256, numExpertsPerToken: 8, moeIntermediateSize: 2048, normTopkProb: true },
      0,
    ),
    sparseLayers,
    predictionLayers: predictionLayers(0),
    scoring: field('scoring_func', only('sigmoid'), 'sigmoid'),
    choice: field('topk_method', only('noaux_tc'), 'noaux_tc'),
  },
  irrelevant: keysBecause(
    'MiMoV2FlashAttention has windows in its place',
    'attention_chunk_size',
    'hybrid_block_size',
  ),
});
export type MiMoV2FlashConfig = ConfigOf<typeof MIMO_V2_FLASH_CONFIG>;
