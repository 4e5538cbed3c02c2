/** The longest and the shortest end of a text that is looked for earlier in it. */
const LONGEST = 4;
const SHORTEST = 2;

/**
 * At most `most` tokens that may follow: what followed where the text's last tokens stood before, the longest such end
 * first, the latest place of it (prompt lookup decoding). None where they are new.
 */
export function promptLookup(tokens: readonly number[], most: number): readonly number[] {
  const end = tokens.length;
  for (let length = Math.min(LONGEST, end - 1); length >= SHORTEST; length--) {
    for (let place = end - length - 1; place >= 0; place--) {
      let same = 0;
      while (same < length && tokens[place + same] === tokens[end - length + same]) same++;
      if (same === length) return tokens.slice(place + length, Math.min(end, place + length + most));
    }
  }
  return [];
}
