import { AtbError } from '../errors.js';
import type { GgufModel } from '../weights/gguf/model-file.js';
import { byteLevelBpe } from './bpe-model.js';
import { bosEosProcessor } from './edge-tokens.js';
import { CUTTINGS, type Cutting } from './gguf-cuttings.js';

/** Gemma 4's kind: pieces as SentencePiece has them, with merges, and bytes in the place of unknown letters. */
const PIECES = 'gemma4';
const BY_LINES: Cutting = { patterns: ['[^\\n]+|\\n+'] };
const BLANK = '▁';
const CONTROL = 3;
const USER_DEFINED = 4;

/** The tokenizer.json of a vocabulary of bytes and merges; undefined for other kinds. @throws TOKENIZER_INVALID */
export function ggufByteLevelJson(model: GgufModel): object | undefined {
  const kind = model.text('tokenizer.ggml.model');
  const fail = (problem: string): never => {
    throw new AtbError('TOKENIZER_INVALID', { file: model.path, problem });
  };
  if (kind === undefined || kind === 'llama' || kind === 'bert') return undefined;
  if (kind !== 'gpt2' && kind !== PIECES)
    return fail(
      `tokenizer.ggml.model must be gpt2, llama, gemma4 or bert, found ${JSON.stringify(kind)}; use token ids only (--load_tokenizer False --input_ids …), or the Hugging Face checkpoint`,
    );
  const name = model.text('tokenizer.ggml.pre') ?? '';
  const cutting = kind === PIECES ? BY_LINES : CUTTINGS.get(name);
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
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  const ofPieces = kind === PIECES && {
    normalizer: { type: 'Replace', pattern: { String: ' ' }, content: BLANK },
    pre_tokenizer: split(BY_LINES.patterns[0]),
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: BLANK }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
      ],
    },
    model: { type: 'BPE', unk_token: '<unk>', fuse_unk: true, byte_fallback: true, vocab, merges },
  };
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
    model: byteLevelBpe({ vocab, merges, ignoresMerges: cutting.ignoresMerges }),
    ...ofPieces,
  };
}

const split = (pattern: string | undefined): object => ({
  type: 'Split',
  pattern: { Regex: pattern },
  behavior: 'Isolated',
  invert: false,
});

function cutter({ patterns, isGpt2 = false }: Cutting): object {
  const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: isGpt2 };
  const splits = patterns.map(split);
  return splits.length === 0 ? bytes : { type: 'Sequence', pretokenizers: [...splits, bytes] };
}
