/**
 * Somebody else's callback, who only looks on: what it throws, or what its promise rejects with, is a warning of the
 * process, and it is not called again. Absent: nothing is called.
 */
export function observer<Args extends readonly unknown[]>(
  name: string,
  callback: ((...args: Args) => unknown) | undefined,
): (...args: Args) => void {
  let current = callback;
  const stop = (thrown: unknown): void => {
    if (current === undefined) return;
    current = undefined;
    warn(`${name} failed and is not called again`, thrown);
  };
  return (...args) => {
    if (current === undefined) return;
    try {
      const returned = current(...args);
      // An async function is a callback that returns nothing, as far as types can tell.
      if (returned instanceof Promise) returned.catch(stop);
    } catch (thrown) {
      stop(thrown);
    }
  };
}

function warn(what: string, thrown: unknown): void {
  let detail: string;
  try {
    detail = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  } catch {
    detail = 'an error that cannot be read';
  }
  process.emitWarning(`${what}: ${detail}`, 'ObserverWarning');
}
