import { elementCount } from '../../dtype.js';
import type { StoredTensor } from '../safetensors-file.js';
import type { GgufNumbers } from './numbers.js';

/** How a tensor of the files becomes one that a model asks for. */
export interface GgufTensor extends StoredTensor {
  readonly file: string;
  /** As the file has it, where the model asks for another shape. */
  readonly fileShape?: readonly number[];
  /** Row i of the model's tensor is this row of the file's. */
  readonly rowOrder?: Int32Array;
  /** Channel i of the model's input is this one of the file's columns, head by head, so many numbers each. */
  readonly columnHeads?: { readonly order: readonly number[]; readonly size: number };
  /** The model asks for the transpose. */
  readonly transposed?: true;
  /** What is added to its numbers. */
  readonly plus?: number;
  readonly isFloats?: true;
  /** The file has -exp(x) of each number x. */
  readonly isDecay?: true;
  /** Tensors that lie one below the other. */
  readonly joined?: readonly GgufTensor[];
}

export type Change = (tensor: GgufTensor, numbers: GgufNumbers) => GgufTensor;

/** Several tensors of a layer that are one to the model. */
export interface Join {
  /** Its name within the layer. */
  readonly as: string;
  /** Their names within the layer in the files. Where one is missing, nothing is joined. */
  readonly of: readonly string[];
  /** What lies below what; the tensors themselves when absent. */
  readonly by?: (tensors: readonly GgufTensor[], numbers: GgufNumbers) => readonly GgufTensor[];
}

/** Rows that turn as neighbours (2i, 2i + 1) in the files lie half a head apart. `heads`: keys of the metadata. */
export const halves =
  (...heads: readonly [string, ...string[]]): Change =>
  (tensor, numbers) => {
    const [rows = 0] = tensor.shape;
    const count = heads.reduce<number | undefined>((found, key) => found ?? numbers.optional(key), undefined);
    const size = rows / (count ?? 0);
    if (!Number.isInteger(size / 2))
      return numbers.fail(`a tensor has ${rows} rows, which are not ${count} heads`);
    const rowOrder = Int32Array.from({ length: rows }, (_, row) => {
      const [head, inner] = [Math.floor(row / size), row % size];
      const half = size / 2;
      return head * size + 2 * (inner % half) + Math.floor(inner / half);
    });
    return { ...tensor, rowOrder };
  };

/** llama.cpp turns neighbours of a head, so that its converter lays what Hugging Face has half a head apart in pairs. */
export const TURNS_NEIGHBOURS = {
  attn_q: halves('attention.head_count'),
  attn_k: halves('attention.head_count_kv', 'attention.head_count'),
};

/** The same numbers in another shape. */
export const shaped =
  (shape: (stored: readonly number[]) => readonly number[]): Change =>
  (tensor) => ({ ...tensor, shape: shape(tensor.shape) });

/** One row. */
export const oneRow = shaped((stored) => [1, ...stored.slice(-1)]);
/** One vector of all numbers. */
export const vector = shaped((stored) => [elementCount(stored)]);
/** Kernels of channels, each of which sees itself: Hugging Face says so by an axis of 1. */
export const channelKernels = shaped((stored) => {
  const [channels = 0, width] = stored;
  return width === undefined ? stored : [channels, 1, width];
});
/** What models read as floats, however it is stored. */
export const asFloats: Change = (tensor) => ({ ...tensor, isFloats: true });

/** Decays, of which the files have -exp(x), one for each head. */
export const decays: Change = (tensor, numbers) => ({ ...vector(tensor, numbers), isDecay: true });

/** What stands as [in, out] to the model. */
export const turned: Change = (tensor) =>
  tensor.shape.length < 2 ? tensor : { ...tensor, shape: tensor.shape.toReversed(), transposed: true };

/** Rows in an order of the model's. */
export const ordered = (tensor: GgufTensor, rowOrder: Int32Array): GgufTensor => ({
  ...tensor,
  rowOrder,
  shape: [rowOrder.length, ...tensor.shape.slice(1)],
  fileShape: tensor.shape,
});

/** The matrices of a stack. */
export function unstacked(tensor: GgufTensor): GgufTensor[] {
  const [count = 0, ...shape] = tensor.shape;
  const bytes = tensor.bytes / count;
  return Array.from({ length: count }, (_, i) => ({
    ...tensor,
    shape,
    offset: tensor.offset + i * bytes,
    bytes,
  }));
}
