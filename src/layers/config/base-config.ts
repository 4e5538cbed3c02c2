import type { FloatDType } from '../../dtype.js';
import { AtbError } from '../../errors.js';
import type { RopeConfig } from '../../step-inputs/index.js';
import {
  type ConfigDict,
  type FieldValues,
  flag,
  integer,
  listOf,
  oneOf,
  positive,
  readFields,
} from './fields.js';
import { parseRope } from './parse-rope.js';

/** What every decoder-only model is told by its config.json, with defaults filled in and everything checked. */
export interface BaseConfig {
  readonly modelType: string;
  /** The dtype that the checkpoint names, if it does. */
  readonly dtype: FloatDType | undefined;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  readonly numKeyValueHeads: number;
  /** Never derived elsewhere: it need not be hiddenSize / numAttentionHeads. */
  readonly headDim: number;
  readonly vocabSize: number;
  readonly maxPositionEmbeddings: number;
  readonly rmsNormEps: number;
  readonly rope: RopeConfig;
  /** silu(gate) * up and the like. */
  readonly hiddenAct: 'silu' | 'gelu' | 'gelu_tanh';
  readonly qkvBias: boolean;
  readonly denseBias: boolean;
  readonly mlpBias: boolean;
  readonly tieWordEmbeddings: boolean;
  /** For each layer, how many keys a query sees with its own; undefined: all before it. */
  readonly slidingWindows: readonly (number | undefined)[];
  readonly bosTokenId: number | undefined;
  readonly eosTokenIds: readonly number[];
  readonly padTokenId: number | undefined;
}

/** How a family reads what config.json does not say, or says in its own way. */
export interface ConfigRules {
  /** Head size when config.json has none; hidden_size / num_attention_heads when absent. */
  readonly headDim?: number;
  /** Attention's biases: all four when `attention_bias` says so; always q, k and v; or none. */
  readonly attentionBias: 'as-configured' | 'qkv' | 'none';
  /** No window; `sliding_window` on every layer; or on the layers that `layer_types` or `max_window_layers` name. */
  readonly slidingWindow: 'none' | 'every-layer' | 'by-layer';
}

const MAX = 2 ** 31 - 1;
const token = integer(0, MAX);

const FIELDS = {
  hidden_size: integer(1, 2 ** 20),
  intermediate_size: integer(1, 2 ** 24),
  num_hidden_layers: integer(1, 1000),
  num_attention_heads: integer(1, 10_000),
  num_key_value_heads: integer(1, 10_000),
  head_dim: integer(1, 1000),
  vocab_size: integer(1, 2 ** 24),
  max_position_embeddings: integer(1, MAX),
  max_sequence_length: integer(1, MAX),
  rms_norm_eps: positive(1),
  hidden_act: oneOf('silu', 'swish', 'gelu', 'gelu_new', 'gelu_pytorch_tanh'),
  attention_bias: flag,
  mlp_bias: flag,
  tie_word_embeddings: flag,
  use_sliding_window: flag,
  sliding_window: integer(1, MAX),
  max_window_layers: integer(0, 1000),
  layer_types: listOf(
    oneOf('full_attention', 'sliding_attention'),
    '"full_attention" and "sliding_attention"',
  ),
  bos_token_id: token,
  // -1 stands for "none" in Llama's first checkpoints.
  pad_token_id: integer(-1, MAX),
  dtype: oneOf('float32', 'float16', 'bfloat16'),
  torch_dtype: oneOf('float32', 'float16', 'bfloat16'),
};
type Values = FieldValues<typeof FIELDS>;

const REQUIRED = [
  'hidden_size',
  'intermediate_size',
  'num_hidden_layers',
  'num_attention_heads',
  'vocab_size',
] as const satisfies readonly (keyof Values)[];

const ACTIVATIONS = {
  silu: 'silu',
  swish: 'silu',
  gelu: 'gelu',
  gelu_new: 'gelu_tanh',
  gelu_pytorch_tanh: 'gelu_tanh',
} as const;

const DTYPES = { float32: 'f32', float16: 'f16', bfloat16: 'bf16' } as const;

/** Throws CONFIG_INVALID that names every problem at once. */
export function baseConfig(dict: ConfigDict, rules: ConfigRules, file = 'config.json'): BaseConfig {
  const problems: string[] = [];
  const fields = readFields(dict, FIELDS, problems);
  for (const name of REQUIRED) if ((dict[name] ?? null) === null) problems.push(`${name} is missing`);
  if ((dict.quantization_config ?? null) !== null) {
    problems.push('quantization_config: quantised checkpoints are not supported');
  }
  const hiddenSize = fields.hidden_size ?? 0;
  const heads = fields.num_attention_heads ?? 1;
  const layers = fields.num_hidden_layers ?? 0;
  const vocabSize = fields.vocab_size ?? 0;
  const kvHeads = fields.num_key_value_heads ?? heads;
  // Checks between fields that are well-formed; the others are reported already.
  const headDim = headSize(fields, rules, problems);
  if (fields.num_attention_heads && heads % kvHeads !== 0) {
    problems.push(`num_attention_heads (${heads}) must be a multiple of num_key_value_heads (${kvHeads})`);
  }
  if ((dict.max_position_embeddings ?? dict.max_sequence_length ?? null) === null) {
    problems.push('max_position_embeddings is missing');
  }
  const maxPositionEmbeddings = fields.max_position_embeddings ?? fields.max_sequence_length ?? 1;
  const rope = parseRope(dict, { headDim, maxPositionEmbeddings }, problems);
  const slidingWindows = windows(dict, fields, rules, layers, problems);
  const eosTokenIds = eosTokens(dict, fields, problems);
  const denseBias = rules.attentionBias === 'as-configured' && (fields.attention_bias ?? false);
  if (problems.length > 0) throw new AtbError('CONFIG_INVALID', { file, problems });

  const dtype = fields.dtype ?? fields.torch_dtype;
  return {
    modelType: String(dict.model_type),
    dtype: dtype && DTYPES[dtype],
    hiddenSize,
    intermediateSize: fields.intermediate_size ?? 0,
    numHiddenLayers: layers,
    numAttentionHeads: heads,
    numKeyValueHeads: kvHeads,
    headDim,
    vocabSize,
    maxPositionEmbeddings,
    rmsNormEps: fields.rms_norm_eps ?? 1e-6,
    rope,
    hiddenAct: ACTIVATIONS[fields.hidden_act ?? 'silu'],
    qkvBias: rules.attentionBias === 'qkv' || denseBias,
    denseBias,
    mlpBias: fields.mlp_bias ?? false,
    tieWordEmbeddings: fields.tie_word_embeddings ?? false,
    slidingWindows,
    bosTokenId: fields.bos_token_id,
    eosTokenIds,
    padTokenId: fields.pad_token_id === -1 ? undefined : fields.pad_token_id,
  };
}

function headSize(fields: Values, rules: ConfigRules, problems: string[]): number {
  const { head_dim: given, hidden_size: hiddenSize, num_attention_heads: heads } = fields;
  const headDim = given ?? rules.headDim;
  if (headDim !== undefined) return headDim;
  if (hiddenSize === undefined || heads === undefined) return 2;
  if (hiddenSize % heads !== 0) {
    problems.push(
      `hidden_size (${hiddenSize}) must be a multiple of num_attention_heads (${heads}) without head_dim`,
    );
    return 2;
  }
  return hiddenSize / heads;
}

function windows(
  dict: ConfigDict,
  fields: Values,
  rules: ConfigRules,
  layers: number,
  problems: string[],
): (number | undefined)[] {
  const window = fields.sliding_window;
  const all = (size: number | undefined): (number | undefined)[] =>
    Array.from({ length: layers }, () => size);
  if (rules.slidingWindow !== 'by-layer')
    return all(rules.slidingWindow === 'every-layer' ? window : undefined);

  const {
    layer_types: types,
    max_window_layers: firstSliding = 28,
    use_sliding_window: used = false,
  } = fields;
  if (types !== undefined && types.length !== layers) {
    problems.push(`layer_types must have one entry for each of the ${layers} layers, found ${types.length}`);
  }
  if (!used) return all(undefined);
  if ((dict.sliding_window ?? null) === null)
    problems.push('sliding_window is missing, and use_sliding_window is true');
  return all(undefined).map((_, layer) => {
    const slides = types ? types[layer] === 'sliding_attention' : layer >= firstSliding;
    return slides ? window : undefined;
  });
}

function eosTokens(dict: ConfigDict, fields: Values, problems: string[]): number[] {
  const found = dict.eos_token_id ?? [];
  const { vocab_size: vocabSize = MAX } = fields;
  const given = Array.isArray(found) ? { eos_token_id: found } : { eos_token_id: [found] };
  const type = listOf(integer(0, vocabSize - 1), `token ids below vocab_size (${vocabSize})`);
  return [...(readFields(given, { eos_token_id: type }, problems).eos_token_id ?? [])];
}
