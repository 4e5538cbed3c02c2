import { AtbError } from '../errors.js';
import type { GgufModel } from '../weights/gguf/model-file.js';
import { byteLevelBpe } from './bpe-model.js';
import { bosEosProcessor } from './edge-tokens.js';
import { CUTTINGS, type Cutting } from './gguf-cuttings.js';

const CONTROL = 3;
const USER_DEFINED = 4;

/** The tokenizer.json of a vocabulary of bytes and merges; undefined for other kinds. @throws TOKENIZER_INVALID */
export function ggufByteLevelJson(model: GgufModel): object | undefined {
  const kind = model.text('tokenizer.ggml.model');
  const fail = (problem: string): never => {
    throw new AtbError('TOKENIZER_INVALID', { file: model.path, problem });
  };
  if (kind === undefined || kind === 'llama' || kind === 'bert') return undefined;
  if (kind !== 'gpt2')
    return fail(
      `tokenizer.ggml.model must be gpt2, llama or bert, found ${JSON.stringify(kind)}; use token ids only (--load_tokenizer False --input_ids …), or the Hugging Face checkpoint`,
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

function cutter({ patterns, isGpt2 = false }: Cutting): object {
  const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: isGpt2 };
  const splits = patterns.map((pattern) => ({
    type: 'Split',
    pattern: { Regex: pattern },
    behavior: 'Isolated',
    invert: false,
  }));
  return splits.length === 0 ? bytes : { type: 'Sequence', pretokenizers: [...splits, bytes] };
}
