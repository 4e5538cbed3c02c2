import {
  biases,
  type ConfigOf,
  constant,
  defineConfig,
  type Field,
  field,
  fullAttention,
  groupedQueryAttention,
  integer,
  type LongestContext,
  only,
  positive,
  required,
  rotaryConfig,
  textModel,
} from '../../layers/config/index.js';
import type { RopeConfig } from '../../step-inputs/index.js';

const COUNT = integer(1, 2 ** 24);
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
    const base = field('base_seqlen', COUNT, tieWordEmbeddings ? 4096 : 8192).read(json, {});
    const alpha = Math.max(2 ** Math.ceil(Math.log2(trainedLength / base) + 1) - 1, 1);
    return rotaryConfig({ theta: THETA * alpha ** (headDim / (headDim - 2)) }).read(json, config);
  },
};

const maxPositionEmbeddings: Field<number, Lengths> = {
  read(json, { trainedLength }) {
    const length = field(['seq_length', 'max_position_embeddings'], COUNT, trainedLength).read(json, {});
    return Math.min(length, trainedLength);
  },
};

const longestContext: Field<LongestContext, Lengths> = {
  read: (_, { trainedLength: tokens }) => ({
    tokens,
    because: 'training_seqlen of config.json: how frequencies grow with longer contexts is not built',
  }),
};

/** Defaults of the published configuration_telechat.py. */
export const TELECHAT_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: true }),
    ...groupedQueryAttention({
      numKeyValueHeads: 'num_attention_heads',
      headDim: 'hidden_size / num_attention_heads',
    }),
    hiddenSize: field(['hidden_size', 'n_embed'], COUNT, required),
    numHiddenLayers: field(['n_layer', 'num_hidden_layers'], integer(1, 1000), required),
    numAttentionHeads: field(['n_head', 'num_attention_heads'], integer(1, 10_000), required),
    trainedLength: field('training_seqlen', COUNT, 8192),
    maxPositionEmbeddings,
    intermediateSize: field('ffn_hidden_size', COUNT, required),
    hiddenAct: constant('silu' as const),
    ...biases({ qkv: false, dense: true, mlp: false }),
    downBias: constant(true),
    rmsNormEps: field('layer_norm_epsilon', positive(1), 1e-5),
    rope,
    longestContext,
    slidingWindows: fullAttention,
    hasEmbeddingNorm: field('embed_layernorm', only(false), false),
    isSemiCausal: field('semi_causal', only(false), false),
  },
  irrelevant: {
    attention_softmax_in_fp32: 'the engine computes softmax in f32 anyway',
    bias_dropout_fusion: 'says which kernel of another program adds biases',
    flash_attn: 'says which kernel of another program attends',
    hidden_act: 'TelechatMLP has silu whatever it says',
    logn: 'the published code does not read it where it computes',
    masked_softmax_fusion: 'says which kernel of another program computes softmax',
    offset_alibi: 'the model has no ALiBi',
    skip_bias_add: 'says where training adds biases',
    skip_bias_add_qkv: 'says where training adds biases',
    slow_but_exact: 'splits products as training did; their sum is the same up to rounding',
  },
});
export type TelechatConfig = ConfigOf<typeof TELECHAT_CONFIG>;
