import type { LinearQuant } from '../quantization.js';
import type { NamedTensors, TensorRef } from '../tensor-ref.js';
import { flattened, withRowOrder } from '../weight-changes.js';
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

/**
 * A linear of `weight` e4m3 [n, k] with scales under `suffix`, of which `stored` is the shape: one number for all outputs
 * ([] or [1]), also where blocks are expected; one for each output ([n] or [n, 1]); or one for each block
 * ([n / rows, k / channels] or [n / rows, 1, k / channels, 1], of which the last ones may be smaller). Without `stored` it is what the configuration declares.
 */
export function e4m3Linear(
  suffix: string,
  stored: readonly number[] | undefined,
  expected: ScaleBlock | undefined,
): LinearQuant {
  if (stored === undefined) return { desc: 'FP8', groupSize: expected?.channels ?? 0 };
  const isOne = stored.every((size) => size === 1);
  const block = isOne && stored.length < 2 ? undefined : expected;
  const scales = (weights: NamedTensors, name: string, n: number, k: number): TensorRef => {
    if (block) return blockScales(weights, name, [n, k], block, stored.length);
    if (isOne) return sharedScale(asScales(weights.get(name, stored)), n);
    return flattened(asScales(weights.get(name, stored.length === 1 ? [n] : [n, 1])));
  };
  return {
    desc: 'FP8',
    groupSize: block?.channels ?? 0,
    rows: (weights, { name, outFeatures: n, inFeatures: k }) => ({
      weight: weights.get(`${name}.weight`, [n, k]),
      scale: scales(weights, `${name}.${suffix}`, n, k),
    }),
  };
}

/** The scales of blocks, which may have `axes` of 1 between and behind them, as [n, groups], a row for each output. */
function blockScales(
  weights: NamedTensors,
  name: string,
  [n, k]: readonly [n: number, k: number],
  { rows, channels }: ScaleBlock,
  axes: number,
): TensorRef {
  const blocks = [Math.ceil(n / rows), Math.ceil(k / channels)] as const;
  const shape = axes === 4 ? [blocks[0], 1, blocks[1], 1] : blocks;
  return withRowOrder(
    flattened(asScales(weights.get(name, shape))),
    Int32Array.from({ length: n }, (_, row) => Math.floor(row / rows)),
  );
}
