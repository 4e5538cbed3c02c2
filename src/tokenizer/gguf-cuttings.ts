import { gpt4Pattern } from './tokenizer-class.js';

/** How texts are cut into words before merges, which a GGUF file has by name (`tokenizer.ggml.pre`). */
export interface Cutting {
  /** Regular expressions, one after another; GPT-2's own when there is none. */
  readonly patterns: readonly string[];
  /** Whether words are cut as GPT-2 cuts them, too, after these. */
  readonly isGpt2?: boolean;
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
const SUFFIX = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";

const GPT2: Cutting = { patterns: [], isGpt2: true };
const EACH_DIGIT: Cutting = { patterns: ['\\p{N}'], isGpt2: true };
const LLAMA3: Cutting = { patterns: [gpt4Pattern('{1,3}')], ignoresMerges: true, beginsTexts: true };
const GPT4_EACH_DIGIT: Cutting = { patterns: [gpt4Pattern('')] };
const QWEN2: Cutting = { ...GPT4_EACH_DIGIT, isNfc: true };
/** Marks belong to the letters that they stand on. */
const QWEN35: Cutting = {
  patterns: [
    `${SUFFIX}|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
  ],
};
const GPT4O: Cutting = { patterns: [byCase(`${SUFFIX}?`, '{1,3}')] };
const HAN = '[一-龥ࠀ-一가-퟿]+';
const DEEPSEEK_CODER: Cutting = { patterns: ['[\\r\\n]', '\\s?\\p{L}+', '\\s?\\p{P}+', HAN, '\\p{N}'] };
const DEEPSEEK_LLM: Cutting = {
  patterns: [
    '[\\r\\n]',
    // Letters that have cases, as they were before Unicode gave cases to Georgian.
    '\\s?(?:(?![ა-ჿ])[\\p{Lu}\\p{Ll}\\p{Lt}])+',
    '\\s?[!-/:-~！-／：-～‘-‟　-。]+',
    '\\s+$',
    HAN,
    '\\p{N}+',
  ],
};
const DEEPSEEK_V3: Cutting = {
  patterns: [
    '\\p{N}{1,3}',
    '[一-龥぀-ゟ゠-ヿ]+',
    '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
  ],
};
const FALCON: Cutting = {
  patterns: [
    '[\\p{P}$+<=>^~|`]+',
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
    '[0-9][0-9][0-9]',
  ],
};
const BLOOM: Cutting = { patterns: [' ?[^(\\s|.,!?…。，、।۔،)]+'] };
const BAILING: Cutting = {
  patterns: [
    "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
  ],
};
const SEED: Cutting = {
  patterns: [
    `${SUFFIX}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
  ],
};
const MINICPM5: Cutting = {
  patterns: ['\\p{N}{1,3}', gpt4Pattern('+')],
  ignoresMerges: true,
};

/** Each with the names that llama.cpp's converter gives the tokenizers that cut so. */
const KINDS: ReadonlyArray<readonly [cutting: Cutting, names: readonly string[]]> = [
  [GPT2, ['gpt-2', 'olmo', 'phi-2', 'mpt', 'jais', 'trillion', 'exaone4', 'mellum', 'gigachat', 'a.x-4.0']],
  [
    EACH_DIGIT,
    ['starcoder', 'refact', 'command-r', 'smollm', 'codeshell', 'exaone', 'minerva-7b', 'mellum2'],
  ],
  [LLAMA3, ['llama-bpe', 'llama3', 'llama-v3', 'falcon3', 'falcon-h1', 'pixtral', 'midm-2.0', 'lfm2']],
  [{ patterns: LLAMA3.patterns }, ['smaug-bpe', 'dbrx', 'chatglm-bpe']],
  [{ patterns: LLAMA3.patterns, ignoresMerges: true }, ['glm4']],
  [QWEN2, ['qwen2', 'deepseek-r1-qwen', 'megrez', 'kormo']],
  [GPT4_EACH_DIGIT, ['stablelm2', 'hunyuan', 'solar-open', 'grok-2']],
  [QWEN35, ['qwen35']],
  [DEEPSEEK_CODER, ['deepseek-coder']],
  [DEEPSEEK_LLM, ['deepseek-llm']],
  [DEEPSEEK_V3, ['deepseek-v3', 'hunyuan-dense', 'joyai-llm']],
  [FALCON, ['falcon']],
  [BLOOM, ['bloom', 'poro-chat', 'gpt3-finnish']],
  [{ patterns: [...BLOOM.patterns, '\\p{N}'] }, ['viking']],
  [{ patterns: [byCase('', '')], ignoresMerges: true, beginsTexts: true }, ['tekken']],
  [GPT4O, ['gpt-4o', 'llama4', 'kanana2', 'minimax-m2']],
  [BAILING, ['bailingmoe', 'bailingmoe2']],
  [SEED, ['seed-coder']],
  [MINICPM5, ['minicpm5']],
];

/** By the names that llama.cpp's converter gives the tokenizers that it knows. */
export const CUTTINGS: ReadonlyMap<string, Cutting> = new Map(
  KINDS.flatMap(([cutting, names]) => names.map((name) => [name, cutting] as const)),
);
