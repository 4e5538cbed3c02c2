import {
  activation,
  biases,
  type ConfigOf,
  defineConfig,
  endlessContext,
  type Field,
  field,
  groupedQueryAttention,
  integer,
  LENGTH,
  listOf,
  oneOf,
  only,
  positive,
  rotaryConfig,
  SIZE,
  textModel,
} from '../../layers/config/index.js';

type Layers = { readonly numHiddenLayers: number };

/** `block_types`, of which published files have the second spelling, are repeated until there is one for each layer. */
const attendingLayers: Field<readonly boolean[], Layers> = {
  read(json, { numHiddenLayers: length }) {
    const known = ['recurrent', 'attention'] as const;
    const found = json.value(
      ['block_types', '_block_types'],
      listOf(oneOf(...known), `"${known.join('" and "')}"`),
    );
    if (found?.length === 0) json.problem('block_types must have an entry, found none');
    const types = found?.length ? found : ['recurrent', 'recurrent', 'attention'];
    return Array.from({ length }, (_, layer) => types[layer % types.length] === 'attention');
  },
};

/** All layers that attend have a window of the same size. */
const windows: Field<readonly (number | undefined)[], Layers & { readonly attends: readonly boolean[] }> = {
  read(json, { attends }) {
    const window = json.value('attention_window_size', LENGTH) ?? 2048;
    return attends.map((does) => (does ? window : undefined));
  },
};

/** The channels of the recurrent unit, each head's being a block of its gates. */
const lruWidth: Field<number, { readonly hiddenSize: number; readonly numAttentionHeads: number }> = {
  read(json, { hiddenSize, numAttentionHeads }) {
    const width = json.value('lru_width', SIZE) ?? hiddenSize;
    if (width % numAttentionHeads !== 0)
      json.problem(`lru_width (${width}) must be a multiple of num_attention_heads (${numAttentionHeads})`);
    return width;
  },
};

/** Gates and what they gate together, as the file has it: each of them is half as wide. */
const halfOfBoth: Field<number> = {
  read: (json) => {
    const both = json.value('intermediate_size', integer(2, 2 ** 24)) ?? json.missing('intermediate_size');
    return Math.floor(both / 2);
  },
};

/** Defaults of transformers 5.24, RecurrentGemmaConfig. */
export const RECURRENT_GEMMA_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: true }),
    maxPositionEmbeddings: endlessContext,
    ...groupedQueryAttention({
      numKeyValueHeads: 'num_attention_heads',
      headDim: 'hidden_size / num_attention_heads',
    }),
    ...biases({ qkv: 'attention_bias', dense: true, mlp: true }),
    intermediateSize: halfOfBoth,
    hiddenAct: activation('hidden_activation', 'gelu_tanh'),
    rmsNormEps: field('rms_norm_eps', positive(1), 1e-6),
    rope: rotaryConfig({ theta: 10_000, factor: 0.5 }),
    lruWidth,
    convTaps: field('conv1d_width', integer(2, 64), 4),
    attends: attendingLayers,
    slidingWindows: windows,
    logitSoftcap: field('logits_soft_cap', positive(1e6), 30),
    scalesEmbeddings: field('embeddings_scale_by_sqrt_dim', only(true), true),
  },
  irrelevant: {
    w_init_variance_scale: 'says how training began',
    final_w_init_variance_scale: 'says how training began',
  },
});
export type RecurrentGemmaConfig = ConfigOf<typeof RECURRENT_GEMMA_CONFIG>;
