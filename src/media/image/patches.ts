import { type FloatDType, rounded } from '../../dtype.js';
import { requireArgument, whole } from '../../require-argument.js';
import type { Picture } from './picture.js';

/** How pixels become numbers: (value * rescale - mean) / std, each step rounded. */
export interface PixelValues {
  /** To what each step is rounded; f32 when absent. */
  readonly roundedTo?: FloatDType;
  /** Whether bytes stay as they are, and mean and deviation become as large, as torchvision's processors do it. */
  readonly isFused?: boolean;
  /** 1 / 255, mostly. */
  readonly rescale: number;
  /** Of red, green and blue. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** How a picture is cut. */
export interface PatchSizes {
  /** Pixels along a side of a patch. */
  readonly patchSize: number;
  /** Frames of a patch. */
  readonly temporalPatchSize: number;
  /** Patches along a side of a block, which becomes one token. */
  readonly mergeSize: number;
}

/** How the numbers of a patch lie. */
export interface PatchLayout {
  /**
   * Whether the numbers of a pixel lie side by side, of patches of one frame; channels follow one another when absent.
   */
  readonly channelsLast?: boolean;
}

/** Pictures as an encoder reads them. */
export interface Patches {
  /** [patches, channels * frames * patchSize * patchSize] in f32: frame by frame, block by block, patch by patch. */
  readonly data: Float32Array;
  /** How many there are in time, below each other and side by side. */
  readonly grid: readonly [frames: number, rows: number, columns: number];
}

const CHANNELS = 3;

/**
 * Cuts pictures of one size into patches, of whole blocks alone: pixels behind the last one of a row or column are left
 * out. `temporalPatchSize` pictures that follow one another share theirs, and the last one stands for those that lack.
 * A still picture is its own second frame (transformers 5.24, `Qwen2VLImageProcessorPil.patchify`).
 */
export function patchesOf(
  frames: readonly [Picture, ...Picture[]],
  values: PixelValues,
  { patchSize, temporalPatchSize, mergeSize, channelsLast = false }: PatchSizes & PatchLayout,
): Patches {
  const [{ width, height }] = frames;
  const unit = patchSize * mergeSize;
  const [rows, columns] = [height, width].map((side) => Math.floor(side / unit) * mergeSize) as [
    number,
    number,
  ];
  const pairs = Math.ceil(frames.length / temporalPatchSize);
  const area = patchSize * patchSize;
  const numbers = valueTables(values);
  const data = new Float32Array(pairs * rows * columns * CHANNELS * temporalPatchSize * area);
  let at = 0;
  for (let pair = 0; pair < pairs; pair++) {
    const shown = Array.from(
      { length: temporalPatchSize },
      (_, i) => (frames[pair * temporalPatchSize + i] ?? frames.at(-1)) as Picture,
    );
    for (const { x, y } of patchOrder(rows, columns, mergeSize)) {
      if (channelsLast) {
        for (const { data: pixels } of shown)
          for (let row = 0; row < patchSize; row++) {
            const from = ((y * patchSize + row) * width + x * patchSize) * CHANNELS;
            for (let i = 0; i < patchSize * CHANNELS; i++)
              data[at++] = numbers[i % CHANNELS]?.[pixels[from + i] as number] as number;
          }
        continue;
      }
      for (const [channel, table] of numbers.entries()) {
        for (const { data: pixels } of shown) {
          for (let row = 0; row < patchSize; row++) {
            let from = ((y * patchSize + row) * width + x * patchSize) * CHANNELS + channel;
            for (let column = 0; column < patchSize; column++, from += CHANNELS)
              data[at++] = table[pixels[from] as number] as number;
          }
        }
      }
    }
  }
  return { data, grid: [pairs, rows, columns] };
}

/** The places of patches: blocks row by row, and row by row within each block. @throws ARGUMENT_INVALID */
export function* patchOrder(
  rows: number,
  columns: number,
  mergeSize: number,
): Generator<{ readonly x: number; readonly y: number }, void, undefined> {
  // Steps of another kind would never come to an end.
  requireArgument('patchOrder', 'mergeSize', whole(1), mergeSize);
  for (let top = 0; top < rows; top += mergeSize)
    for (let left = 0; left < columns; left += mergeSize)
      for (let y = top; y < top + mergeSize; y++)
        for (let x = left; x < left + mergeSize; x++) yield { x, y };
}

/** What each byte becomes, by channel. */
function valueTables({
  rescale,
  mean,
  std,
  roundedTo = 'f32',
  isFused = false,
}: PixelValues): Float32Array[] {
  const step = (value: number): number => rounded(value, roundedTo);
  const enlarged = (of: readonly number[]) => of.map((value) => step(step(value) * step(1 / rescale)));
  if (isFused) return valueTables({ rescale: 1, mean: enlarged(mean), std: enlarged(std), roundedTo });
  return Array.from({ length: CHANNELS }, (_, channel) =>
    Float32Array.from({ length: 256 }, (_, byte) =>
      step(step(step(byte * rescale) - step(mean[channel] ?? 0)) / step(std[channel] ?? 1)),
    ),
  );
}
