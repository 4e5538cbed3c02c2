import { DTYPE_BYTES, elementCount } from '../dtype.js';
import type { PlannedInput, WeightLoad } from '../native/index.js';

/** Rows of a packed panel (native/src/kernels/packed_weight.h). */
const PANEL_ROWS = 16;
/** What the input channels of a panel are padded to, where they are. */
const BF16_TILE = 32;
const INTEGER_TILE = 64;
const FLOAT_BYTES = 4;

/** A tensor of the engine without its bytes. */
export interface StoredTensor {
  readonly name: string;
  readonly desc: PlannedInput;
  readonly bytes: number;
}

/**
 * What the engine keeps of a weight: one tensor, and the scales that are made with integers. Scales of stored integers
 * are weights of their own; the layout that groups give them is `groupScales`' to say.
 */
export function storedTensors(load: WeightLoad, isGroupScale: boolean): StoredTensor[] {
  const { name, dtype, shape, layout, quantize } = load;
  const [n = 1, columns = 1] = shape.slice(-2);
  // Matrices of a stack lie one behind the other.
  const stack = shape.slice(0, -2);
  const experts = elementCount(stack);
  if (quantize === undefined) {
    if (isGroupScale) return [{ name, ...groupScales(stack, n, columns, false) }];
    const isPacked = layout !== 'plain';
    const width = dtype === 'bf16' ? roundUp(columns, BF16_TILE) : columns;
    const elements = isPacked ? experts * packedRows(load) * width : elementCount(shape);
    const desc: PlannedInput = { dtype, shape, layout: isPacked ? 'linear' : 'plain' };
    return [{ name, desc, bytes: elements * DTYPE_BYTES[dtype] }];
  }
  const { bits, groupSize, scaleName } = quantize;
  const isStored = load.parts.every((part) => part.dtype === 'i8' || part.dtype === 'u8');
  const inFeatures = isStored ? (columns * 8) / bits : columns;
  const weight: StoredTensor = {
    name,
    desc: { dtype: 'i8', shape: [...stack, n, (inFeatures * bits) / 8], layout: 'linear' },
    bytes: (experts * packedRows(load) * roundUp(inFeatures, INTEGER_TILE) * bits) / 8,
  };
  if (isStored) return [weight];
  const scales =
    groupSize === 0
      ? { desc: { dtype: 'f32', shape: [...stack, n, 1] } as const, bytes: experts * n * FLOAT_BYTES }
      : groupScales(stack, n, Math.ceil(inFeatures / groupSize), bits === 4);
  return [weight, { name: scaleName, ...scales }];
}

/** Scales [n, groups] of each matrix in the order of panels. Of int4 made here, each is a float an output times a byte a group. */
function groupScales(
  stack: readonly number[],
  n: number,
  groups: number,
  areProducts: boolean,
): Omit<StoredTensor, 'name'> {
  const elements = roundUp(n, PANEL_ROWS) * groups;
  const bytes = areProducts ? n * FLOAT_BYTES + elements : elements * FLOAT_BYTES;
  return {
    desc: { dtype: 'f32', shape: [...stack, n, groups], layout: 'scales' },
    bytes: elementCount(stack) * bytes,
  };
}

function packedRows({ layout, shape }: WeightLoad): number {
  const n = shape.at(-2) ?? 1;
  return layout === 'linear-interleaved' ? 2 * roundUp(n / 2, PANEL_ROWS) : roundUp(n, PANEL_ROWS);
}

const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to;
