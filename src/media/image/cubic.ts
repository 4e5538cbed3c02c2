/** Of Keys' kernel, as torch has it. */
const A = -0.75;

/** The shares of the four places from `floor - 1` on of a point that lies `t` behind `floor` (arXiv:1906.11172, cubic convolution). */
function cubicShares(t: number): readonly number[] {
  const near = (x: number): number => ((A + 2) * x - (A + 3)) * x * x + 1;
  const far = (x: number): number => ((A * x - 5 * A) * x + 8 * A) * x - 4 * A;
  return [far(t + 1), near(t), near(1 - t), far(2 - t)];
}

/** A place of an axis, and how much it counts. */
export interface PlaceShare {
  readonly place: number;
  readonly share: number;
}

/**
 * Of one axis: which four of `from` places count for place `at` of `count`, middles lying on middles; those beyond an edge
 * are the edge (torch's `interpolate`, bicubic, nothing smoothed).
 */
export function cubicPlaces(at: number, count: number, from: number): readonly PlaceShare[] {
  const point = ((at + 0.5) / count) * from - 0.5;
  const first = Math.floor(point);
  return cubicShares(point - first).map((share, i) => ({
    place: Math.min(Math.max(first - 1 + i, 0), from - 1),
    share,
  }));
}
