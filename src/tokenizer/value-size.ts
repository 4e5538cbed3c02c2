import type { JinjaValue } from './jinja-package.js';

/** How large a value is once it is written out: shared parts count each time. */
export interface ValueSize {
  /** Characters, nearly: at most a sixth of what its JSON with escapes has. */
  readonly size: number;
  /** Containers inside one another. */
  readonly depth: number;
}

const SCALAR: ValueSize = { size: 24, depth: 0 };

/** A value that contains itself, or a namespace inside a list: it could grow without being looked at. */
export class UnboundedValue extends Error {}

/** Measures values; lists and mappings never change once they are made, so each is measured once. */
export class ValueSizes {
  readonly #known = new WeakMap<JinjaValue, ValueSize>();
  readonly #open = new Set<JinjaValue>();

  /** @throws UnboundedValue, and RangeError for a value nested too deeply to walk */
  of(value: JinjaValue): ValueSize {
    if (typeof value.value === 'string') return { size: value.value.length + 2, depth: 0 };
    const known = this.#known.get(value);
    if (known !== undefined) return known;
    const isNamespace = value.type === 'NamespaceValue';
    const items: Iterable<JinjaValue> | undefined = Array.isArray(value.value)
      ? (value.value as JinjaValue[])
      : value.value instanceof Map
        ? (value.value as Map<string, JinjaValue>).values()
        : undefined;
    if (items === undefined) return SCALAR;
    if (this.#open.has(value) || (isNamespace && this.#open.size > 0)) throw new UnboundedValue();
    this.#open.add(value);
    try {
      let size = 2;
      let depth = 0;
      for (const item of items) {
        const inner = this.of(item);
        size += inner.size + 2;
        depth = Math.max(depth, inner.depth);
      }
      if (value.value instanceof Map) for (const key of value.value.keys()) size += String(key).length + 4;
      const measured = { size, depth: depth + 1 };
      if (!isNamespace) this.#known.set(value, measured);
      return measured;
    } finally {
      this.#open.delete(value);
    }
  }
}
