import { BYTE_OF_CHARACTER } from './byte-level.js';

/** The bytes that each token adds to a text, one token after another. */
export interface TokenBytes {
  readonly bytes: Uint8Array;
  /** Token t has bytes[offsets[t]] up to bytes[offsets[t + 1]]. */
  readonly offsets: Int32Array;
}

const BYTE_TOKEN = /^<0x([\da-fA-F]{2})>$/;
const NONE = new Uint8Array();

/**
 * The bytes of every token in the middle of a text (at its beginning, some decoders drop a blank). Half a character is
 * half its UTF-8. Tokens that `isLeftOut` names, special ones, have none.
 *
 * @param tokens by id, as the vocabulary spells them; undefined where there is none.
 * @param steps types of the decoder's steps.
 */
export function tokenBytes(
  tokens: readonly (string | undefined)[],
  isLeftOut: (id: number) => boolean,
  steps: readonly string[],
): TokenBytes {
  const bytesOf = steps.includes('ByteLevel') ? byteLevelBytes : piecesBytes(steps.includes('ByteFallback'));
  const all = tokens.map((token, id) => (token === undefined || isLeftOut(id) ? NONE : bytesOf(token)));
  const offsets = new Int32Array(all.length + 1);
  all.forEach((bytes, id) => {
    offsets[id + 1] = (offsets[id] ?? 0) + bytes.length;
  });
  return { bytes: Buffer.concat(all), offsets };
}

/** A token with a character that spells no byte stands for its own text. */
function byteLevelBytes(token: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of token) {
    const byte = BYTE_OF_CHARACTER.get(character);
    if (byte === undefined) return Buffer.from(token);
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

/** SentencePiece's spelling: ▁ is a blank, <0xNN> a byte. */
const piecesBytes =
  (hasByteTokens: boolean) =>
  (token: string): Uint8Array => {
    const [, hex] = (hasByteTokens && BYTE_TOKEN.exec(token)) || [];
    return hex === undefined
      ? Buffer.from(token.replaceAll('▁', ' '))
      : Uint8Array.of(Number.parseInt(hex, 16));
  };
