import { parseBytes } from '../bytes.js';
import type { FloatDType } from '../dtype.js';
import { refuseRequest } from '../errors.js';
import { DECODER_KINDS, ENCODE, ENCODE_SECOND } from '../graph/graph-kind.js';
import type { PassSelection } from '../graph/passes/index.js';
import { isObject } from '../is-object.js';
import { KV_QUANT_MODES } from '../kv-cache/kv-quant.js';
import { QUANTIZED_FORMATS } from '../runner/quantized-layouts.js';
import { parseWritten } from '../tokenizer/written-numbers.js';
import { GROUP_SIZES, QUANTIZE_MODES } from '../weights/quantization.js';
import { atLeast, boolean, number, text, within } from './flag-rows.js';
import { LOAD } from './load-flags.js';
import { SERVER } from './server-flags.js';

export type { Flag } from './flag-rows.js';

function readObject(value: string, name: string): Record<string, unknown> {
  let found: unknown;
  try {
    found = parseWritten(value);
  } catch {
    return refuseRequest(name, 'a JSON object', value);
  }
  if (!isObject(found)) return refuseRequest(name, 'a JSON object', value);
  return { ...found };
}

/** Folders by names. */
function readFolders(value: string, name: string): Readonly<Record<string, string>> {
  const found = Object.entries(readObject(value, `--${name}`));
  return Object.fromEntries(
    found.map(([key, folder]) =>
      typeof folder === 'string' && folder !== ''
        ? [key, folder]
        : refuseRequest(`--${name}`, 'a JSON object of folders, by names', value),
    ),
  );
}

/** `all`, `none`, or names separated by commas. */
export const parsePasses = (text: string): PassSelection =>
  text === 'all' || text === 'none' ? text : text.split(',').map((name) => name.trim());

const DTYPES = ['bf16', 'f16', 'f32'] as const satisfies readonly FloatDType[];

const PHASES = [...DECODER_KINDS, ENCODE, ENCODE_SECOND].map(({ name }) => name);

const MODEL = {
  model_path: text('modelPath', "checkpoint's directory, or org/name in the cache", {
    required: true,
  }),
  model_dirs: text('modelDirs', 'folders of your models', { array: true }),
  lora_modules: text('loraModules', 'LoRA: {"name": "folder"}', { read: readFolders }),
  adapter: text('adapter', 'the one to answer with (none)', { needs: 'lora_modules' }),
  dtype: text('dtype', "of weights and activations (the checkpoint's)", { choices: DTYPES }),
  quantize: text('quantize', 'make integers of float weights', { choices: QUANTIZE_MODES }),
  quantize_head: text('quantizeHead', 'and of the output matrix (w8a16)', { choices: QUANTIZE_MODES }),
  quant_group_size: number('quantGroupSize', 'inputs that share a scale of 4 bits (64)', {
    choices: GROUP_SIZES,
  }),
  quant_format: text('format', 'format of the quantised checkpoint (msmodelslim)', {
    choices: QUANTIZED_FORMATS,
  }),
  calibrate: text('calibrateFile', 'file of text: round 4 bits by what it makes of inputs'),
  kv_quant: text('kvQuant', "store keys and values so (the model's dtype)", { choices: KV_QUANT_MODES }),
  weights_cache: text('weightsCache', 'folder of packed weights'),
  max_position_embeddings: number('maxPositionEmbeddings', 'other context length'),
  load_tokenizer: text('loadTokenizer', 'False: token ids in, token ids out', {
    choices: ['True', 'False', 'true', 'false'],
    read: (value: string) => value.toLowerCase() === 'true',
  }),
  like: text('like', 'model_type of the family that it begins as', { required: true }),
  allow_links: boolean('allowLinks', 'follow links to elsewhere'),
  allow_unread: boolean('allowUnread', 'run without some weights'),
  finite: boolean('finite', 'read all weights, and name those with NaN or infinity'),
  phase: text('phase', "which of the model's graphs", { choices: PHASES, required: true }),
};

const PROMPTS = {
  input_texts: text('texts', 'prompts, or files of one', {
    array: true,
    mayBeEmpty: true,
    default: ["What's deep learning?"],
  }),
  input_ids: text('ids', 'or ids joined by commas', { array: true }),
  input_file: text('file', 'dialogues [{"role","content"}], one per line', { needs: 'is_chat_model' }),
  input_dict: text('dict', 'JSON [{"prompt","adapter"}]'),
  is_chat_model: boolean('isChatModel', 'use the chat template', { default: false }),
  is_embedding_model: boolean('isEmbeddingModel', 'print vectors of the prompts', { default: false }),
  chat_template: text('chatTemplate', "Jinja: a file, the text itself, or a name of the checkpoint's", {
    needs: 'is_chat_model',
  }),
  chat_template_kwargs: text('chatTemplateKwargs', 'JSON of variables for it: {"enable_thinking": false}', {
    needs: 'is_chat_model',
    read: (value: string, name: string) => readObject(value, `--${name}`),
  }),
  system: text('system', "the dialogue's first message, which says how to answer", { mayBeEmpty: true }),
  enable_thinking: boolean('enableThinking', 'or --no-enable_thinking: its variable of that name', {
    needs: 'is_chat_model',
  }),
  image: text('images', 'files of pictures that every prompt is about', {
    array: true,
    needs: 'is_chat_model',
  }),
  text: text('textFile', 'file of text that the model did not see', { required: true }),
};

// Without a default here: what generation_config.json presets holds where a flag is not given, as in the library.
const SAMPLING = {
  temperature: number('temperature', "how random draws are; 0: always the best token (the checkpoint's)"),
  top_k: number('topK', "draw among so many best tokens; 0: all (the checkpoint's)"),
  top_p: number('topP', "draw among the best with this share of probability; 0: the best (the checkpoint's)"),
  min_p: number('minP', "leave out those below this share of the best's (the checkpoint's)"),
  repetition_penalty: number(
    'repetitionPenalty',
    "divides logits of tokens that came before; 1: off (the checkpoint's)",
  ),
  frequency_penalty: number('frequencyPenalty', 'off per time a token came (0)'),
  presence_penalty: number('presencePenalty', 'off once where a token came (0)'),
  seed: number('seed', 'of draws; prompt i: seed + i'),
  stop: text('stop', 'strings that end an answer', { array: true }),
  ignore_eos: boolean('ignoreEos', 'do not end with the text', {
    default: false,
  }),
  logprobs: number('logprobs', 'of each token and of this many best', { needs: 'json' }),
};

const GUIDES = {
  json_schema: text('jsonSchema', 'answers are JSON by this schema: a file or the JSON itself'),
  regex: text('regex', "answers match this expression, in JavaScript's syntax", { mayBeEmpty: true }),
  choice: text('choice', 'each answer is one of these texts', { array: true, mayBeEmpty: true }),
  grammar: text('grammar', 'answers obey this grammar in GBNF: a file or the text itself'),
};

const LIMITS = {
  max_batch_size: number('maxBatchSize', 'sequences at once; copies of a single prompt (1)', {
    read: atLeast(1),
  }),
  max_input_length: number('maxInputLength', 'longest prompt (1024)', { read: atLeast(1) }),
  max_output_length: number('maxOutputLength', 'most new tokens (20)', { read: within(1) }),
  n: number('n', 'answers to each prompt', { default: 1, read: atLeast(1) }),
  max_tokens: number('maxTokens', "most tokens of an answer (to the end of the model's length)", {
    read: within(1),
  }),
  max_model_len: number('maxModelLen', "tokens of prompt and answer (the model's)", { read: atLeast(1) }),
  memory: text('memoryBudget', 'bytes of weights and cache, e.g. 6GiB (80 % of what is free; inspect: all)'),
  max_prefill_batch_size: number('maxPrefillBatchSize', 'prompts of a step (max_batch_size)', {
    read: atLeast(1),
  }),
  max_prefill_tokens: number('maxPrefillTokens', 'of a step; longer prompts are cut (-1: no limit)', {
    read: (value: number, name: string) => (value === -1 ? undefined : atLeast(1)(value, name)),
  }),
  block_size: number('blockSize', 'tokens of a KV block, a multiple of 32 (128; export: what fits)', {
    read: atLeast(1),
  }),
  memory_budget: text('cacheBytes', 'bytes for the KV cache, e.g. 2GiB', {
    read: (value: string, name: string) => parseBytes(`--${name}`, value),
  }),
  draft_model_path: text('draftModelPath', 'model that guesses ahead'),
  draft_tokens: number('draftTokens', 'guesses a step (0; then 6)', { read: atLeast(0) }),
  batch: number('batch', 'sequences of the step (1)', { read: atLeast(1) }),
  tokens: number('tokens', 'of the step; in decode, of its contexts (128)'),
  context: number('contextLen', 'tokens of a window (512); inspect: of a sequence (4096)', {
    read: atLeast(1),
  }),
};

const ENGINE = {
  threads: number('threads', 'compute threads (all cores)', { read: within(1, 1024) }),
  kw_args: text('kwArgs', 'more flags as a JSON object', { default: '', mayBeEmpty: true }),
  isa: text('isa', 'kernels, as doctor lists them'),
  passes: text('passes', 'all (run-pa), none (graph), or names', { read: parsePasses }),
};

const OUTPUT = {
  reference: text('reference', 'what tools/oracle/reference.py recorded', { required: true }),
  tolerance: number('tolerance', "share of a tensor's largest number that may differ", {
    read: (value: number, name: string) =>
      value >= 0 && value <= 1 ? value : refuseRequest(`--${name}`, 'a share from 0 to 1', value),
  }),
  stream: boolean('stream', 'text as it comes; with --json on stderr', { default: false }),
  json: boolean('json', 'one JSON object instead of text', { default: false }),
  markdown: boolean('markdown', "the table of this project's README", { default: false }),
  perf_csv: text('perfCsv', "file of the original's benchmark columns"),
  profile: text('profile', 'time operations; file for a Chrome trace'),
  flat: boolean('flat', 'json: one graph with the shapes of one step, for small models', { default: false }),
  format: text('format', 'json: nested graphs, as ATB takes them', {
    choices: ['text', 'dot', 'svg', 'json'],
    default: 'text',
  }),
  svg: text('svg', 'file for a chart of latencies'),
  output: text('output', 'file to write; standard output when absent'),
};

/** Every flag of every command, once. A command lists by name what it takes. */
export const FLAGS = {
  ...MODEL,
  ...PROMPTS,
  ...SAMPLING,
  ...GUIDES,
  ...LIMITS,
  ...ENGINE,
  ...SERVER,
  ...LOAD,
  ...OUTPUT,
};
export type FlagName = keyof typeof FLAGS;

export const SAMPLING_FLAGS = keysOf(SAMPLING);

const FLAGS_BY_GROUP: Readonly<Record<string, object>> = {
  'Model:': MODEL,
  'Prompts:': PROMPTS,
  'Sampling:': SAMPLING,
  'Form of answers:': GUIDES,
  'Batch and cache:': LIMITS,
  'Engine:': ENGINE,
  'Server:': SERVER,
  'Load:': LOAD,
  'Output:': OUTPUT,
};

/** The headings of `--help`, in its order. */
export const GROUPS: readonly string[] = Object.keys(FLAGS_BY_GROUP);

export const groupOf = (name: FlagName): string =>
  GROUPS.find((group) => Object.hasOwn(FLAGS_BY_GROUP[group] ?? {}, name)) ?? 'Options:';

function keysOf<T extends object>(flags: T): (keyof T)[] {
  return Object.keys(flags) as (keyof T)[];
}
