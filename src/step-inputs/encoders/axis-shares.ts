import { toDType } from '../../dtype.js';
import type { PlaceShare } from '../../media/index.js';
import type { StepInput } from '../step-input.js';

/** Which of `from` places count for place `at` of `to`, and how much. */
type Filter = (at: number, to: number, from: number) => readonly PlaceShare[];

/** Between two places, middles on middles, the first and the last standing for all beyond (torch's `interpolate`). */
const linear: Filter = (at, to, from) => {
  const point = Math.max(0, ((at + 0.5) * from) / to - 0.5);
  const first = Math.min(Math.floor(point), from - 1);
  const share = point - first;
  const next = { place: first + 1, share };
  return first + 1 < from ? [{ place: first, share: 1 - share }, next] : [{ place: first, share: 1 }];
};

/** Keys' kernel with a = -0.5. */
function cubic(distance: number): number {
  const x = Math.abs(distance);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

/** Places within two, or within two of `to` where these are fewer (torch's `interpolate`, bicubic with `antialias`). */
const smoothCubic: Filter = (at, to, from) => {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const centre = (at + 0.5) * scale;
  const begin = Math.max(Math.trunc(centre - 2 * stretch + 0.5), 0);
  const end = Math.min(Math.trunc(centre + 2 * stretch + 0.5), from);
  const near = Array.from({ length: end - begin }, (_, i) => ({
    place: begin + i,
    share: cubic((begin + i - centre + 0.5) / stretch),
  }));
  const sum = near.reduce((all, { share }) => all + share, 0);
  return near.map(({ place, share }) => ({ place, share: share / sum }));
};

const FILTERS = { linear, smoothCubic };

/** An axis of so many places that becomes one of another length. */
export interface DrawnAxis {
  readonly from: number;
  readonly to: number;
  readonly filter: keyof typeof FILTERS;
}

/** The input by which such an axis is drawn. */
export const axisSharesOf = ({ from, to, filter }: DrawnAxis): string => `${filter}_shares_${from}_${to}`;

/**
 * `<filter>_shares_<from>_<to>` [to, from] in the model's dtype, held for the run: how much each place of an axis counts
 * for each of the drawn one. Its product with rows along the axis draws these.
 */
export function axisShares(axis: DrawnAxis): StepInput {
  const { from, to, filter } = axis;
  const name = axisSharesOf(axis);
  return {
    names: [name],
    describe: ({ dtype }) => ({ [name]: { dtype, shape: [to, from] } }),
    hold({ dtype }) {
      const shares = new Float32Array(to * from);
      for (let at = 0; at < to; at++)
        for (const { place, share } of FILTERS[filter](at, to, from)) shares[at * from + place] = share;
      return { [name]: toDType(shares, [to, from], dtype) };
    },
  };
}
