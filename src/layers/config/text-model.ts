import type { ActivationKind } from '../../common-op-builders/index.js';
import type { FloatDType } from '../../dtype.js';
import {
  EPSILON,
  flag,
  HEAD_SIZE,
  HEADS,
  integer,
  LAYERS,
  LENGTH,
  listOf,
  MAX_POSITIONS,
  type Names,
  oneOf,
  SIZE,
  text,
  WIDTH,
} from './checks.js';
import type { ConfigReader } from './config-reader.js';
import { constant, type Default, type Field, field, required } from './fields.js';
import { type RotaryConfigOptions, rotaryConfig } from './rotary-config.js';

export interface TextModelDefaults {
  /** Whether the head shares the embedding's weight. */
  readonly tieWordEmbeddings: Default<boolean>;
}

/**
 * What every model of text has. Token ids have no defaults: those of a class are one tokenizer's, and where config.json is
 * silent, generation_config.json and the tokenizer's files speak.
 */
export const textModel = (defaults: TextModelDefaults) => ({
  modelType: field('model_type', text, required),
  dtype,
  hiddenSize: field('hidden_size', SIZE, required),
  numHiddenLayers: field('num_hidden_layers', LAYERS, required),
  vocabSize: field('vocab_size', WIDTH, required),
  maxPositionEmbeddings,
  tieWordEmbeddings: field('tie_word_embeddings', flag, defaults.tieWordEmbeddings),
  bosTokenId: tokenField('bos_token_id', undefined),
  eosTokenIds: tokensField('eos_token_id', []),
  padTokenId: tokenField('pad_token_id', undefined),
});

/** Sizes under transformers' names, or under those of GPT-2 and its relatives. */
export const bothSpellings = {
  hiddenSize: field(['hidden_size', 'n_embd', 'n_embed'], SIZE, required),
  numHiddenLayers: field(['num_hidden_layers', 'n_layer'], LAYERS, required),
  numAttentionHeads: field(['num_attention_heads', 'n_head'], HEADS, required),
};

export interface GroupedQueryDefaults {
  /** As many as heads of queries, or a number. Null in config.json always stands for the first. */
  readonly numKeyValueHeads: 'num_attention_heads' | Default<number>;
  readonly headDim: 'hidden_size / num_attention_heads' | Default<number>;
}

/** Heads of attention, and how many of them share keys and values. */
export const groupedQueryAttention = (defaults: GroupedQueryDefaults) => ({
  numAttentionHeads: field('num_attention_heads', HEADS, required),
  numKeyValueHeads: keyValueHeads(defaults.numKeyValueHeads),
  headDim: headSize(defaults.headDim),
});

/** Of a family whose attention has as many heads of keys and values as of queries where config.json says nothing. */
const EQUAL_HEADS: GroupedQueryDefaults = {
  numKeyValueHeads: 'num_attention_heads',
  headDim: 'hidden_size / num_attention_heads',
};

/** As many heads of keys and values as of queries, whatever `num_key_value_heads` says: the classes do not look at it. */
const equalHeads: Field<number, { readonly numAttentionHeads: number }> = {
  read(json, { numAttentionHeads }) {
    json.raw('num_key_value_heads');
    return numAttentionHeads;
  },
};

/** Heads of attention that all have keys and values of their own. */
export const multiHeadAttention = {
  ...groupedQueryAttention(EQUAL_HEADS),
  numKeyValueHeads: equalHeads,
};

/**
 * Which projections have biases: all models of the family, none, those whose config.json sets the flag of that name, or
 * as a field says.
 */
export const biases = (
  has: Readonly<Record<'qkv' | 'dense' | 'mlp', boolean | string | Field<boolean>>>,
) => ({
  qkvBias: bias(has.qkv),
  denseBias: bias(has.dense),
  mlpBias: bias(has.mlp),
});

function bias(has: boolean | string | Field<boolean>): Field<boolean> {
  if (typeof has === 'string') return field(has, flag, false);
  return typeof has === 'boolean' ? constant(has) : has;
}

/** The width of an MLP by its name in config.json: four times that of hidden states where it says nothing. */
export const mlpWidth = (name: string): Field<number, { readonly hiddenSize: number }> =>
  field(name, WIDTH, ({ hiddenSize }) => 4 * hiddenSize);

/** The width of an MLP and its activation. */
export const mlp = (defaults: { readonly hiddenAct: Default<ActivationKind> }) => ({
  intermediateSize: field('intermediate_size', WIDTH, required),
  hiddenAct: activation('hidden_act', defaults.hiddenAct),
});

/** The defaults that a family of Llama's kind must state. */
export interface DecoderDefaults extends TextModelDefaults, GroupedQueryDefaults {
  readonly hiddenAct: Default<ActivationKind>;
  readonly rmsNormEps: Default<number>;
  readonly ropeTheta: Default<number>;
  /** How heads turn, where it is not as wholes and by halves. */
  readonly rotary?: Omit<RotaryConfigOptions, 'theta'>;
}

/** Those of Llama in transformers 5.24; most relatives say in what theirs differ. */
export const LLAMA_DEFAULTS: DecoderDefaults = {
  ...EQUAL_HEADS,
  hiddenAct: 'silu',
  rmsNormEps: 1e-6,
  ropeTheta: 10_000,
  tieWordEmbeddings: false,
};

/**
 * A decoder with Llama's names; biases and windows are left to the family. With `is_causal` false, as embedding models
 * have it, all tokens of a text see each other (transformers 5.24, `create_causal_mask`).
 */
export const decoder = (defaults: DecoderDefaults) => ({
  ...textModel(defaults),
  isCausal: field('is_causal', flag, true),
  ...groupedQueryAttention(defaults),
  ...mlp(defaults),
  rmsNormEps: field('rms_norm_eps', EPSILON, defaults.rmsNormEps),
  rope: rotaryConfig({ ...defaults.rotary, theta: defaults.ropeTheta }),
});

const DTYPES: Readonly<Record<string, FloatDType>> = {
  float32: 'f32',
  float: 'f32',
  // The widest that the engine has.
  float64: 'f32',
  double: 'f32',
  float16: 'f16',
  half: 'f16',
  bfloat16: 'bf16',
};

/** `dtype`, or `torch_dtype` as it was called before transformers 5, which gives way to it. */
const dtype: Field<FloatDType | undefined> = {
  read(json) {
    const [name, older] = ['dtype', 'torch_dtype'].map((key) => dtypeName(json, key));
    const found = name ?? older;
    return found === undefined ? undefined : DTYPES[found];
  },
};

function dtypeName(json: ConfigReader, key: string): string | undefined {
  const found = json.raw(key);
  // The dtype of the weights as they are: nothing is named.
  if (found === 'auto') return undefined;
  const spelt = typeof found === 'string' ? found.replace(/^torch\./, '') : found;
  return json.check(
    key,
    spelt,
    oneOf('float32', 'float16', 'bfloat16', 'float64', 'float', 'half', 'double'),
  );
}

/** Llama's first checkpoints called it max_sequence_length, and some say both. */
const maxPositionEmbeddings: Field<number> = {
  read(json) {
    const length = json.value('max_position_embeddings', LENGTH);
    const older = json.value('max_sequence_length', LENGTH);
    return length ?? older ?? json.missing('max_position_embeddings');
  },
};

/** As many as `max_position_embeddings` says, whatever context a run is given. */
export const learnedPositions: Field<number, { readonly maxPositionEmbeddings: number }> = {
  read: (_, config) => config.maxPositionEmbeddings,
};

/**
 * A token's id. Where a model may be without the token, -1 stands for none, as in Llama's first checkpoints; one that
 * has a `fallback` needs it, as the place of a picture.
 */
export const tokenField = (names: Names, fallback: number | undefined): Field<number | undefined> => ({
  read(json) {
    const least = fallback === undefined ? -1 : 0;
    const id = json.value(names, integer(least, MAX_POSITIONS)) ?? fallback;
    return id === -1 ? undefined : id;
  },
});

const TOKEN_IDS = listOf(integer(-1, MAX_POSITIONS), 'token ids');

/** One token id or several; -1 stands for none. Those beyond the vocabulary never come, of which users are warned. */
export const tokensField = (
  name: string,
  fallback: readonly number[],
): Field<readonly number[], { readonly vocabSize: number }> => ({
  read(json, config) {
    const found = json.raw(name) ?? undefined;
    const { vocabSize } = config;
    // A default may be beyond the vocabulary of a small model, and then never comes.
    if (found === undefined) return fallback.filter((id) => id < vocabSize);
    const ids = json.check(name, Array.isArray(found) ? found : [found], TOKEN_IDS) ?? [];
    return ids.filter((id) => id !== -1);
  },
});

const ACTIVATIONS = {
  silu: 'silu',
  swish: 'silu',
  gelu: 'gelu',
  gelu_python: 'gelu',
  gelu_new: 'gelu_tanh',
  gelu_pytorch_tanh: 'gelu_tanh',
  gelu_python_tanh: 'gelu_tanh',
  gelu_fast: 'gelu_tanh',
  gelu_accurate: 'gelu_tanh',
  quick_gelu: 'quick_gelu',
  relu: 'relu',
  relu2: 'relu2',
} as const satisfies Record<string, ActivationKind>;

type ActivationName = keyof typeof ACTIVATIONS;
const activationNames = Object.keys(ACTIVATIONS) as ActivationName[];

/** An activation by its name in transformers. */
export const activation = (names: Names, fallback: Default<ActivationKind>): Field<ActivationKind> => ({
  read(json) {
    const found = json.value(names, oneOf(...activationNames));
    if (found !== undefined) return ACTIVATIONS[found];
    return fallback === required ? json.missing(names) : fallback;
  },
});

/** Heads of keys and values by their name in config.json. */
export function keyValueHeads(
  fallback: GroupedQueryDefaults['numKeyValueHeads'],
  name = 'num_key_value_heads',
): Field<number, { readonly numAttentionHeads: number }> {
  return {
    read(json, config) {
      const found = json.value(name, HEADS);
      const { numAttentionHeads: heads } = config;
      const shared = json.isNull(name) || fallback === 'num_attention_heads' ? heads : fallback;
      const kvHeads = found ?? (shared === required ? json.missing(name) : shared);
      if (heads % kvHeads !== 0) {
        const said = found === undefined ? `${kvHeads}, this family's default` : kvHeads;
        json.problem(`num_attention_heads (${heads}) must be a multiple of ${name} (${said})`);
      }
      return kvHeads;
    },
  };
}

/** The size of a head by its name in config.json. */
export function headSize(
  fallback: GroupedQueryDefaults['headDim'],
  name = 'head_dim',
): Field<number, { readonly hiddenSize: number; readonly numAttentionHeads: number }> {
  return {
    read(json, config) {
      const found = json.value(name, HEAD_SIZE);
      if (found !== undefined) return found;
      if (fallback === required) return json.missing(name);
      if (typeof fallback === 'number') return fallback;
      const { hiddenSize, numAttentionHeads: heads } = config;
      if (hiddenSize % heads === 0) return hiddenSize / heads;
      const sizes = `hidden_size (${hiddenSize}) must be a multiple of num_attention_heads (${heads})`;
      return json.fail(`${sizes} without ${name}`);
    },
  };
}
