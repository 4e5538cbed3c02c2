import { randomUUID } from 'node:crypto';

/**
 * JSON with the three numbers that Python writes and JSON lacks: NaN, Infinity, -Infinity. A string that nobody can have
 * foreseen stands for NaN until the rest is parsed.
 */
export function parsePythonJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!/NaN|Infinity/.test(text)) throw error;
  }
  const nan = randomUUID();
  const quoted = `"${nan}"`;
  // A string without an end takes the rest: its quotes must not be tried one by one.
  const spelt = text.replace(/"[^"\\]*(?:\\[\s\S][^"\\]*)*"?|NaN|Infinity/g, (token) => {
    if (token === 'NaN') return quoted;
    // Beyond what a double holds, and so infinite when parsed.
    return token === 'Infinity' ? '1e999' : token;
  });
  return JSON.parse(spelt, (_, value: unknown) => (value === nan ? Number.NaN : value));
}
