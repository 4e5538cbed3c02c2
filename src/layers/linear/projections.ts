import type { RopeConfig } from '../../step-inputs/index.js';
import { rotaryRowOrder } from '../../step-inputs/rotary/rotary-row-order.js';
import type { LinearPart } from '../../weights/linear-part.js';
import { consecutiveRows, groupedRows, type PackedRows } from '../../weights/row-orders.js';

/** How a checkpoint stores the projections of attention. */
export type QkvNames =
  /** One tensor each, of which that of queries may hold other rows, too. */
  | { readonly q: string; readonly k: string; readonly v: string; readonly qRows?: PackedRows }
  /** One tensor for queries, one that holds of each key head its key and value. */
  | { readonly q: string; readonly keyValue: string }
  /** One tensor for all. `blocks`: queries, then keys, then values. `groups`: of each key head its queries, key and value. */
  | {
      readonly packed: string;
      readonly order: 'blocks' | 'groups';
      /** What has the biases of queries and of values, where these lie elsewhere. */
      readonly biases?: { readonly q: string; readonly v: string };
    }
  /** The same, with the rows of queries, keys and values. */
  | { readonly packed: string; readonly rows: readonly [PackedRows, PackedRows, PackedRows] };

/** Sizes that projections depend on. */
export interface ProjectionSizes {
  readonly numAttentionHeads: number;
  readonly numKeyValueHeads: number;
  readonly headDim: number;
  /** Of values, where it is another; only where they are a tensor of their own. */
  readonly valueHeadDim?: number | undefined;
  /** Absent without rotary embedding. */
  readonly rope?: RopeConfig | undefined;
  /** Whether keys have a bias, where that differs from queries and values. */
  readonly keyBias?: boolean | undefined;
}

/**
 * Queries, keys and values as parts of one linear, whatever the checkpoint's packing. Rows of queries and keys are put into
 * the order in which the engine, and ATB, rotate whole heads by halves: so every rotary layout becomes one.
 */
export function projectionsOf(
  sizes: ProjectionSizes,
  names: QkvNames,
  transposed: boolean,
): readonly [LinearPart, LinearPart, LinearPart] {
  const { numAttentionHeads: heads, numKeyValueHeads: kvHeads, headDim, rope, keyBias } = sizes;
  const { valueHeadDim = headDim } = sizes;
  const [qRows, kRows, vRows] = rowsOfParts(sizes, names);
  const { q, k, v } = namesOfParts(names);
  const [queries, keys] = [heads * headDim, kvHeads * headDim];
  const biases = 'biases' in names ? names.biases : undefined;
  const ofQueries = { name: q, biasOf: biases?.q, rows: qRows };
  return [
    { ...ofQueries, outFeatures: queries, rowOrder: rotaryOrder(heads, rope), transposed },
    {
      name: k,
      outFeatures: keys,
      rows: kRows,
      rowOrder: rotaryOrder(kvHeads, rope),
      transposed,
      hasBias: keyBias,
    },
    { name: v, biasOf: biases?.v, outFeatures: kvHeads * valueHeadDim, rows: vRows, transposed },
  ];
}

function namesOfParts(names: QkvNames): { readonly q: string; readonly k: string; readonly v: string } {
  if ('packed' in names) return { q: names.packed, k: names.packed, v: names.packed };
  return 'keyValue' in names ? { q: names.q, k: names.keyValue, v: names.keyValue } : names;
}

/** Which rows of their tensors queries, keys and values are; undefined for all of them. */
function rowsOfParts(
  { numAttentionHeads: heads, numKeyValueHeads: kvHeads, headDim }: ProjectionSizes,
  names: QkvNames,
): readonly (PackedRows | undefined)[] {
  if ('keyValue' in names)
    return [undefined, ...groupedRows({ groups: kvHeads, headsPerGroup: [1, 1], headDim })];
  if (!('packed' in names)) return [names.qRows];
  if ('rows' in names) return names.rows;
  return names.order === 'blocks'
    ? consecutiveRows([heads, kvHeads, kvHeads].map((count) => count * headDim))
    : groupedRows({ groups: kvHeads, headsPerGroup: [heads / kvHeads, 1, 1], headDim });
}

/**
 * The order in which rows of queries or keys, and weights of norms of them, are rotated by halves. Undefined where that is
 * the checkpoint's own, or where nothing is rotated.
 */
export const rotaryOrder = (heads: number, rope: RopeConfig | undefined): Int32Array | undefined =>
  rope && rotaryRowOrder({ heads, ...rope });
