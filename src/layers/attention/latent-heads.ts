import type { RopeConfig } from '../../step-inputs/index.js';
import type { LatentAttentionConfig } from '../attention-config.js';
import { rotaryOrder } from '../linear/projections.js';

/** Queries of all heads by their names in the graph, with their sizes: those that do not turn, then those that do. */
export const queryParts = ({
  numAttentionHeads: heads,
  qkNopeHeadDim,
  headDim,
}: Pick<LatentAttentionConfig, 'numAttentionHeads' | 'qkNopeHeadDim' | 'headDim'>): readonly (readonly [
  string,
  number,
])[] => [
  ['q_nope', heads * qkNopeHeadDim],
  ['q_pe', heads * headDim],
];

/** The sizes of heads, one behind the other. */
interface SplitHeads {
  readonly heads: number;
  /** How many do not turn. */
  readonly still: number;
  /** How many behind these `rope` turns. */
  readonly headDim: number;
  readonly rope: RopeConfig | undefined;
  /** How many of another kind are behind these; none when absent. */
  readonly behind?: number;
}

/**
 * The order of rows of heads [still sizes, `headDim` that `rope` turns, `behind`] that puts the still sizes of all heads
 * first, then those that turn, each head's in the order in which it is turned by halves, then those behind.
 */
export function splitHeads({ heads, still, headDim, rope, behind = 0 }: SplitHeads): Int32Array {
  const all = (from: number, count: number, order?: ArrayLike<number>): number[] =>
    Array.from({ length: heads * count }, (_, row) => {
      const size = row % count;
      return Math.floor(row / count) * (still + headDim + behind) + from + (order?.[size] ?? size);
    });
  return Int32Array.from([
    ...all(0, still),
    ...all(still, headDim, rotaryOrder(1, rope)),
    ...all(still + headDim, behind),
  ]);
}
