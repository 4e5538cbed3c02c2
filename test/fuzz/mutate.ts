/** Random numbers that follow from a seed alone, so that a finding can be run again. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From [0, 1): mulberry32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
  /** A whole number from low to high. */
  int(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }
  chance(share: number): boolean {
    return this.next() < share;
  }
  pick<T>(choices: readonly T[]): T {
    const choice = choices[this.int(0, choices.length - 1)];
    if (choice === undefined && choices.length === 0) throw new RangeError('nothing to pick from');
    return choice as T;
  }
}

type Parent = unknown[] | Record<string, unknown>;
type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** Values that code forgets: wrong types, edges of numbers, text that is not quite text, keys of every object. */
const NASTY: readonly Json[] = [
  ...[null, true, false, 0, -0, -1, 1, 0.5, 2 ** 31, 2 ** 53, -(2 ** 53), 1e308, 1e-320],
  ...[
    '',
    'a',
    'x'.repeat(300),
    '\ud800',
    '\u0000',
    '(',
    '(?:a+)+$',
    '__proto__',
    'constructor',
    '../..',
    '-1',
  ],
  ...[[], {}, [null], [[]], [0], ['a', 'b'], { type: 'x' }, JSON.parse('{"__proto__":{"x":1}}')],
];

export function nasty(random: Random): Json {
  return random.chance(0.2) ? random.int(-5, 5000) : structuredClone(random.pick(NASTY));
}

/** Every place of a value: an object or array, and a key of it. Large ones give some of their keys. */
function places(value: unknown, random: Random, found: [Parent, string][] = []): [Parent, string][] {
  if (typeof value !== 'object' || value === null || found.length > 2000) return found;
  // A typed array is replaced as a whole: its elements cannot be deleted.
  if (ArrayBuffer.isView(value)) return found;
  const keys = Object.keys(value);
  const some = keys.length > 60 ? Array.from({ length: 30 }, () => random.pick(keys)) : keys;
  for (const key of some) {
    found.push([value as Parent, key]);
    places((value as Record<string, unknown>)[key], random, found);
  }
  return found;
}

/** Changes one to three places of a JSON value, which it may alter, and returns it. */
export function mutate<T extends object>(root: T, random: Random): T {
  for (let i = random.int(1, 3); i > 0; i--) {
    const all = places(root, random);
    if (all.length === 0) return root;
    const [parent, key] = random.pick(all);
    const at = parent as Record<string, unknown>;
    const old = at[key];
    switch (random.int(0, 6)) {
      case 0:
        delete at[key];
        break;
      case 1:
        at[key] = nasty(random);
        break;
      case 2: {
        const [from, other] = random.pick(all);
        at[key] = structuredClone((from as Record<string, unknown>)[other]);
        break;
      }
      case 3:
        // An array may have lost its own push: a key may be __proto__.
        if (Array.isArray(old)) Array.prototype.push.call(old, nasty(random));
        else at[random.pick(['type', '__proto__', '', '\u0000', 'name', key.toUpperCase()])] = nasty(random);
        break;
      case 4:
        if (typeof old === 'number') at[key] = old + random.pick([-1, 1, 1000, 0.5, Number.NaN]);
        else if (typeof old === 'string') at[key] = spliced(old, random, ['\u0000', 'é', '漢', '{{', '']);
        else at[key] = nasty(random);
        break;
      case 5:
        at[key] = [old, old];
        break;
      default:
        at[key] = { [key]: old };
    }
  }
  return root;
}

/** A text with one to four pieces put in, in place of up to three characters each. */
export function spliced(text: string, random: Random, pieces: readonly string[]): string {
  let result = text;
  for (let i = random.int(1, 4); i > 0; i--) {
    const at = random.int(0, result.length);
    const end = Math.min(result.length, at + random.int(0, 3));
    result = result.slice(0, at) + random.pick(pieces) + result.slice(end);
  }
  return result;
}
