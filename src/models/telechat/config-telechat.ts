import {
  biases,
  bothSpellings,
  type ConfigOf,
  constant,
  contextLength,
  defineConfig,
  type Field,
  field,
  fullAttention,
  groupedQueryAttention,
  keysBecause,
  LLAMA_DEFAULTS,
  longestContext,
  positive,
  required,
  rotaryConfig,
  textModel,
  WIDTH,
} from '../../layers/config/index.js';
import type { RopeConfig } from '../../step-inputs/index.js';

const THETA = 10_000;

interface Lengths {
  readonly trainedLength: number;
  readonly tieWordEmbeddings: boolean;
}

/**
 * The base of the frequencies, which NTK scaling stretches for the length of training, and for all shorter contexts alike.
 * From which length on it does is `base_seqlen`; the code of checkpoints that do not say it has 4096 in TeleChat-7B, whose
 * head is its embedding, and 8192 in the others.
 */
const rope: Field<
  RopeConfig,
  Lengths & { readonly headDim: number; readonly maxPositionEmbeddings: number }
> = {
  read(json, config) {
    const { trainedLength, tieWordEmbeddings, headDim } = config;
    const base = field('base_seqlen', WIDTH, tieWordEmbeddings ? 4096 : 8192).read(json, {});
    const alpha = Math.max(2 ** Math.ceil(Math.log2(trainedLength / base) + 1) - 1, 1);
    return rotaryConfig({ theta: THETA * alpha ** (headDim / (headDim - 2)) }).read(json, config);
  },
};

/** Defaults of the published configuration_telechat.py. */
export const TELECHAT_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: true }),
    ...groupedQueryAttention(LLAMA_DEFAULTS),
    ...bothSpellings,
    trainedLength: field('training_seqlen', WIDTH, 8192),
    maxPositionEmbeddings: contextLength(['seq_length', 'max_position_embeddings'], 8192),
    intermediateSize: field('ffn_hidden_size', WIDTH, required),
    hiddenAct: constant('silu' as const),
    ...biases({ qkv: false, dense: true, mlp: false }),
    downBias: constant(true),
    rmsNormEps: field('layer_norm_epsilon', positive(1), 1e-5),
    rope,
    longestContext: longestContext(
      'training_seqlen of config.json: how frequencies grow with longer contexts is not built',
      ({ trainedLength }: Lengths) => trainedLength,
    ),
    slidingWindows: fullAttention,
  },
  irrelevant: {
    hidden_act: 'TelechatMLP has silu whatever it says',
    logn: 'the published code does not read it where it computes',
    offset_alibi: 'the model has no ALiBi',
    ...keysBecause('says where training adds biases', 'skip_bias_add', 'skip_bias_add_qkv'),
    slow_but_exact: 'splits products as training did; their sum is the same up to rounding',
  },
});
export type TelechatConfig = ConfigOf<typeof TELECHAT_CONFIG>;
