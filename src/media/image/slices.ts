import { pythonRound } from '../python-round.js';
import { cutOut } from './cut.js';
import type { Picture, PictureSize } from './picture.js';
import { checkRatio } from './ratio.js';
import { resize } from './resample.js';

/** How large pictures are looked at. */
export interface SliceLimits {
  /** Slices of a picture at most. */
  readonly maxSlices: number;
  /** The side of a square that has as many pixels as the whole and each slice. */
  readonly resolution: number;
  /** Pixels along a side of a patch, or of a block of patches, by which sizes are rounded. */
  readonly patchSize: number;
  /** Whether pictures that are not cut, and have fewer pixels than that square, stay as small; false when absent. */
  readonly keepsSmall?: boolean;
}

/** How many slices there are side by side and below each other, and what each of them measures. */
export interface SliceGrid {
  readonly columns: number;
  readonly rows: number;
  readonly size: PictureSize;
}

/** The sizes in which a picture is looked at: as a whole, and slice by slice where it is a large one. */
export interface SlicePlan {
  readonly whole: PictureSize;
  readonly grid?: SliceGrid;
}

/** A picture as a whole, and then its slices, row by row. */
export interface SlicedPicture {
  readonly pictures: readonly Picture[];
  readonly grid?: SliceGrid;
}

/** The nearest multiple of `factor`, at least `factor`. */
const nearest = (length: number, factor: number): number =>
  Math.max(pythonRound(length / factor) * factor, factor);

const inPatches = ({ width, height }: PictureSize, { patchSize }: SliceLimits): PictureSize => ({
  width: nearest(width, patchSize),
  height: nearest(height, patchSize),
});

/** That ratio of sides with the pixels of a square of `resolution`, in whole patches. */
function scaled({ width, height }: PictureSize, limits: SliceLimits): PictureSize {
  const ratio = width / height;
  const tall = Math.trunc(limits.resolution / Math.sqrt(ratio));
  return inPatches({ width: Math.trunc(tall * ratio), height: tall }, limits);
}

/**
 * How MiniCPM-V 2.6 cuts pictures (arXiv:2408.01800, section 3.2; its published processor): as many slices as squares of
 * `resolution` cover it, or one more or fewer, in the grid whose shape is nearest to the picture's, of two that are
 * equally near the one of more rows.
 * @throws MEDIA_UNSUPPORTED for a picture that is more than 200 times as long as it is wide
 */
export function slicePlan(size: PictureSize, limits: SliceLimits, what: string): SlicePlan {
  checkRatio(size, what);
  const { width, height } = size;
  const { resolution, maxSlices, keepsSmall = false } = limits;
  const squares = Math.ceil((width * height) / (resolution * resolution));
  const shape = bestShape(size, Math.min(squares, maxSlices), maxSlices);
  if (shape === undefined && squares <= 1 && keepsSmall) return { whole: inPatches(size, limits) };
  const whole = scaled(size, limits);
  if (shape === undefined) return { whole };
  const { columns, rows } = shape;
  const slice = { width: nearest(width, columns) / columns, height: nearest(height, rows) / rows };
  return { whole, grid: { columns, rows, size: scaled(slice, limits) } };
}

/** Undefined where a picture is not cut. */
function bestShape(
  { width, height }: PictureSize,
  count: number,
  maxSlices: number,
): Omit<SliceGrid, 'size'> | undefined {
  if (count <= 1) return undefined;
  const wanted = Math.log(width / height);
  let [best, smallest] = [{ columns: 1, rows: 1 }, Number.POSITIVE_INFINITY];
  for (const slices of [count - 1, count, count + 1]) {
    if (slices === 1 || slices > maxSlices) continue;
    for (let columns = 1; columns <= slices; columns++) {
      if (slices % columns !== 0) continue;
      const rows = slices / columns;
      const error = Math.abs(wanted - Math.log(columns / rows));
      if (error < smallest) [best, smallest] = [{ columns, rows }, error];
    }
  }
  return best;
}

/** A picture in the sizes of its plan. @throws as `slicePlan` */
export function slicesOf(picture: Picture, limits: SliceLimits, what: string): SlicedPicture {
  const { whole, grid } = slicePlan(picture, limits, what);
  const overview = resize(picture, whole, 'bicubic');
  if (grid === undefined) return { pictures: [overview] };
  const { columns, rows, size } = grid;
  const refined = resize(picture, { width: columns * size.width, height: rows * size.height }, 'bicubic');
  const slices = Array.from({ length: columns * rows }, (_, slice) =>
    cutOut(refined, {
      left: (slice % columns) * size.width,
      top: Math.floor(slice / columns) * size.height,
      ...size,
    }),
  );
  return { pictures: [overview, ...slices], grid };
}
