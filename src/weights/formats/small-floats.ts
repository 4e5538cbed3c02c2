import { flattened, withRowOrder } from '../weight-changes.js';
import type { TensorRef, Weights } from '../weights.js';
import { sharedScale } from './shared-scale.js';

/** Rows and input channels that share a scale. */
export interface ScaleBlock {
  readonly rows: number;
  readonly channels: number;
}

/** Scales as numbers: those that are stored as bytes are powers of two, 2^(byte - 127). */
export function asScales(ref: TensorRef): TensorRef {
  if (ref.dtype !== 'u8' && ref.dtype !== 'e8m0') return ref;
  const parts = ref.parts.map((part) =>
    part.file === undefined ? part : { ...part, dtype: 'e8m0' as const },
  );
  return { ...ref, dtype: 'f32', parts };
}

/** How the scales of a linear lie in the files, by their shape. */
export type ScaleShape = 'tensor' | 'channel' | 'block';

/**
 * The scales of a linear as [n, groups], a row for each output: one number for all of them ([] or [1]), one for each output
 * ([n] or [n, 1]), or one for each block ([n / rows, k / channels], of which the last ones may be smaller).
 * Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH.
 */
export function outputScales(
  weights: Weights,
  name: string,
  [n, k]: readonly [n: number, k: number],
  stored: readonly number[],
  block: ScaleBlock | undefined,
): TensorRef {
  const kind = scaleShape(stored, block);
  if (kind === 'tensor') return sharedScale(asScales(weights.get(name, stored)), n);
  if (kind === 'channel') return flattened(asScales(weights.get(name, stored.length === 1 ? [n] : [n, 1])));
  const { rows, channels } = block as ScaleBlock;
  const scales = asScales(weights.get(name, [Math.ceil(n / rows), Math.ceil(k / channels)]));
  return withRowOrder(
    scales,
    Int32Array.from({ length: n }, (_, row) => Math.floor(row / rows)),
  );
}

/** One number is for all outputs, also where blocks are expected; else blocks are what the configuration says. */
export function scaleShape(stored: readonly number[], block: ScaleBlock | undefined): ScaleShape {
  if (stored.every((size) => size === 1) && (block === undefined || stored.length < 2)) return 'tensor';
  return block === undefined ? 'channel' : 'block';
}
