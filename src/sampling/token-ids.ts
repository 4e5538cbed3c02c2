import { refuseRequest } from '../errors.js';

/**
 * Token ids of any field of a request, all checked the same way, before anybody copies them: it takes no memory, and of
 * a list that is too long nothing but its length is read.
 * @throws REQUEST_INVALID for what is no array or typed array, or too long; with the place of the first id that is none
 */
export function checkTokenIds(
  field: string,
  ids: unknown,
  vocabSize: number,
  maxLen = Number.POSITIVE_INFINITY,
): ArrayLike<number> {
  if (!isList(ids)) return refuseRequest(field, 'a list of token ids', ids);
  const { length } = ids;
  if (length > maxLen) refuseRequest(field, `a list of at most ${maxLen} token ids`, length);
  for (let index = 0; index < length; index++) {
    const id = ids[index];
    if (!isTokenId(id, vocabSize)) checkTokenId(`${field}[${index}]`, id, vocabSize);
  }
  return ids as ArrayLike<number>;
}

/** @throws REQUEST_INVALID */
export function checkTokenId(field: string, id: unknown, vocabSize: number): number {
  return isTokenId(id, vocabSize) ? id : refuseRequest(field, `an integer in [0, ${vocabSize - 1}]`, id);
}

/**
 * Tokens that a request suppresses, or else its checkpoint: of these, some may be beyond the vocabulary of a small model,
 * and then never come. @throws REQUEST_INVALID
 */
export function suppressedTokens(
  asked: readonly number[] | undefined,
  preset: readonly number[] | undefined,
  vocabSize: number,
): number[] {
  const ids = asked ?? preset?.filter((id) => id < vocabSize) ?? [];
  return Array.from(checkTokenIds('suppressTokens', ids, vocabSize, vocabSize));
}

function isTokenId(id: unknown, vocabSize: number): id is number {
  return Number.isInteger(id) && (id as number) >= 0 && (id as number) < vocabSize;
}

/** Strings and objects with a length are not: nobody means them as token ids. */
function isList(ids: unknown): ids is ArrayLike<unknown> {
  return Array.isArray(ids) || (ArrayBuffer.isView(ids) && !(ids instanceof DataView));
}
