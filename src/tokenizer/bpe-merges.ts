import { AtbError } from '../errors.js';

/** Splits that are looked at, in characters: Gemma's 256,000 tokens take 20 million. */
const MAX_SPLIT_WORK = 2 ** 28;

/**
 * All pairs of tokens that make a third, in the order in which BPE merges them, from the tokens in that order. Where
 * ranks stand for merges (SentencePiece, tiktoken), any two parts of a token that are tokens become it.
 * @throws TOKENIZER_INVALID when the tokens are too long to find their parts in reasonable time
 */
export function mergesOf(tokens: readonly string[], file: string): [string, string][] {
  const work = tokens.reduce((sum, text) => sum + text.length ** 2, 0);
  if (work > MAX_SPLIT_WORK) {
    const problem = `its ${tokens.length} tokens are too long for BPE: the squares of their lengths sum up to ${work}, at most ${MAX_SPLIT_WORK} are allowed`;
    throw new AtbError('TOKENIZER_INVALID', { file, problem });
  }
  const known = new Set(tokens);
  return tokens.flatMap((text) => {
    const pairs: [string, string][] = [];
    // In a run of equal characters the leftmost are merged first, so that the longer part is on the left.
    for (let at = text.length - 1; at > 0; at--) {
      const [left, right] = [text.slice(0, at), text.slice(at)];
      if (known.has(left) && known.has(right)) pairs.push([left, right]);
    }
    return pairs;
  });
}
