import { endOf } from '../media/index.js';
import { int32 } from './integers.js';
import { type MaskReader, maskOf } from './mask-values.js';
import { FULL_MASK, maskReader, slidingMaskName } from './masks.js';
import type { Step } from './step.js';
import type { StepInput } from './step-input.js';

/** How many keys of its sequence each query sees. */
export const SEEN_KEYS = 'seen_keys';

/** The mask of a layer with this window or none, in a model whose layers have these. */
export const insertMaskName = (
  windowSize: number | undefined,
  all: readonly (number | undefined)[],
): string => `insert_${windowSize === undefined ? FULL_MASK : slidingMaskName(windowSize, all)}`;

/** Of tokens [start, start + count) of a sequence: those up to its own, or all up to the last of the insert that it is of. */
function seenKeys({ inserts = [] }: Step, row: number, start: number, count: number): Int32Array {
  const seen = Int32Array.from({ length: count }, (_, i) => start + i + 1);
  for (const insert of inserts[row] ?? []) {
    const [from, to] = [Math.max(insert.start - start, 0), Math.min(endOf(insert) - start, count)];
    if (from < to && insert.input.isWhole) seen.fill(endOf(insert), from, to);
  }
  return seen;
}

/** The same of each token of a step. */
const seenByTokens = (step: Step): Int32Array =>
  Int32Array.from(
    [...step.seqLens].flatMap((seqLen, row) => {
      const count = step.queryLens[row] ?? 0;
      return [...seenKeys(step, row, seqLen - count, count)];
    }),
  );

/**
 * Where tokens of one insert see each other: `seen_keys` i32 [tokens], how many keys of its sequence each token sees, and for
 * programs that read masks `insert_attention_mask` or one for each window, in the model's dtype: in prefill [batch, context,
 * context], rows and columns being positions; in split-fuse [tokens, context].
 */
export const seenInserts = (windows: readonly (number | undefined)[]): StepInput[] => [
  {
    names: [SEEN_KEYS],
    describe: ({ rows }) => ({ [SEEN_KEYS]: { dtype: 'i32', shape: [rows] } }),
    make: (step) => ({ [SEEN_KEYS]: int32(seenByTokens(step)) }),
  },
  ...[...new Set(windows)].map((windowSize) => insertMask(insertMaskName(windowSize, windows), windowSize)),
];

function insertMask(name: string, windowSize: number | undefined): StepInput {
  const window = windowSize === undefined ? {} : { windowSize };
  return {
    names: [name],
    describe: ({ kind, dtype, batch, rows, contextLen: size }) => ({
      [name]: { dtype, shape: kind.readsCache ? [rows, size] : [batch, size, size] },
    }),
    recipes(kind) {
      const form = kind.readsCache ? 'tokens' : 'sequences';
      return { [name]: { made: 'mask', form, reader: maskReader(kind), ...window, seesInserts: true } };
    },
    make(step, { dtype }) {
      const { kind, positions, seqLens } = step;
      const size = Math.max(...seqLens);
      const reader: MaskReader = maskReader(kind);
      if (kind.readsCache)
        return { [name]: maskOf(positions, size, { reader, dtype, ...window, seen: seenByTokens(step) }) };
      const places = [...seqLens].flatMap(() => Array.from({ length: size }, (_, place) => place));
      const seen = [...seqLens].flatMap((_, row) => [...seenKeys(step, row, 0, size)]);
      const mask = maskOf(places, size, { reader, dtype, ...window, seen });
      return { [name]: { ...mask, shape: [seqLens.length, size, size] } };
    },
  };
}
