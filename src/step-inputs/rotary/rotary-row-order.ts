import { type ArgumentKind, OBJECT, refuseArgument, requireArgument, whole } from '../../require-argument.js';

const EVEN: ArgumentKind = {
  expected: 'an even number above 0',
  holds: (value) => whole(2).holds(value) && (value as number) % 2 === 0,
};

/** Heads of a projection, and which of their sizes turn. */
export interface RotaryHeads {
  /** Heads of the projection; 1 for a norm's weight [headDim]. */
  readonly heads: number;
  readonly headDim: number;
  /** Sizes of a head that turn, from the first on; even. `headDim` when all do. */
  readonly rotaryDim: number;
  /** Pairs are (2i, 2i + 1); otherwise (i, i + rotaryDim / 2). */
  readonly interleaved: boolean;
  /**
   * Whether the first half of a head turns by columns, the other by rows, each of them by halves; false when absent.
   */
  readonly axial?: boolean;
}

/**
 * The row order that turns any rotary layout into one: pairs (i, i + headDim / 2) of whole heads. [heads * headDim] source
 * rows; undefined where nothing moves. Queries, keys, their biases and what is applied per head before the rotation (norm
 * weights) take the same order, so that q·k stays as it is; values and the output projection take none. The tables are
 * then `[cos f, 1 …]` twice and `[sin f, 0 …]` twice, headDim / 2 each: what does not turn has the angle 0.
 * Throws ARGUMENT_INVALID when rotaryDim is not even or not within the head, or headDim is odd.
 */
export function rotaryRowOrder(given: RotaryHeads): Int32Array | undefined {
  const call = 'rotaryRowOrder';
  requireArgument(call, '{ heads, headDim, rotaryDim, interleaved }', OBJECT, given);
  const { heads, headDim, rotaryDim, interleaved, axial = false } = given;
  requireArgument(call, 'heads', whole(1), heads);
  requireArgument(call, 'headDim', EVEN, headDim);
  if (!EVEN.holds(rotaryDim) || rotaryDim > headDim)
    refuseArgument(call, 'rotaryDim', `an even number within a head of ${headDim}`, rotaryDim);
  if (rotaryDim === headDim && !interleaved && !axial) return undefined;
  const pairs = rotaryDim / 2;
  const half = headDim / 2;
  const rest = half - pairs;
  const quarter = half / 2;
  /** Where size `size` of the new head was, in the old one. */
  const source = (size: number): number => {
    const [side, i] = [Math.floor(size / half), size % half];
    // Angles are those of rows, then those of columns.
    if (axial) return (side + (i < quarter ? 2 : 0)) * quarter + (i % quarter);
    // What does not turn fills up both halves.
    if (i >= pairs) return rotaryDim + side * rest + (i - pairs);
    return interleaved ? 2 * i + side : side * pairs + i;
  };
  return Int32Array.from({ length: heads * headDim }, (_, row) => {
    const size = row % headDim;
    return row - size + source(size);
  });
}
