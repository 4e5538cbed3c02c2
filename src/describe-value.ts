/** A short, safe rendering of any value for a message: one line, at most 120 characters, nothing invisible. */
export function describeValue(value: unknown): string {
  const text = renderValue(value);
  return escapeInvisible(text.length > 120 ? `${text.slice(0, 117)}...` : text);
}

/** Control characters, direction marks and line separators as escapes: a name out of a file must not move the cursor. */
export function escapeInvisible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (c) => `\\u{${c.codePointAt(0)?.toString(16)}}`);
}

function renderValue(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 200));
  // JSON would call NaN and infinities null.
  if (typeof value === 'number' || typeof value === 'symbol') return String(value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return 'a function';
  try {
    return JSON.stringify(value, shortened) ?? String(value);
  } catch {
    return 'a value that JSON cannot say'; // a cycle, a BigInt inside, a toJSON that throws
  }
}

/** Of lists and texts only their beginning: a message about a billion numbers must not be built of them all. */
function shortened(_key: string, value: unknown): unknown {
  if (typeof value === 'string') return value.slice(0, 200);
  if (Array.isArray(value)) return value.slice(0, 120);
  return ArrayBuffer.isView(value) ? `${value.constructor.name} of ${value.byteLength} bytes` : value;
}
