import type { EncodeWords, MediaProcessor } from '../../media/index.js';

/** So many line feeds may be one token. */
const MOST_LINES = 31;

/** Line feeds about a thing would be one text with those of the words about it. */
export function lineJoins(encode: EncodeWords): NonNullable<MediaProcessor['joins']> {
  const runs = Array.from({ length: MOST_LINES }, (_, i) => ({
    count: i + 1,
    ids: encode('\n'.repeat(i + 1)),
  }));
  /** Line feeds that are one token, by it. */
  const lines = new Map(
    runs.flatMap(({ count, ids: [id, ...more] }) =>
      id === undefined || more.length > 0 ? [] : [[id, count]],
    ),
  );
  return (left, right) => {
    const counts = [lines.get(left), lines.get(right)];
    return counts.includes(undefined) ? undefined : encode('\n'.repeat((counts[0] ?? 0) + (counts[1] ?? 0)));
  };
}
