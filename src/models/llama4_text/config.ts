import {
  biases,
  type Check,
  type ConfigOf,
  chunkedByLayer,
  decoder,
  defineConfig,
  EXPERTS,
  type Field,
  field,
  flag,
  fullAttention,
  integer,
  LENGTH,
  listOf,
  only,
  positive,
  type QueryScale,
  rotaryLayers,
  WIDTH,
} from '../../layers/config/index.js';

type Layers = { readonly numHiddenLayers: number };
type RotaryLayers = { readonly rotaryLayers: readonly boolean[] };

/** Some files say with a number whether queries are scaled; any but 0 says yes. */
const flagOrNumber: Check<boolean | number> = {
  safeParse: (value) =>
    typeof value === 'number' ? integer(0, 1000).safeParse(value) : flag.safeParse(value),
};

/** How the queries of layers without rotary grow. */
const queryScale: Field<QueryScale | undefined, RotaryLayers> = {
  read(json, config) {
    const isTuned = json.value('attn_temperature_tuning', flagOrNumber) ?? true;
    const length = json.value('floor_scale', LENGTH) ?? 8192;
    const beta = json.value('attn_scale', positive(1e6, -1e-9)) ?? 0.1;
    const isRead = isTuned && beta > 0 && config.rotaryLayers.includes(false);
    return isRead ? { beta, length, first: 1 } : undefined;
  },
};

/** Which layers have experts: `moe_layers` names them, or every n-th has. */
const sparseLayers: Field<readonly boolean[], Layers> = {
  read(json, { numHiddenLayers: layers }) {
    const named = json.value('moe_layers', listOf(integer(0, layers - 1), `layers from 0 to ${layers - 1}`));
    const step = json.value('interleave_moe_layer_step', integer(1, 1000)) ?? 1;
    return Array.from({ length: layers }, (_, layer) => named?.includes(layer) ?? (layer + 1) % step === 0);
  },
};

/** Defaults of transformers 5.24, Llama4TextConfig. */
export const LLAMA4_TEXT_CONFIG = defineConfig({
  fields: {
    ...decoder({
      numKeyValueHeads: 8,
      headDim: 128,
      hiddenAct: 'silu',
      rmsNormEps: 1e-5,
      ropeTheta: 500_000,
      tieWordEmbeddings: false,
      rotary: { interleaved: true, keepsF32: true },
    }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    /** Of one expert, and of the one that all tokens share. */
    intermediateSize: field('intermediate_size', WIDTH, 8192),
    /** Of the MLPs of layers without experts. */
    denseIntermediateSize: field('intermediate_size_mlp', WIDTH, 16_384),
    numExperts: field('num_local_experts', EXPERTS, 16),
    // Experts read tokens times their weight, so that two experts of a token would not read the same. No published file
    // has two.
    numExpertsPerToken: field('num_experts_per_tok', only(1), 1),
    sparseLayers,
    rotaryLayers: rotaryLayers((given) => given.length === 0),
    attentionChunks: chunkedByLayer({
      size: 8192,
      isChunked: (layer, { rotaryLayers }: RotaryLayers) => rotaryLayers[layer] === true,
    }),
    slidingWindows: fullAttention,
    queryScale,
    normsHeads: field('use_qk_norm', flag, true),
  },
  irrelevant: {
    router_jitter_noise: 'is used in training alone',
    for_llm_compressor: 'says who made the files',
  },
});
export type Llama4TextConfig = ConfigOf<typeof LLAMA4_TEXT_CONFIG>;
