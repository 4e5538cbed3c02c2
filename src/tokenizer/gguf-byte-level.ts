import { AtbError } from '../errors.js';
import type { GgufModel } from '../weights/gguf/model-file.js';
import { byteLevelBpe } from './bpe-model.js';
import { bosEosProcessor } from './edge-tokens.js';
import { gpt4Pattern } from './tokenizer-class.js';

/** How texts are cut into words before merges, which a GGUF file has by name (`tokenizer.ggml.pre`). */
interface Cutting {
  /** Regular expressions, one after another; GPT-2's own when there is none. */
  readonly patterns: readonly string[];
  readonly isNfc?: boolean;
  /** Words that are tokens stay whole, whatever merges would make of them. */
  readonly ignoresMerges?: boolean;
  /** Texts begin with a token where the file does not say. */
  readonly beginsTexts?: boolean;
}

/** Words by case, as GPT-4o has them; `tail` behind each, digits so many at once. */
const byCase = (tail: string, digits: string): string =>
  [
    `[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+${tail}`,
    `[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*${tail}`,
    `\\p{N}${digits}`,
    ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*',
    '\\s*[\\r\\n]+',
    '\\s+(?!\\S)',
    '\\s+',
  ].join('|');

const GPT2: Cutting = { patterns: [] };
const EACH_DIGIT: Cutting = { patterns: ['\\p{N}'] };
const LLAMA3: Cutting = { patterns: [gpt4Pattern('{1,3}')], ignoresMerges: true, beginsTexts: true };
const QWEN2: Cutting = { patterns: [gpt4Pattern('')], isNfc: true };
/** Marks belong to the letters that they stand on. */
const QWEN35: Cutting = {
  patterns: [
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  ],
};
const DEEPSEEK_CODER: Cutting = {
  patterns: ['[\\r\\n]', '\\s?\\p{L}+', '\\s?\\p{P}+', '[一-龥ࠀ-一가-퟿]+', '\\p{N}'],
};

/** By the names that llama.cpp's converter gives the tokenizers that it knows. */
const CUTTINGS: ReadonlyMap<string, Cutting> = new Map([
  ['gpt-2', GPT2],
  ['olmo', GPT2],
  ['phi-2', GPT2],
  ['mpt', GPT2],
  ['jais', GPT2],
  ['trillion', GPT2],
  ['starcoder', EACH_DIGIT],
  ['refact', EACH_DIGIT],
  ['command-r', EACH_DIGIT],
  ['smollm', EACH_DIGIT],
  ['codeshell', EACH_DIGIT],
  ['llama-bpe', LLAMA3],
  ['llama3', LLAMA3],
  ['llama-v3', LLAMA3],
  ['falcon3', LLAMA3],
  ['pixtral', LLAMA3],
  ['smaug-bpe', { patterns: LLAMA3.patterns }],
  ['dbrx', { patterns: LLAMA3.patterns }],
  ['qwen2', QWEN2],
  ['deepseek-r1-qwen', QWEN2],
  ['megrez', QWEN2],
  ['qwen35', QWEN35],
  ['deepseek-coder', DEEPSEEK_CODER],
  ['tekken', { patterns: [byCase('', '')], ignoresMerges: true, beginsTexts: true }],
  ['gpt-4o', { patterns: [byCase("(?i:'s|'t|'re|'ve|'m|'ll|'d)?", '{1,3}')] }],
]);

const CONTROL = 3;
const USER_DEFINED = 4;

/** The tokenizer.json of a vocabulary of bytes and merges; undefined for other kinds. @throws TOKENIZER_INVALID */
export function ggufByteLevelJson(model: GgufModel): object | undefined {
  const kind = model.text('tokenizer.ggml.model');
  const fail = (problem: string): never => {
    throw new AtbError('TOKENIZER_INVALID', { file: model.path, problem });
  };
  if (kind === undefined || kind === 'llama') return undefined;
  if (kind !== 'gpt2')
    return fail(
      `tokenizer.ggml.model must be gpt2 or llama, found ${JSON.stringify(kind)}; use token ids only (--load_tokenizer False --input_ids …), or the Hugging Face checkpoint`,
    );
  const name = model.text('tokenizer.ggml.pre') ?? '';
  const cutting = CUTTINGS.get(name);
  if (cutting === undefined)
    return fail(
      `tokenizer.ggml.pre, which says how texts are cut into words, must be one of ${[...CUTTINGS.keys()].join(', ')}, found ${JSON.stringify(name)}; use token ids only (--load_tokenizer False --input_ids …), or the Hugging Face checkpoint`,
    );
  const tokens = model.list('tokenizer.ggml.tokens', 'string') ?? fail('tokenizer.ggml.tokens is missing');
  const types = model.list('tokenizer.ggml.token_type', 'number') ?? [];
  const merges = model.list('tokenizer.ggml.merges', 'string') ?? fail('tokenizer.ggml.merges is missing');
  const bos = model.metadata.get('tokenizer.ggml.bos_token_id');
  const addsBos = model.metadata.get('tokenizer.ggml.add_bos_token') ?? cutting.beginsTexts ?? false;
  const before =
    addsBos === true && typeof bos === 'number' && tokens[bos] !== undefined
      ? [{ content: tokens[bos], id: bos }]
      : [];
  return {
    version: '1.0',
    added_tokens: tokens.flatMap((content, id) =>
      types[id] === CONTROL || types[id] === USER_DEFINED
        ? [{ id, content, special: types[id] === CONTROL, normalized: false }]
        : [],
    ),
    normalizer: cutting.isNfc ? { type: 'NFC' } : null,
    pre_tokenizer: cutter(cutting),
    post_processor: bosEosProcessor({ before, behind: [] }),
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: byteLevelBpe({
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
      ignoresMerges: cutting.ignoresMerges,
    }),
  };
}

function cutter({ patterns }: Cutting): object {
  const isGpt2 = patterns.length === 0 || patterns[0] === EACH_DIGIT.patterns[0];
  const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: isGpt2 };
  const splits = patterns.map((pattern) => ({
    type: 'Split',
    pattern: { Regex: pattern },
    behavior: 'Isolated',
    invert: false,
  }));
  return splits.length === 0 ? bytes : { type: 'Sequence', pretokenizers: [...splits, bytes] };
}
