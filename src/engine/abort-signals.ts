/** Is told why. It must not throw. */
type Callback = (reason: unknown) => void;

/** One listener per signal, however many requests it ends: Node.js warns of a leak where there are more than ten. */
export class AbortSignals {
  readonly #requests = new Map<AbortSignal, { readonly callbacks: Set<Callback>; onAbort(): void }>();

  /** `callback` is called when the signal aborts. What the signal throws is thrown. */
  add(signal: AbortSignal, callback: Callback): void {
    const known = this.#requests.get(signal);
    if (known !== undefined) {
      known.callbacks.add(callback);
      return;
    }
    const callbacks = new Set([callback]);
    const onAbort = (): void => {
      this.#requests.delete(signal);
      const reason = reasonOf(signal);
      for (const each of callbacks) each(reason);
    };
    this.#requests.set(signal, { callbacks, onAbort });
    try {
      signal.addEventListener('abort', onAbort, { once: true });
    } catch (error) {
      this.#requests.delete(signal);
      throw error;
    }
  }

  /** Of no effect for one that is not there. */
  delete(signal: AbortSignal, callback: Callback): void {
    const known = this.#requests.get(signal);
    if (known === undefined || !known.callbacks.delete(callback) || known.callbacks.size > 0) return;
    this.#requests.delete(signal);
    signal.removeEventListener('abort', known.onAbort);
  }
}

/** Signals of others' making may throw. */
function reasonOf(signal: AbortSignal): unknown {
  try {
    return signal.reason;
  } catch (error) {
    return error;
  }
}

/** Of any realm: `instanceof` knows this one's only. */
export function isAbortSignal(value: unknown): value is AbortSignal {
  return (
    typeof value === 'object' &&
    value !== null &&
    'aborted' in value &&
    typeof value.aborted === 'boolean' &&
    'addEventListener' in value &&
    typeof value.addEventListener === 'function' &&
    'removeEventListener' in value &&
    typeof value.removeEventListener === 'function'
  );
}
