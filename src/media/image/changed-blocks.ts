import type { PixelValues } from './patches.js';
import type { Picture } from './picture.js';

/** By how much blocks of two frames must differ to be two: a mean over the numbers of their pixels, in 255ths. */
const THRESHOLD = 0.1;

const CHANNELS = 3;

/**
 * Which blocks of `unit` x `unit` pixels of a frame differ from those of the frame before it, of the same size, row by
 * row: 1 for those that do, else 0. Where none does, the first stands for the frame (transformers 5.24,
 * `VideoLlama3VideoProcessor._get_compression_mask`). [blocks]
 */
export function changedBlocks(
  before: Picture,
  { width, height, data }: Picture,
  { rescale, std }: PixelValues,
  unit: number,
): Uint8Array {
  const [rows, columns] = [Math.floor(height / unit), Math.floor(width / unit)];
  const scales = std.map((deviation) => (255 * rescale) / deviation);
  const changed = new Uint8Array(rows * columns);
  for (let block = 0; block < changed.length; block++) {
    const [top, left] = [Math.floor(block / columns) * unit, (block % columns) * unit];
    let sum = 0;
    for (let y = top; y < top + unit; y++) {
      const from = (y * width + left) * CHANNELS;
      for (let i = 0; i < unit * CHANNELS; i++) {
        const difference = (data[from + i] as number) - (before.data[from + i] as number);
        sum += Math.abs(difference) * (scales[i % CHANNELS] as number);
      }
    }
    changed[block] = sum / (unit * unit * CHANNELS) > THRESHOLD ? 1 : 0;
  }
  if (!changed.includes(1)) changed[0] = 1;
  return changed;
}
