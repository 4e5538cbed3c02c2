import { HfTokenizer } from '../../src/tokenizer/hf-tokenizer.js';
import type { HfTokenizerOptions } from '../../src/tokenizer/tokenizer-options.js';

export type Json = Record<string, unknown>;

/** GPT-2's spelling of bytes: printable ones as themselves, the others from U+0100 on. */
export function byteCharacters(): string[] {
  const isPrintable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : next++));
}

export const LLAMA3_PATTERN =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

function special(id: number, content: string): Json {
  return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
}

/** Byte-level BPE in the way of Llama 3 and Qwen: 256 bytes, a few merges, ChatML's special tokens. */
export function byteLevelJson(pattern = LLAMA3_PATTERN): Json {
  const vocab: Record<string, number> = Object.fromEntries(byteCharacters().map((c, id) => [c, id]));
  const merges = [
    'h e',
    'l l',
    'he ll',
    'hell o',
    'Ġ w',
    'o r',
    'Ġw or',
    'Ġwor l',
    'Ġworl d',
    'i n',
    'Ġ t',
    'Ġt he',
    'ð Ł',
    'æ Ĺ',
    'æĹ ¥',
  ];
  for (const merge of merges) vocab[merge.replace(' ', '')] = Object.keys(vocab).length;
  const first = Object.keys(vocab).length;
  return {
    version: '1.0',
    added_tokens: [
      special(first, '<|endoftext|>'),
      special(first + 1, '<|im_start|>'),
      special(first + 2, '<|im_end|>'),
      { ...special(first + 3, '<think>'), special: false },
    ],
    normalizer: { type: 'NFC' },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    },
    post_processor: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      byte_fallback: false,
      ignore_merges: true,
      vocab,
      merges,
    },
  };
}

export const BYTE_LEVEL_CONFIG: Json = {
  bos_token: null,
  eos_token: { content: '<|im_end|>' },
  pad_token: '<|endoftext|>',
  chat_template:
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}" +
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
};

/** SentencePiece BPE in the way of Llama 2: "▁" for blanks, bytes as <0xNN>, a BOS before every text. */
export function llama2Json(isMetaspace = false): Json {
  const vocab: Record<string, number> = { '<unk>': 0, '<s>': 1, '</s>': 2 };
  for (let byte = 0; byte < 256; byte++)
    vocab[`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`] = 3 + byte;
  for (const c of '▁abcdefghijklmnopqrstuvwxyzHW.,!\n<>/|é日') vocab[c] = Object.keys(vocab).length;
  const merges = [
    '▁ h',
    'l l',
    '▁h e',
    '▁he ll',
    '▁hell o',
    '▁ w',
    'o r',
    '▁w or',
    '▁wor l',
    '▁worl d',
    '▁ ▁',
    '< s',
    '<s >',
  ];
  for (const merge of merges) vocab[merge.replace(' ', '')] ??= Object.keys(vocab).length;
  const steps: Json = isMetaspace
    ? {
        normalizer: null,
        pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: false },
      }
    : {
        normalizer: {
          type: 'Sequence',
          normalizers: [
            { type: 'Prepend', prepend: '▁' },
            { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
          ],
        },
        pre_tokenizer: null,
      };
  return {
    version: '1.0',
    added_tokens: [special(0, '<unk>'), special(1, '<s>'), special(2, '</s>')],
    ...steps,
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [
        { SpecialToken: { id: '<s>', type_id: 0 } },
        { Sequence: { id: 'A', type_id: 0 } },
        { Sequence: { id: 'B', type_id: 1 } },
      ],
      special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
    },
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: '<unk>',
      fuse_unk: true,
      byte_fallback: true,
      vocab,
      merges,
    },
  };
}

export const LLAMA2_CONFIG: Json = { bos_token: '<s>', eos_token: '</s>', unk_token: '<unk>' };

export function byteLevel(config: Json = BYTE_LEVEL_CONFIG, options?: HfTokenizerOptions): HfTokenizer {
  return new HfTokenizer({ file: 'byte-level/tokenizer.json', tokenizer: byteLevelJson(), config }, options);
}

export function llama2(isMetaspace = false): HfTokenizer {
  return new HfTokenizer({
    file: 'llama2/tokenizer.json',
    tokenizer: llama2Json(isMetaspace),
    config: LLAMA2_CONFIG,
  });
}
