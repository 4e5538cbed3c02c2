import { DTYPE_BYTES, elementCount, isFloat } from '../dtype.js';
import type { PlannedInput, WeightLoad } from '../native/index.js';
import type { WeightPart } from '../native/weight-load.js';
import { ggufTypeNamed } from '../weights/gguf/block-types.js';

/** Rows of a packed panel (native/src/kernels/packed_weight.h). */
const PANEL_ROWS = 16;
/** What the input channels of a panel are padded to, where they are. */
const BF16_TILE = 32;
const INTEGER_TILE = 64;
const FLOAT_BYTES = 4;
/** Of an offset, and of an f16. */
const OFFSET_BYTES = 2;
const STEP_GROUPS = 8;

/** A tensor of the engine without its bytes. */
export interface StoredTensor {
  readonly name: string;
  readonly desc: PlannedInput;
  readonly bytes: number;
}

/**
 * What the engine keeps of a weight: one tensor, and the scales that are made with integers. Scales of stored integers
 * are weights of their own, as are offsets; the layout that groups give them is `groupScales`' to say.
 */
export function storedTensors(load: WeightLoad, like: ScaleLike | undefined): StoredTensor[] {
  const { name, dtype, shape, layout, quantize } = load;
  const [n = 1, columns = 1] = shape.slice(-2);
  // Matrices of a stack lie one behind the other.
  const stack = shape.slice(0, -2);
  const experts = elementCount(stack);
  if (quantize === undefined) {
    if (like) return [{ name, ...groupScales(stack, n, columns, like) }];
    const isPacked = layout !== 'plain';
    const width = dtype === 'bf16' ? roundUp(columns, BF16_TILE) : columns;
    const elements = isPacked ? experts * packedRows(load) * width : elementCount(shape);
    const desc: PlannedInput = { dtype, shape, layout: isPacked ? 'linear' : 'plain' };
    return [{ name, desc, bytes: elements * DTYPE_BYTES[dtype] }];
  }
  const { bits, groupSize, scaleName } = quantize;
  const isStored = load.parts.every(({ dtype: stored }) => !isFloat(stored));
  const isPaired =
    isStored && load.parts.every((part) => part.file !== undefined && !part.words && !part.unpaired);
  const inFeatures = isPaired ? (columns * 8) / bits : columns;
  const weight: StoredTensor = {
    name,
    desc: { dtype: 'i8', shape: [...stack, n, (inFeatures * bits) / 8], layout: 'linear' },
    bytes: (experts * packedRows(load) * roundUp(inFeatures, INTEGER_TILE) * bits) / 8,
  };
  if (isStored) return [weight];
  const scales =
    groupSize === 0
      ? { desc: { dtype: 'f32', shape: [...stack, n, 1] } as const, bytes: experts * n * FLOAT_BYTES }
      : groupScales(stack, n, Math.ceil(inFeatures / groupSize), bits === 4 ? 'products' : 'scales');
  return [weight, { name: scaleName, ...scales }];
}

/**
 * What lies in the order of panels. Of int4 made here, a scale is a float an output times a byte a group; of e2m1, a byte; of
 * blocks of GGUF, an f16, or one for eight groups times a byte a group.
 */
export type ScaleLike = 'scales' | 'products' | 'exponents' | 'offsets' | 'halves' | 'steps';

/** Scales or offsets [n, groups] of each matrix in the order of panels. */
function groupScales(
  stack: readonly number[],
  n: number,
  groups: number,
  like: ScaleLike,
): Omit<StoredTensor, 'name'> {
  const rows = roundUp(n, PANEL_ROWS);
  const elements = rows * groups;
  const bytes = {
    scales: elements * FLOAT_BYTES,
    products: n * FLOAT_BYTES + elements,
    exponents: elements,
    offsets: elements * OFFSET_BYTES,
    halves: elements * OFFSET_BYTES,
    steps: elements + rows * Math.ceil(groups / STEP_GROUPS) * OFFSET_BYTES,
  };
  return {
    desc: { dtype: 'f32', shape: [...stack, n, groups], layout: 'scales' },
    bytes: elementCount(stack) * bytes[like],
  };
}

/** The loads that bring scales or offsets in the order of panels, by name. */
export function scaleLikes(loads: readonly WeightLoad[]): ReadonlyMap<string, ScaleLike> {
  const likes = new Map<string, ScaleLike>();
  const byName = new Map(loads.map((load) => [load.name, load]));
  for (const { quantize } of loads) {
    if (quantize === undefined) continue;
    const { scaleName, offsetName, areMinimums = false } = quantize;
    const arePowers = quantize.numbers === 'floats' && quantize.bits === 4;
    const ofBlocks = (name: string) => likeBlocks(byName.get(name)?.parts ?? []);
    if (quantize.groupSize > 0) likes.set(scaleName, arePowers ? 'exponents' : ofBlocks(scaleName));
    if (offsetName !== undefined) likes.set(offsetName, areMinimums ? ofBlocks(offsetName) : 'offsets');
  }
  return likes;
}

/** How numbers of groups are stored: as the blocks of GGUF say, where all parts are alike. */
function likeBlocks(parts: readonly WeightPart[]): ScaleLike {
  const kinds = parts.flatMap((part): ScaleLike[] => {
    if (part.file === undefined) return part.value === 0 ? [] : ['scales'];
    const { blocks, rowFactors, times = 1, plus = 0 } = part;
    const isPlain = blocks && !rowFactors && times === 1 && plus === 0;
    return [(isPlain && ggufTypeNamed(blocks.type)?.quantised?.scales) || 'scales'];
  });
  const [first = 'scales'] = kinds;
  return kinds.every((kind) => kind === first) ? first : 'scales';
}

function packedRows({ layout, shape }: WeightLoad): number {
  const n = shape.at(-2) ?? 1;
  return layout === 'linear-interleaved' ? 2 * roundUp(n / 2, PANEL_ROWS) : roundUp(n, PANEL_ROWS);
}

const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to;
