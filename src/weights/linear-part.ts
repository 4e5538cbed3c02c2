import { AtbError } from '../errors.js';
import type { PackedRows } from './row-orders.js';
import {
  asTable,
  constantWeight,
  flattened,
  named,
  rowsOf,
  times,
  transposed,
  unitRows,
  withRowOrder,
} from './weight-changes.js';
import { concatRows, type TensorRef, type Weights } from './weights.js';

/**
 * A projection of the checkpoint, or a part of one. Its changes hold for whatever the checkpoint or the run makes of it:
 * weight and bias, integers and their scales.
 */
export interface LinearPart {
  /** Checkpoint name of the projection: `q_proj`. */
  readonly name: string;
  readonly outFeatures: number;
  /** Which rows of the named tensors the part is, where they hold more: see `consecutiveRows` and `groupedRows`. */
  readonly rows?: PackedRows | undefined;
  /** Output i of the part is output rowOrder[i] of those rows: `rotaryRowOrder`. [outFeatures] */
  readonly rowOrder?: Int32Array | undefined;
  /** The checkpoint holds [inFeatures, outFeatures], as GPT-2's Conv1D. Refused for stored integers of 4 bits. */
  readonly transposed?: boolean | undefined;
  /**
   * The axes behind that of the outputs, where the checkpoint's weight is that of a convolution: as a matrix, it has as
   * many columns as these have places. A convolution whose stride is its kernel is a product of that matrix. Where the
   * checkpoint's is transposed, the axes before that of the outputs.
   */
  readonly kernel?: readonly number[] | undefined;
  /** Each row of the weight is divided by its length. Refused for stored integers. */
  readonly unitRows?: boolean | undefined;
  /** Multiplies what the projection gives: its weight (the scales of stored integers) and its bias. */
  readonly times?: number | undefined;
  /** Whether this part has a bias, where that differs from the others of a linear. The outputs of one without get 0. */
  readonly hasBias?: boolean | undefined;
  /** What has all of the bias, where that lies elsewhere: as of a head whose weight is that of the embeddings. */
  readonly biasOf?: string | undefined;
}

/** What a tensor of a part is: which of the part's changes it takes. */
export interface PartTensor {
  /** `weight`, `bias`, `weight_scale`. */
  readonly suffix: string;
  /** Numbers of a row; undefined for a vector. */
  readonly columns?: number;
  /** The part's `transposed` is about it. */
  readonly isTransposable?: boolean;
  /** The part's `times` is about it. */
  readonly isScalable?: boolean;
}

/**
 * A tensor of each part, changed as the part says, one below the other under the name of the whole. Throws
 * WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_CHANGE_INVALID.
 */
export function packParts(
  weights: Weights,
  name: string,
  parts: readonly [LinearPart, ...LinearPart[]],
  tensor: PartTensor,
): TensorRef {
  const packedName = weights.path(`${name}.${tensor.suffix}`);
  const [first, ...others] = parts;
  if (others.length > 0) {
    const refs = others.map((part) => partTensor(weights, part, tensor));
    return concatRows(packedName, [partTensor(weights, first, tensor), ...refs]);
  }
  const ref = partTensor(weights, first, tensor);
  // A projection that is taken as it lies is the checkpoint's own tensor, which others may read, too.
  return isChanged(first) ? named(ref, packedName) : ref;
}

/** The biases of all parts; undefined when none has one. */
export function packBiases(
  weights: Weights,
  name: string,
  [first, ...others]: readonly [LinearPart, ...LinearPart[]],
  hasBias: boolean,
): TensorRef | undefined {
  if (![first, ...others].some((part) => part.hasBias ?? hasBias)) return undefined;
  const tensor = { suffix: 'bias', isScalable: true };
  const bias = (part: LinearPart): TensorRef => {
    if (part.hasBias ?? hasBias) return partTensor(weights, withOwnBias(part), tensor);
    return constantWeight(weights.path(`${part.name}.bias`), [part.outFeatures], 0);
  };
  if (others.length === 0) return packParts(weights, name, [withOwnBias(first)], tensor);
  return concatRows(weights.path(`${name}.bias`), [bias(first), ...others.map(bias)]);
}

/** The part as its bias is found. */
const withOwnBias = (part: LinearPart): LinearPart =>
  part.biasOf === undefined ? part : { ...part, name: part.biasOf, rows: undefined };

const isChanged = (part: LinearPart): boolean =>
  part.rows !== undefined ||
  part.rowOrder !== undefined ||
  part.transposed === true ||
  part.unitRows === true ||
  (part.times ?? 1) !== 1;

function partTensor(weights: Weights, part: LinearPart, tensor: PartTensor): TensorRef {
  const { suffix, columns, isTransposable = false, isScalable = false } = tensor;
  const isTransposed = part.transposed === true && isTransposable;
  const { kernel } = part;
  const outputs = storedOutputs(part);
  const name = `${part.name}.${suffix}`;
  const shape = columns === undefined ? [outputs] : [outputs, columns];
  const plain = () => weights.get(name, isTransposed ? shape.toReversed() : shape);
  const withAxes = (axes: readonly number[]) =>
    isTransposed
      ? asTable(weights.get(name, [...axes, outputs]))
      : flattened(weights.get(name, [outputs, ...axes]));
  const ref = kernel && columns !== undefined ? withAxes(kernel) : plain();
  const rows = takenRows(isTransposed ? transposed(ref) : ref, part);
  const changed = part.unitRows && suffix === 'weight' ? unitRows(rows) : rows;
  return isScalable ? scaledRows(changed, part) : changed;
}

/** Rows of the tensors that a part is taken from. */
export const storedOutputs = ({ rows, outFeatures }: LinearPart): number => rows?.of ?? outFeatures;

/** The rows of a tensor that are the part's, in its order. */
export function takenRows(ref: TensorRef, { outFeatures, rows, rowOrder }: LinearPart): TensorRef {
  let taken = ref;
  if (rows && 'from' in rows) taken = rowsOf(taken, rows.from, outFeatures);
  if (rows && 'order' in rows) taken = withRowOrder(taken, ofLength(outFeatures, rows.order, 'rows', taken));
  return rowOrder ? withRowOrder(taken, ofLength(outFeatures, rowOrder, 'rowOrder', taken)) : taken;
}

/** A tensor that the part's `times` is about. */
export const scaledRows = (ref: TensorRef, { times: factor = 1 }: LinearPart): TensorRef =>
  factor === 1 ? ref : times(ref, factor);

function ofLength(outFeatures: number, order: Int32Array, change: string, { name }: TensorRef): Int32Array {
  if (order.length === outFeatures) return order;
  throw new AtbError('WEIGHT_CHANGE_INVALID', {
    name,
    change,
    expected: `an order of ${outFeatures} rows, as outFeatures says`,
    found: order.length,
  });
}
