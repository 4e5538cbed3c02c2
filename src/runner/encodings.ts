import type { Tensor } from '../dtype.js';
import { type EncoderInput, endOf, type Insert, insertsWithin } from '../media/index.js';
import type { Batch, BatchEntry, StepSequence } from '../scheduler/batch.js';
import type { InsertedRows } from '../step-inputs/index.js';

/** Rows of one call of an encoder, or of one thing that has more. Memory is planned for them. */
const MAX_CALL_ROWS = 8192;

/** What the encoder gave: [rows, width] in f32. */
type Rows = Pick<InsertedRows, 'rows' | 'width'>;

/** What a model's encoder has made for sequences whose prompts are not in the cache yet. */
export class Encodings {
  readonly #made = new WeakMap<StepSequence, Map<Insert, Rows>>();

  /** Makes what a batch wants encoded. A thing's rows do not depend on what else is in its call. */
  async encode(
    { entries }: Batch<StepSequence>,
    run: (inputs: readonly EncoderInput[]) => Promise<Tensor<'f32'>>,
  ): Promise<void> {
    const wanted = entries.flatMap(({ sequence, encodes = [] }) =>
      encodes.map((insert) => ({ sequence, insert })),
    );
    for (const call of callsOf(wanted, ({ insert }) => insert.input.rows)) {
      const { data, shape } = await run(call.map(({ insert }) => insert.input));
      const width = shape[1] ?? 0;
      let at = 0;
      for (const { sequence, insert } of call) {
        const end = at + insert.input.count * width;
        this.#of(sequence).set(insert, { rows: data.slice(at, end), width });
        at = end;
      }
    }
  }

  /** The rows of those tokens of a batch that are part of something encoded. */
  inserted({ entries }: Batch<StepSequence>): InsertedRows[] {
    let at = 0;
    return entries.flatMap((entry) => {
      const first = at;
      at += entry.count;
      return this.#within(entry, first);
    });
  }

  /** The batch is computed: nobody needs the rows of what is wholly in the cache. */
  drop({ entries }: Batch<StepSequence>): void {
    for (const { sequence, start, count } of entries)
      for (const insert of insertsWithin(sequence.inserts, start, count))
        if (endOf(insert) <= start + count) this.#made.get(sequence)?.delete(insert);
  }

  /** The sequence has ended. */
  forget(sequence: StepSequence): void {
    this.#made.delete(sequence);
  }

  #within({ sequence, start, count }: BatchEntry<StepSequence>, first: number): InsertedRows[] {
    return insertsWithin(sequence.inserts, start, count).flatMap((insert) => {
      const made = this.#made.get(sequence)?.get(insert);
      if (made === undefined) return [];
      const [from, to] = [Math.max(insert.start, start), Math.min(endOf(insert), start + count)];
      const { rows, width } = made;
      const wanted = rows.subarray((from - insert.start) * width, (to - insert.start) * width);
      return [{ at: first + from - start, rows: wanted, width }];
    });
  }

  #of(sequence: StepSequence): Map<Insert, Rows> {
    const known = this.#made.get(sequence) ?? new Map<Insert, Rows>();
    this.#made.set(sequence, known);
    return known;
  }
}

/** Things in the order that they have, as calls of at most MAX_CALL_ROWS rows. */
function callsOf<T>(things: readonly T[], rowsOf: (thing: T) => number): T[][] {
  const calls: T[][] = [];
  let room = 0;
  for (const thing of things) {
    if (rowsOf(thing) > room) {
      calls.push([]);
      room = MAX_CALL_ROWS;
    }
    calls.at(-1)?.push(thing);
    room -= rowsOf(thing);
  }
  return calls;
}

/**
 * Rows of things, in their order, each made by the encoder that reads it. `run` is given things of one encoder. Where one
 * gives wider rows, those of the other end in zeros.
 */
export async function encodedInTurn(
  inputs: readonly EncoderInput[],
  run: (alike: readonly EncoderInput[]) => Promise<Tensor<'f32'>>,
): Promise<Tensor<'f32'>> {
  const [ofSecond, ofFirst] = [true, false].map((isSecond) =>
    inputs.filter(({ encoder }) => (encoder === 'second') === isSecond),
  ) as [EncoderInput[], EncoderInput[]];
  if (ofSecond.length === 0 || ofFirst.length === 0) return run(inputs);
  const [second, first] = [rowsInTurn(await run(ofSecond)), rowsInTurn(await run(ofFirst))];
  const width = Math.max(second.width, first.width);
  const rows = inputs.flatMap(({ encoder, count }) => (encoder === 'second' ? second : first).next(count));
  const data = new Float32Array(rows.length * width);
  for (const [at, row] of rows.entries()) data.set(row, at * width);
  return { dtype: 'f32', shape: [rows.length, width], data };
}

/** What an encoder gave, some rows after the other. */
function rowsInTurn({ data, shape: [, width = 0] }: Tensor<'f32'>) {
  let taken = 0;
  const next = (count: number): Float32Array[] =>
    Array.from({ length: count }, () => {
      taken += width;
      return data.subarray(taken - width, taken);
    });
  return { width, next };
}
