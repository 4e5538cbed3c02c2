import { AtbError } from '../errors.js';
import type { GgufModel } from '../weights/gguf/model-file.js';

/** What GGUF and SentencePiece alike call kinds of pieces by. */
const [NORMAL, UNKNOWN, UNUSED, BYTE] = [1, 2, 5, 6];
/** Model types of SentencePiece. */
const BPE = 2;

/**
 * The SentencePiece model, as a protobuf `ModelProto`, of whose pieces a GGUF file has a list; undefined for vocabularies
 * of other kinds. @throws TOKENIZER_INVALID
 */
export function ggufSentencePiece(model: GgufModel): Buffer | undefined {
  if (model.text('tokenizer.ggml.model') !== 'llama') return undefined;
  const pieces = model.list('tokenizer.ggml.tokens', 'string');
  const scores = model.list('tokenizer.ggml.scores', 'number');
  const types = model.list('tokenizer.ggml.token_type', 'number');
  if (!pieces || scores?.length !== pieces.length || types?.length !== pieces.length)
    throw new AtbError('TOKENIZER_INVALID', {
      file: model.path,
      problem: 'tokenizer.ggml.tokens, scores and token_type must be lists of one length',
    });
  const unknown = model.metadata.get('tokenizer.ggml.unknown_token_id') ?? 0;
  const encoded = pieces.map((text, id) => {
    const type = types[id] ?? NORMAL;
    // Pieces that fill up a vocabulary are of no use to anybody, but they have ids.
    const isFilling = type === UNUSED || type === UNKNOWN;
    const kind = id === unknown ? UNKNOWN : isFilling ? NORMAL : type;
    return message(1, [bytes(1, Buffer.from(text)), float(2, scores[id] ?? 0), number(3, kind)]);
  });
  const hasPrefix = model.metadata.get('tokenizer.ggml.add_space_prefix') ?? true;
  const removesBlanks = model.metadata.get('tokenizer.ggml.remove_extra_whitespaces') ?? false;
  const trainer = message(2, [number(3, BPE), number(35, types.includes(BYTE) ? 1 : 0)]);
  const normalizer = message(3, [number(3, hasPrefix ? 1 : 0), number(4, removesBlanks ? 1 : 0)]);
  return Buffer.concat([...encoded, trainer, normalizer]);
}

/** A number of protobuf, seven bits a byte, the lowest first. */
function varint(value: number): Buffer {
  const digits: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...digits, rest]);
    digits.push((rest % 128) | 128);
  }
}

const number = (field: number, value: number): Buffer => Buffer.concat([varint(field * 8), varint(value)]);

function float(field: number, value: number): Buffer {
  const stored = Buffer.alloc(4);
  stored.writeFloatLE(value);
  return Buffer.concat([varint(field * 8 + 5), stored]);
}

const bytes = (field: number, value: Buffer): Buffer =>
  Buffer.concat([varint(field * 8 + 2), varint(value.length), value]);

const message = (field: number, fields: readonly Buffer[]): Buffer => bytes(field, Buffer.concat(fields));
