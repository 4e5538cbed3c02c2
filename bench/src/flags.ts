import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type ModelShape, SHAPES } from './shapes.js';

type Command = 'main' | 'serving' | 'throughput';
type Described = Readonly<
  Record<Command, { readonly flags: Readonly<Record<string, readonly [string, string]>> }>
>;

/** The flags of a command as `bench/commands.json` has them, by which `scripts/bench.mjs` shows its help. */
export class Flags {
  readonly #values: Readonly<Record<string, unknown>>;

  constructor(command: Command) {
    const file = join(import.meta.dirname, '../commands.json');
    const { flags } = (JSON.parse(readFileSync(file, 'utf8')) as Described)[command];
    const options = Object.fromEntries(
      Object.entries(flags).map(([name, [given]]) => [name, { type: 'string' as const, default: given }]),
    );
    this.#values = parseArgs({ options }).values;
  }

  /** Empty where it is absent and has no value by itself. */
  text(name: string): string {
    return String(this.#values[name]);
  }

  list(name: string): string[] {
    return this.text(name).split(',');
  }

  /** @throws for anything but an integer of at least `least` */
  count(name: string, least = 1): number {
    return countOf(name, this.text(name), least);
  }

  counts(name: string, least: number): number[] {
    return this.list(name).map((one) => countOf(name, one, least));
  }

  /** Compute threads: all cores when absent. */
  get threads(): number {
    return this.text('threads') === '' ? availableParallelism() : this.count('threads');
  }

  shape(name: string): ModelShape {
    return SHAPES[this.choice(name, this.text(name), Object.keys(SHAPES))] as ModelShape;
  }

  /** @throws unless it is one of these */
  choice(name: string, found: string, choices: readonly string[]): string {
    if (choices.includes(found)) return found;
    throw new Error(`--${name} is ${choices.join(', ')}; found ${found}`);
  }

  /** A length, or two with `-` between them. */
  range(name: string): { readonly min: number; readonly max: number } {
    const [min, max = min] = this.text(name)
      .split('-')
      .map((one) => countOf(name, one, 1)) as [number, number?];
    if (max < min) throw new Error(`--${name} is a range from less to more, found ${this.text(name)}`);
    return { min, max };
  }
}

function countOf(name: string, text: string, least: number): number {
  const value = Number(text);
  if (text !== '' && Number.isInteger(value) && value >= least) return value;
  throw new Error(`--${name} is an integer >= ${least}, found ${text}`);
}
