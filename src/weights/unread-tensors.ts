import { type ArgumentKind, OBJECT, requireArgument } from '../require-argument.js';
import type { CheckpointTensor } from './checkpoint.js';
import { partBytes } from './part-rows.js';
import { type TensorRef, WEIGHT } from './tensor-ref.js';

type Tensors = ReadonlyMap<string, CheckpointTensor>;

/** Finds the tensor of a checkpoint that holds a place in a file. */
export class TensorPlaces {
  /** Of each file, its tensors by rising offset. Tensors without bytes hold no place. */
  private readonly ofFile = new Map<string, Place[]>();

  constructor(tensors: Tensors) {
    for (const [name, { file, offset, bytes }] of tensors) {
      if (bytes === 0) continue;
      const places = this.ofFile.get(file) ?? [];
      places.push({ name, begin: offset, end: offset + bytes });
      this.ofFile.set(file, places);
    }
    for (const places of this.ofFile.values()) places.sort((a, b) => a.begin - b.begin);
  }

  /** The name of the tensor that holds byte `offset` of `file`. */
  at(file: string, offset: number): string | undefined {
    const places = this.ofFile.get(file) ?? [];
    let [low, high] = [0, places.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((places[middle] as Place).end <= offset) low = middle + 1;
      else high = middle;
    }
    const place = places[low];
    return place && place.begin <= offset ? place.name : undefined;
  }
}

interface Place {
  readonly name: string;
  readonly begin: number;
  readonly end: number;
}

const CHECKPOINT: ArgumentKind = {
  expected: 'a Checkpoint, as `await Checkpoint.open(directory)` gives it',
  holds: (value) => OBJECT.holds(value) && (value as { tensors: unknown }).tensors instanceof Map,
};
const READ: ArgumentKind = {
  expected: 'a list of weights, as getWeights() of a model gives them',
  holds: (value) => Array.isArray(value) && value.every(WEIGHT.holds),
};

/** A tensor of which a model reads nothing, or not everything. */
export interface UnreadTensor {
  readonly name: string;
  readonly bytes: number;
  /** As many as `bytes` when nothing of it is read. */
  readonly unreadBytes: number;
}

/**
 * The tensors of a checkpoint that a model with these weights does not read, or reads only in part, in the checkpoint's
 * order. It goes by the bytes, so that it holds for packed, reordered and stacked tensors, too.
 */
export function unreadTensors(
  checkpoint: { readonly tensors: Tensors },
  weights: readonly TensorRef[],
): UnreadTensor[] {
  requireArgument('unreadTensors', 'the checkpoint', CHECKPOINT, checkpoint);
  requireArgument('unreadTensors', 'the weights', READ, weights);
  const { tensors } = checkpoint;
  const places = new TensorPlaces(tensors);
  const read = new Map<string, Array<readonly [begin: number, end: number]>>();
  for (const { parts, quantized } of weights) {
    const offsets = quantized?.role === 'weight' ? quantized.mustBeZero : [];
    const factors = parts.flatMap((part) => (part.file === undefined ? [] : (part.rowFactors ?? [])));
    for (const part of [...parts, ...offsets, ...factors]) {
      if (part.file === undefined) continue;
      const name = places.at(part.file, part.offset);
      if (name === undefined) continue;
      const ranges = read.get(name) ?? [];
      for (const range of partBytes(part)) ranges.push(range);
      read.set(name, ranges);
    }
  }
  const unread: UnreadTensor[] = [];
  for (const [name, { bytes }] of tensors) {
    const unreadBytes = bytes - unionBytes(read.get(name) ?? []);
    if (unreadBytes > 0) unread.push({ name, bytes, unreadBytes });
  }
  return unread;
}

/** How many bytes lie in at least one of the ranges. */
function unionBytes(ranges: ReadonlyArray<readonly [begin: number, end: number]>): number {
  let [sum, last] = [0, 0];
  for (const [begin, end] of ranges.toSorted(([a], [b]) => a - b)) {
    sum += Math.max(0, end - Math.max(begin, last));
    last = Math.max(last, end);
  }
  return sum;
}
