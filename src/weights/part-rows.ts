import { DTYPE_BYTES, elementCount } from '../dtype.js';
import type { CodedFloats, FilePart, StoredBlocks, WeightPart } from '../native/binding.js';
import { ggufTypeNamed } from './gguf/block-types.js';

/** The shape of what a tensor of a file holds: of words, that of their integers. */
const heldShape = ({ shape, words }: FilePart): readonly number[] =>
  words ? shape.with(words.axis, words.count) : shape;

/** Whether a word holds integers of several rows of a part. */
const sharesWords = ({ words, transposed = false }: FilePart): boolean =>
  words?.axis === (transposed ? 1 : 0);

/** Bytes of a code, of which two may share one. */
const codeBytes = ({ table }: CodedFloats): number => (table.length === 16 ? 0.5 : 1);

/** A row has whole blocks, so that a part of a byte never counts. */
function blockBytes({ type, content }: StoredBlocks): number {
  const { numbers = 1, bytes = 1 } = ggufTypeNamed(type) ?? {};
  return (bytes / numbers) * (content === 'scales' || content === 'minimums' ? 32 : 1);
}

/** Bytes of one element in the file, of blocks on average. */
export function storedBytes({ dtype, codes, doubles, blocks }: FilePart): number {
  if (codes) return codeBytes(codes);
  if (blocks) return blockBytes(blocks);
  return doubles ? Float64Array.BYTES_PER_ELEMENT : DTYPE_BYTES[dtype];
}

/** How many rows a part gives to its weight. */
export function partRows(part: WeightPart): number {
  if (part.file === undefined) return part.shape[0] ?? 1;
  return part.rowOrder?.length ?? heldShape(part)[part.transposed ? 1 : 0] ?? 1;
}

/** The shape of a part after its changes. */
export function partShape(part: WeightPart): readonly number[] {
  if (part.file === undefined || part.shape.length === 0) return part.shape;
  const shape = heldShape(part);
  return [partRows(part), ...(part.transposed ? shape.slice(0, 1) : shape.slice(1))];
}

/** Rows [from, from + count) of a part. */
export function sliceRows(part: WeightPart, from: number, count: number): WeightPart {
  if (from === 0 && count === partRows(part)) return part;
  const shape = [count, ...part.shape.slice(1)];
  if (part.file === undefined) return { ...part, shape };
  if (part.rowOrder) return { ...part, rowOrder: part.rowOrder.slice(from, from + count) };
  // Columns of the tensor: what is between them in the file is not wanted. Codes are counted from the first of them.
  if (part.transposed || sharesWords(part) || part.codes)
    return { ...part, rowOrder: Int32Array.from({ length: count }, (_, i) => from + i) };
  const rowBytes = elementCount(part.shape.slice(1)) * storedBytes(part);
  const { rowFactors } = part;
  const factors = rowFactors && (sliceRows(rowFactors, from, count) as FilePart);
  return { ...part, offset: part.offset + from * rowBytes, shape, ...(factors && { rowFactors: factors }) };
}

/** Row i of the result is row order[i] of the part. */
export function selectRows(part: WeightPart, order: Int32Array): WeightPart {
  const [from = 0] = order;
  if (order.every((row, i) => row === from + i)) return sliceRows(part, from, order.length);
  if (part.file === undefined) return { ...part, shape: [order.length, ...part.shape.slice(1)] };
  const { rowOrder } = part;
  return { ...part, rowOrder: rowOrder ? order.map((row) => rowOrder[row] as number) : order };
}

/** The byte ranges [begin, end) of its file that a part reads. */
export function* partBytes(part: WeightPart): Generator<readonly [begin: number, end: number]> {
  if (part.file === undefined) return;
  const { offset, shape, rowOrder, transposed, words } = part;
  const size = storedBytes(part);
  if (rowOrder === undefined) {
    yield [offset, offset + Math.ceil(elementCount(shape) * size)];
    return;
  }
  const perWord = words && sharesWords(part) ? (8 * size) / words.bits : 1;
  const runs = consecutiveRuns(rowOrder.map((row) => Math.floor(row / perWord)));
  if (!transposed) {
    const rowBytes = elementCount(shape.slice(1)) * size;
    for (const [first, end] of runs) yield [offset + first * rowBytes, offset + end * rowBytes];
    return;
  }
  const [rows = 0, columns = 0] = shape;
  for (let row = 0; row < rows; row++) {
    const begin = offset + row * columns * size;
    for (const [first, end] of runs) yield [begin + first * size, begin + end * size];
  }
}

/** The rows of an order, sorted, as ranges [first, end). */
function consecutiveRuns(order: Int32Array): Array<readonly [first: number, end: number]> {
  const runs: Array<readonly [first: number, end: number]> = [];
  for (const row of order.toSorted()) {
    const last = runs.at(-1);
    if (last && row <= last[1]) runs[runs.length - 1] = [last[0], Math.max(last[1], row + 1)];
    else runs.push([row, row + 1]);
  }
  return runs;
}
