import { refuseRequest } from '../errors.js';
import { int64 } from './integers.js';
import type { Step } from './step.js';
import type { StepInput } from './step-input.js';

/** How the last tokens of a text, 2 to `multipliers.length` of them, become rows of a table. */
export interface NgramHashes {
  /** By what a token is multiplied, and the ones before it. Products are below 2^63. */
  readonly multipliers: readonly bigint[];
  /** For each number of tokens from 2 on, how many rows each of its parts of the table has. */
  readonly sizes: readonly (readonly number[])[];
  /** Where texts begin anew: tokens before it count as this one, and so do those before a text. */
  readonly separator: number;
}

/**
 * i64 [tokens, parts of the table] under this name: for each token and each part the row of the last tokens, their
 * products with the multipliers joined by exclusive or, modulo the part's rows; parts lie one below the other.
 */
export const ngramRows = (name: string, hashes: NgramHashes): StepInput => {
  const parts = hashes.sizes.flat().length;
  return {
    names: [name],
    describe: ({ rows }) => ({ [name]: { dtype: 'i64', shape: [rows, parts] } }),
    make(step) {
      const found = new Int32Array(step.tokenIds.length * parts);
      let at = 0;
      for (const [row, count] of step.queryLens.entries()) {
        for (const end = at + count; at < end; at++)
          found.set(rowsOf(tokensBefore(step, row, at, end - count, hashes), hashes), at * parts);
      }
      return { [name]: { ...int64(found), shape: [step.tokenIds.length, parts] } };
    },
  };
};

/** The token at a place of the step and those before it in its sequence, nearest first; `first`: where that begins. */
function tokensBefore(step: Step, row: number, at: number, first: number, hashes: NgramHashes): number[] {
  const { multipliers, separator } = hashes;
  const position = step.positions[at] as number;
  const found: number[] = [step.tokenIds[at] as number];
  for (let before = 1; before < multipliers.length; before++) {
    const isCut = position < before || (before > 1 && found[before - 1] === separator);
    found.push(isCut ? separator : tokenAt(step, row, at - before, first, position - before));
  }
  return found;
}

/** A token of the step, or one of its sequence that came before: at `position`. */
function tokenAt(step: Step, row: number, at: number, first: number, position: number): number {
  const found = at >= first ? step.tokenIds[at] : step.sequences?.[row]?.[position];
  return (
    found ?? refuseRequest('sequences', `the tokens before those of the step, of sequence ${row}`, found)
  );
}

function rowsOf(tokens: readonly number[], { multipliers, sizes }: NgramHashes): number[] {
  const rows: number[] = [];
  let [mixed, offset] = [0n, 0];
  for (const [before, token] of tokens.entries()) {
    mixed ^= BigInt(token) * (multipliers[before] as bigint);
    if (before === 0) continue;
    for (const size of sizes[before - 1] ?? []) {
      rows.push(offset + Number(mixed % BigInt(size)));
      offset += size;
    }
  }
  return rows;
}
