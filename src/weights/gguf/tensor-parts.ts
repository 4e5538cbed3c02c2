import type { FloatDType } from '../../dtype.js';
import type { FilePart, WeightPart } from '../../native/binding.js';
import type { CodedTensor } from '../formats/format.js';
import { ggufTypeNamed } from './block-types.js';
import type { GgufTensor } from './changes.js';

const FLOATS: ReadonlyMap<string, FloatDType> = new Map([
  ['F32', 'f32'],
  ['F16', 'f16'],
  ['BF16', 'bf16'],
]);

/** The types in which a linear's rows are stored, where they can be read as integers; undefined for floats. */
export function blockTypes(tensor: GgufTensor | undefined): readonly string[] | undefined {
  const types = (tensor?.joined ?? (tensor ? [tensor] : [])).map(({ dtype, transposed, isFloats }) =>
    ggufTypeNamed(dtype)?.quantised && !transposed && !isFloats ? dtype : undefined,
  );
  const known = types.filter((type) => type !== undefined);
  return types.length > 0 && known.length === types.length ? known : undefined;
}

/**
 * What a tensor stands for, where it is not read as it lies there; `decays`: the numbers x of those of which files have
 * -exp(x).
 */
export function codedTensor(
  tensor: GgufTensor,
  decays: ReadonlyMap<number, Float32Array>,
): CodedTensor | undefined {
  const { shape, joined, isDecay } = tensor;
  if (isDecay) {
    const numbers = decays.get(tensor.offset) ?? new Float32Array();
    const order = tensor.rowOrder ?? Int32Array.from(numbers, (_, i) => i);
    const parts = [...order].map((at): WeightPart => ({ value: numbers[at] ?? 0, dtype: 'f32', shape: [1] }));
    return { dtype: 'f32', shape, parts };
  }
  const parts = (joined ?? [tensor]).map(partOf);
  const [first] = parts;
  if (first === undefined || parts.some((part) => part === undefined)) return undefined;
  const isPlain =
    first.rowOrder === undefined && first.plus === undefined && !first.transposed && !first.blocks;
  if (!joined && isPlain) return undefined;
  const known = parts.filter((part) => part !== undefined);
  return { dtype: first.blocks ? 'f32' : (first.dtype as FloatDType), shape, parts: known };
}

/** The order in which integers of the file's columns read the channels of their input; undefined where it is theirs. */
export const channelsOf = (tensor: GgufTensor | undefined): Int32Array | undefined => {
  if (!tensor?.columnHeads) return undefined;
  const { order, size } = tensor.columnHeads;
  // Column c of the file is channel i of the model where order[head of i] is the head of c.
  return Int32Array.from({ length: order.length * size }, (_, column) => {
    const head = order.indexOf(Math.floor(column / size));
    return head * size + (column % size);
  });
};

function partOf(tensor: GgufTensor): FilePart | undefined {
  const { file, offset, dtype: type, shape, fileShape, rowOrder, transposed, plus } = tensor;
  const isBlocks = ggufTypeNamed(type)?.quantised !== undefined;
  const dtype = isBlocks ? 'f32' : FLOATS.get(type);
  if (dtype === undefined) return undefined;
  return {
    file,
    offset,
    dtype,
    shape: fileShape ?? (transposed ? shape.toReversed() : shape),
    ...(isBlocks && { blocks: { type, content: 'numbers' as const } }),
    ...(rowOrder && { rowOrder }),
    ...(transposed && { transposed }),
    ...(plus !== undefined && { plus }),
  };
}
