import { AtbError } from '../errors.js';
import { MAX_VOCAB } from './tokenizer-json.js';

export type PieceType = 'normal' | 'unknown' | 'control' | 'userDefined' | 'unused' | 'byte';

export interface Piece {
  readonly text: string;
  /** Of a unigram model: a log probability. Of a BPE model: the higher, the earlier two pieces become this one. */
  readonly score: number;
  readonly type: PieceType;
}

/** What a SentencePiece `tokenizer.model` says. A piece's id is its place. */
export interface SentencePieceModel {
  readonly pieces: readonly Piece[];
  readonly algorithm: 'unigram' | 'bpe';
  readonly hasByteFallback: boolean;
  /** The trie and texts by which characters are replaced before all else; empty when nothing is. */
  readonly charsmap: Uint8Array;
  readonly addsDummyPrefix: boolean;
  readonly removesExtraWhitespaces: boolean;
  /** Texts of the pieces that stand at the beginning and the end of a text, and fill it up. */
  readonly bosPiece: string;
  readonly eosPiece: string;
  readonly padPiece: string;
}

/** Pieces are up to 16 characters long, user-defined ones up to some 40. */
const MAX_PIECE_LEN = 512;
/** XLM-RoBERTa's takes 240 KB. */
const MAX_CHARSMAP_BYTES = 4 * 2 ** 20;
const PIECE_TYPES: readonly (PieceType | undefined)[] = [
  undefined,
  'normal',
  'unknown',
  'control',
  'userDefined',
  'unused',
  'byte',
];
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** One field of a protobuf message: a number (varints and floats), or the bytes of a string or a message. */
interface Field {
  readonly number: number;
  readonly value: number;
  readonly bytes: Uint8Array;
}

type Fail = (problem: string) => never;

/**
 * Reads the protobuf message `ModelProto`.
 * @throws TOKENIZER_INVALID for what is not one, and for models that work in a way which is not supported
 */
export function readSentencePieceModel(bytes: Uint8Array, file: string): SentencePieceModel {
  const fail: Fail = (problem) => {
    throw new AtbError('TOKENIZER_INVALID', { file, problem });
  };
  const pieces: Piece[] = [];
  const empty = new Uint8Array();
  // Fields that come more than once are merged: the later ones win, as if their bytes stood one behind the other.
  const trainer: Field[] = [];
  const normalizer: Field[] = [];
  for (const { number, bytes: inner } of fieldsOf(bytes, fail)) {
    if (number === 1) {
      if (pieces.length === MAX_VOCAB) fail(`has more than ${MAX_VOCAB} pieces`);
      pieces.push(readPiece(inner, pieces.length, fail));
    } else if (number === 2) trainer.push(...fieldsOf(inner, fail));
    else if (number === 3) normalizer.push(...fieldsOf(inner, fail));
  }
  const fieldOf = (fields: readonly Field[], number: number): Field | undefined =>
    fields.findLast((field) => field.number === number);
  const flag = (fields: readonly Field[], number: number, fallback: boolean): boolean =>
    (fieldOf(fields, number)?.value ?? Number(fallback)) !== 0;
  const text = (number: number, fallback: string): string => {
    const found = fieldOf(trainer, number);
    return found === undefined
      ? fallback
      : decodeText(found.bytes, `field ${number} of its trainer_spec`, fail);
  };

  checkPieces(pieces, fail);
  const type = fieldOf(trainer, 3)?.value ?? 1;
  const algorithm = type === 1 ? 'unigram' : type === 2 ? 'bpe' : undefined;
  if (algorithm === undefined) return fail(`has the model type ${type}, expected 1 (unigram) or 2 (BPE)`);
  if (flag(trainer, 24, false)) fail('has treat_whitespace_as_suffix, which is not supported');
  if (!flag(normalizer, 5, true)) fail('has no escape_whitespaces, which is not supported');
  const charsmap = fieldOf(normalizer, 2)?.bytes ?? empty;
  if (charsmap.length > MAX_CHARSMAP_BYTES)
    fail(`precompiled_charsmap has ${charsmap.length} bytes, at most ${MAX_CHARSMAP_BYTES} are read`);
  return {
    pieces,
    algorithm,
    hasByteFallback: flag(trainer, 35, false),
    charsmap,
    addsDummyPrefix: flag(normalizer, 3, true),
    removesExtraWhitespaces: flag(normalizer, 4, true),
    bosPiece: text(46, '<s>'),
    eosPiece: text(47, '</s>'),
    padPiece: text(48, '<pad>'),
  };
}

function readPiece(bytes: Uint8Array, id: number, fail: Fail): Piece {
  let [text, score]: [string, number] = ['', 0];
  let type: PieceType | undefined = 'normal';
  for (const field of fieldsOf(bytes, fail)) {
    if (field.number === 1) {
      if (field.bytes.length > 4 * MAX_PIECE_LEN) fail(`piece ${id} has ${field.bytes.length} bytes`);
      text = decodeText(field.bytes, `piece ${id}`, fail);
    } else if (field.number === 2) score = field.value;
    else if (field.number === 3) type = PIECE_TYPES[field.value];
  }
  if (text === '' || text.length > MAX_PIECE_LEN)
    fail(`piece ${id} has ${text.length} characters, expected 1 to ${MAX_PIECE_LEN}`);
  if (!Number.isFinite(score)) fail(`piece ${id} has the score ${score}`);
  if (type === undefined) return fail(`piece ${id} has an unknown type`);
  if (type === 'unused') return fail(`piece ${id} is of the type UNUSED, which is not supported`);
  return { text, score, type };
}

function checkPieces(pieces: readonly Piece[], fail: Fail): void {
  if (pieces.length === 0) fail('is not a SentencePiece model: it has no pieces');
  const numUnknown = pieces.filter(({ type }) => type === 'unknown').length;
  if (numUnknown !== 1) fail(`has ${numUnknown} pieces for what is unknown, expected 1`);
  const seen = new Set<string>();
  for (const [id, { text }] of pieces.entries()) {
    if (seen.has(text)) fail(`piece ${id} has the text of another: ${JSON.stringify(text)}`);
    seen.add(text);
  }
}

function decodeText(bytes: Uint8Array, what: string, fail: Fail): string {
  try {
    return utf8.decode(bytes);
  } catch {
    return fail(`${what} is not UTF-8`);
  }
}

/** The fields of a message, one after another. */
function* fieldsOf(bytes: Uint8Array, fail: Fail): Generator<Field> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const empty = new Uint8Array();
  let at = 0;
  const need = (count: number): void => {
    if (count > bytes.length - at) fail('is not a SentencePiece model: a field reaches beyond its end');
  };
  const varint = (): number => {
    let [value, scale] = [0, 1];
    for (let length = 1; length <= 10; length++) {
      need(1);
      const byte = view.getUint8(at++);
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte < 0x80) return value;
    }
    return fail('is not a SentencePiece model: a number has more than 10 bytes');
  };
  while (at < bytes.length) {
    const tag = varint();
    const [number, wireType] = [Math.floor(tag / 8), tag % 8];
    if (wireType === 0) yield { number, value: varint(), bytes: empty };
    else if (wireType === 2) {
      const length = varint();
      need(length);
      yield { number, value: 0, bytes: bytes.subarray(at, at + length) };
      at += length;
    } else if (wireType === 5) {
      need(4);
      yield { number, value: view.getFloat32(at, true), bytes: empty };
      at += 4;
    } else if (wireType === 1) {
      need(8);
      yield { number, value: view.getFloat64(at, true), bytes: empty };
      at += 8;
    } else fail(`is not a SentencePiece model: a field has the wire type ${wireType}`);
  }
}
