// Python's values as templates see them. `bigint` is int, `number` is float, so that 1 and 1.0 stay apart; strings are
// JavaScript's, but are counted, cut and indexed by code points.

import { WrittenNumber } from '../written-numbers.js';

export type Value =
  | null
  | boolean
  | bigint
  | number
  | string
  | List
  | Tuple
  | Dict
  | DictView
  | Range
  | Generator
  | Namespace
  | Markup
  | Bytes
  | Callable
  | Loop
  | Undefined;

/** What goes wrong while a template runs: Python's TypeError, UndefinedError and so on. */
export class TemplateRuntimeError extends Error {}

/** What goes wrong before it runs. */
export class TemplateSyntaxError extends Error {}

/** Thrown by a template's `raise_exception`. */
export class TemplateRefusal extends Error {}

export interface CallArguments {
  readonly positional: readonly Value[];
  readonly keyword: ReadonlyMap<string, Value>;
}

export class List {
  constructor(readonly items: readonly Value[]) {}
}

/**
 * A message's content in parts. To print it as a whole shows that the template knows texts only: that stops the
 * rendering, and the parts' texts take its place.
 */
export class Parts extends List {}

/** Thrown where `Parts` would be printed. */
export class PartsPrinted extends Error {}

export class Tuple {
  constructor(readonly items: readonly Value[]) {}
}

/** A mapping in order of insertion. Keys are equal as in Python: 1, 1.0 and True are one key. */
export class Dict {
  readonly #entries = new Map<string, readonly [Value, Value]>();

  constructor(entries: Iterable<readonly [Value, Value]> = []) {
    for (const [key, value] of entries) this.set(key, value);
  }

  /** Only while it is being made: templates cannot change a mapping. */
  set(key: Value, value: Value): void {
    const hash = hashOf(key);
    this.#entries.set(hash, [this.#entries.get(hash)?.[0] ?? key, value]);
  }

  get(key: Value): Value | undefined {
    return this.#entries.get(hashOf(key))?.[1];
  }

  has(key: Value): boolean {
    return this.#entries.has(hashOf(key));
  }

  get size(): number {
    return this.#entries.size;
  }

  keys(): Value[] {
    return this.entries().map(([key]) => key);
  }

  values(): Value[] {
    return this.entries().map(([, value]) => value);
  }

  entries(): (readonly [Value, Value])[] {
    return [...this.#entries.values()];
  }
}

/** What `keys()`, `values()` and `items()` give. */
export class DictView {
  constructor(
    readonly kind: 'keys' | 'values' | 'items',
    readonly dict: Dict,
  ) {}

  items(): Value[] {
    if (this.kind === 'keys') return this.dict.keys();
    if (this.kind === 'values') return this.dict.values();
    return this.dict.entries().map((entry) => new Tuple([...entry]));
  }
}

export class Range {
  readonly length: number;

  constructor(
    readonly start: bigint,
    readonly stop: bigint,
    readonly step: bigint,
  ) {
    const span = step > 0n ? stop - start : start - stop;
    const stride = step > 0n ? step : -step;
    this.length = span <= 0n ? 0 : Number((span + stride - 1n) / stride);
  }

  items(): bigint[] {
    return Array.from({ length: this.length }, (_, index) => this.start + BigInt(index) * this.step);
  }
}

/**
 * What many filters give: it can be gone through once, has no length and is always true. Its items are made only as
 * they are asked for, so what is wrong with one shows then, or never.
 */
export class Generator {
  readonly #items: Iterator<Value>;

  constructor(
    items: Iterable<Value>,
    readonly name = 'generator',
  ) {
    this.#items = items[Symbol.iterator]();
  }

  take(): readonly Value[] {
    const items: Value[] = [];
    for (let item = this.takeFirst(); item !== undefined; item = this.takeFirst()) items.push(item);
    return items;
  }

  /** Takes one item, undefined when there is none. */
  takeFirst(): Value | undefined {
    const { done, value } = this.#items.next();
    return done === true ? undefined : value;
  }
}

/** What a text is when it is encoded; templates can decode, measure and print it. */
export class Bytes {
  constructor(readonly data: Uint8Array) {}
}

/** The one thing that a template can change. */
export class Namespace {
  readonly attributes = new Map<string, Value>();
}

/** Text that counts as HTML already: what is joined to it gets escaped. */
export class Markup {
  constructor(readonly text: string) {}
}

/** A macro, a method bound to its value, or a global function. */
export class Callable {
  constructor(
    readonly name: string,
    readonly call: (args: CallArguments) => Value,
    readonly attributes: ReadonlyMap<string, Value> = new Map(),
  ) {}
}

/** The variable `loop`. */
export class Loop {
  index0 = 0;
  #changed: Value | undefined;

  constructor(
    readonly items: readonly Value[],
    readonly depth0: number,
    /** Of a loop marked `recursive`. */
    readonly recurse: ((items: Value) => string) | undefined,
  ) {}

  /** Whether the value differs from that of the last call. */
  hasChanged(value: Value, isEqual: (left: Value, right: Value) => boolean): boolean {
    const isSame = this.#changed !== undefined && isEqual(this.#changed, value);
    this.#changed = value;
    return !isSame;
  }
}

/** A name that has no value. It prints as nothing, is false and empty; most other uses are errors. */
export class Undefined {
  constructor(private readonly message: string) {}

  fail(): never {
    throw new TemplateRuntimeError(this.message);
  }
}

/** Python's name of a value's type. */
export function typeName(value: Value): string {
  if (value === null) return 'NoneType';
  switch (typeof value) {
    case 'boolean':
      return 'bool';
    case 'bigint':
      return 'int';
    case 'number':
      return 'float';
    case 'string':
      return 'str';
    default:
      if (value instanceof List) return 'list';
      if (value instanceof DictView) return `dict_${value.kind}`;
      if (value instanceof Callable) return 'builtin_function_or_method';
      if (value instanceof Loop) return 'LoopContext';
      if (value instanceof Namespace || value instanceof Markup || value instanceof Undefined)
        return value.constructor.name;
      return value.constructor.name.toLowerCase();
  }
}

/** Equal keys have equal hashes, and no others. @throws for values that Python cannot hash */
export function hashOf(key: Value): string {
  if (typeof key === 'string') return `s${key}`;
  if (key instanceof Markup) return `s${key.text}`;
  if (key instanceof Bytes) return `b${key.data.join()}`;
  if (key === null) return 'N';
  if (key instanceof Undefined) return 'U';
  if (typeof key === 'boolean') return key ? 'n1' : 'n0';
  if (typeof key === 'bigint') return `n${key}`;
  if (typeof key === 'number') return Number.isInteger(key) ? `n${BigInt(key)}` : `n${key}`;
  if (key instanceof Tuple) {
    const parts = key.items.map(hashOf);
    return `t${parts.map((part) => part.length).join()}:${parts.join('')}`;
  }
  if (key instanceof Range) return `r${key.length},${key.start},${key.step}`;
  if (key instanceof List || key instanceof Dict || (key instanceof DictView && key.kind !== 'values'))
    throw new TemplateRuntimeError(`unhashable type: '${typeName(key)}'`);
  // Of other values, each equals itself only.
  const number = identities.get(key) ?? ++numIdentities;
  identities.set(key, number);
  return `i${number}`;
}

const identities = new WeakMap<object, number>();
let numIdentities = 0;

/** A value of JavaScript as Python's. Whole numbers are ints, unless they were written otherwise. */
export function fromPlain(plain: unknown): Value {
  if (plain === null || plain === undefined) return null;
  if (typeof plain === 'string' || typeof plain === 'boolean' || typeof plain === 'bigint') return plain;
  if (typeof plain === 'number') return Number.isSafeInteger(plain) ? BigInt(plain) : plain;
  if (plain instanceof WrittenNumber) return plain.value;
  if (Array.isArray(plain)) return new List(plain.map(fromPlain));
  if (typeof plain === 'object')
    return new Dict(Object.entries(plain).map(([key, value]) => [key, fromPlain(value)] as const));
  throw new TemplateRuntimeError(`a ${typeof plain} is nothing that a template can read`);
}

/** Whether a string has characters outside the basic plane, which JavaScript counts as two. */
const ASTRAL = /[\uD800-\uDBFF][\uDC00-\uDFFF]/;

/** The code points of a text; a plain text is its own list of them. */
export function codePoints(text: string): string | readonly string[] {
  return ASTRAL.test(text) ? Array.from(text) : text;
}
