import {
  type ConfigOf,
  type ConfigReader,
  defineConfig,
  expertGroups,
  type Field,
  field,
  flag,
  HEADS,
  integer,
  keysBecause,
  layersOfType,
  only,
  pooledIndexer,
  positive,
  required,
  SIZE,
  sparseByType,
  text,
  within,
} from '../../layers/config/index.js';
import { besideText, dtypeBesideText, tokensBesideText } from '../base/vision/index.js';
import { DEEPSEEK_IRRELEVANT, deepseek } from '../deepseek_v2/index.js';
import { SIGMOID } from '../deepseek_v3/index.js';

const sectionOf = (json: ConfigReader): ConfigReader | undefined => json.section('linear_attn_config');

/** In `linear_attn_config`, which counts more, or under a name of its own. */
const ofLinear = (inner: string, outer: string, check: typeof SIZE, fallback: number): Field<number> => ({
  read(json) {
    const own = json.value(outer, check) ?? fallback;
    return sectionOf(json)?.value(inner, check) ?? own;
  },
});

const BOUND = positive(-1e-3, -1e3);

/** What logarithms of decays stay above: null is none, unless `safe_gate` asks for one. */
const decayBound: Field<number | undefined> = {
  read(json) {
    const bound = (at: ConfigReader, name: string) =>
      at.isNull(name) ? undefined : (at.value(name, BOUND) ?? -5);
    const own = bound(json, 'linear_lower_bound');
    const section = sectionOf(json);
    if (section === undefined) return own;
    const isSafe = section.value('safe_gate', flag) ?? true;
    const found = section.raw('gate_lower_bound') === undefined ? own : bound(section, 'gate_lower_bound');
    return found ?? (isSafe ? -5 : undefined);
  },
};

const linearHeadSize = ofLinear('head_dim', 'linear_head_dim', SIZE, 128);

const TEXT = {
  ...deepseek({
    ...{ qLoraRank: 1536, kvLoraRank: 512, qkNopeHeadDim: 256, qkRopeHeadDim: 0, vHeadDim: 256 },
    experts: { numExperts: 288, numExpertsPerToken: 8, moeIntermediateSize: 2048, normTopkProb: true },
    ...{ sharedExperts: 1, firstDenseLayers: 3, routedScalingFactor: 2.5, mlpBias: false },
  }),
  rmsNormEps: field('rms_norm_eps', positive(1), 1e-5),
  qLoraRank: field('q_lora_rank', SIZE, 1536),
  headDim: field('qk_rope_head_dim', only(0), 0),
  expertGroups: expertGroups({ count: 1, kept: 1, scored: 2 }),
  scoring: SIGMOID,
  choice: field('topk_method', only('noaux_tc'), 'noaux_tc'),
  sparseLayers: sparseByType({ dense: 3 }),
  swigluLimit: field('swiglu_limit', positive(1e6), 10),
  attends: layersOfType(
    ['indexed_attention', 'full_attention'],
    'linear_attention',
    () => (layer) => layer % 4 === 3,
  ),
  linearHeads: ofLinear('num_heads', 'linear_num_heads', HEADS, 64),
  linearHeadSize,
  gateRank: linearHeadSize,
  convTaps: ofLinear('short_conv_kernel_size', 'linear_conv_kernel_dim', integer(2, 64), 4),
  decayBound,
  streams: field('hc_mult', integer(1, 16), 4),
  sinkhornIterations: field('hc_sinkhorn_iters', integer(1, 1000), 20),
  hyperEps: field('hc_eps', positive(1), 1e-6),
  ...pooledIndexer({ heads: 32, tokensPerKey: 16 }),
};

/** Defaults of transformers 5.24, Glm5NextTextConfig; files of text alone have its keys at the top. */
export const GLM5_NEXT_CONFIG = defineConfig({
  fields: {
    ...within('text_config', TEXT, ['head_dim', 'model_type', ...Object.keys(DEEPSEEK_IRRELEVANT)]),
    modelType: field('model_type', text, required),
    dtype: dtypeBesideText,
    tieWordEmbeddings: besideText('tie_word_embeddings', flag, false),
    eosTokenIds: tokensBesideText('eos_token_id'),
  },
  irrelevant: {
    ...DEEPSEEK_IRRELEVANT,
    head_dim: 'is that of what turns, and nothing does',
    ...keysBecause(
      'is about pictures and videos, which are not built',
      ...['vision_config', 'image_token_id', 'image_start_token_id', 'image_end_token_id'],
      ...['video_token_id', 'video_start_token_id', 'video_end_token_id'],
    ),
  },
});
export type Glm5NextConfig = ConfigOf<typeof GLM5_NEXT_CONFIG>;
