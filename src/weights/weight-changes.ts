import { elementCount, isFloat } from '../dtype.js';
import { AtbError } from '../errors.js';
import type { PackedWords, WeightPart } from '../native/binding.js';
import { requireArgument, TEXT, wholes } from '../require-argument.js';
import { partRows, selectRows, sliceRows } from './part-rows.js';
import { ORDER, requireWeight, type TensorRef } from './tensor-ref.js';
import { transposedParts } from './transposed-parts.js';

/*
 * Changes of a weight that are made while the engine reads it: none costs memory or a pass of its own. Each function
 * returns a new TensorRef and leaves its argument as it is. They take weights as `Weights.get` gives them; what a linear
 * of integers needs beside (scales, biases) is changed along by the options of `Linear.load`.
 * All throw WEIGHT_CHANGE_INVALID when the change does not fit the weight.
 */

/** The same weight in f32, whatever the model runs in. */
export const inF32 = (ref: TensorRef): TensorRef => ({ ...requireWeight('inF32', ref), keptIn: 'f32' });

/**
 * The same table of whole numbers from 0 on, all below `end`, which no dtype of a model rounds, and which must be what
 * this says when they are loaded.
 */
export const numbersBelow = (ref: TensorRef, end: number): TensorRef => ({ ...inF32(ref), numbersEnd: end });

/** The same weight under another name. Graphs and the engine tell weights apart by their names. */
export const named = (ref: TensorRef, name: string): TensorRef => ({ ...requireWeight('named', ref), name });

/** Rows [from, from + count) of [rows, …]. `name` is `w[from:to]` by default. */
export function rowsOf(
  ref: TensorRef,
  from: number,
  count: number,
  name = `${changeable('rowsOf', ref).name}[${from}:${from + count}]`,
): TensorRef {
  const [rows = 0, ...inner] = changeable('rowsOf', ref).shape;
  const isInside = [from, count].every((each) => Number.isSafeInteger(each) && each >= 0);
  if (ref.shape.length === 0 || !isInside || from + count > rows)
    refuse('rowsOf', ref, `rows within [0, ${rows})`, `${count} rows from row ${from} on`);
  const parts: WeightPart[] = [];
  let first = 0;
  for (const part of ref.parts) {
    const begin = Math.max(from, first);
    const end = Math.min(from + count, first + partRows(part));
    if (begin < end) parts.push(sliceRows(part, begin - first, end - begin));
    first += partRows(part);
  }
  return { ...ref, name, shape: [count, ...inner], parts };
}

/**
 * Row i of the result is row order[i] of [rows, …]. Rows may repeat or be left out: the result has as many as the order.
 * Without an order the weight stays as it is. Of a concatenated weight, order its tensors before they are concatenated:
 * each stretch of rows that come from one tensor becomes a part, of which the engine takes 4096.
 */
export function withRowOrder(ref: TensorRef, order: Int32Array | undefined): TensorRef {
  if (order === undefined) return requireWeight('withRowOrder', ref);
  requireArgument('withRowOrder', 'the order', ORDER, order);
  const [rows = 0, ...inner] = changeable('withRowOrder', ref).shape;
  if (ref.shape.length === 0) refuse('withRowOrder', ref, 'a tensor with rows', ref.shape);
  const wrong = order.find((row) => row < 0 || row >= rows);
  if (wrong !== undefined) refuse('withRowOrder', ref, `rows within [0, ${rows})`, wrong);
  return { ...ref, shape: [order.length, ...inner], parts: reorderParts(ref.parts, order) };
}

/**
 * The matrix of small integers that a tensor of words holds: `i8` for a weight's own, `f32` for what factors and addends are
 * to change. Comes first.
 */
export function unpacked(ref: TensorRef, words: PackedWords, dtype: 'i8' | 'f32'): TensorRef {
  const parts = changeable('unpacked', ref).parts.map((part) => {
    const isOfBytes = words.bits === 2 ? part.dtype === 'u8' : words.signed && part.dtype === 'i8';
    const isOfWords = part.dtype === 'i32' || isOfBytes;
    if (part.file === undefined || !isOfWords) return refuse('unpacked', ref, 'words, i32', part.dtype);
    return { ...part, words };
  });
  return { ...ref, dtype, shape: ref.shape.with(words.axis, words.count), parts };
}

/** Integers of 4 bits of which each byte holds one. */
export function unpaired(ref: TensorRef): TensorRef {
  const parts = changeable('unpaired', ref).parts.map((part): WeightPart => {
    if (part.file === undefined || part.dtype !== 'i8')
      return refuse('unpaired', ref, 'bytes, i8', part.dtype);
    return { ...part, unpaired: true };
  });
  return { ...ref, parts };
}

/** Integers as numbers that factors and addends may change. */
export const asFloats = (ref: TensorRef): TensorRef => ({ ...changeable('asFloats', ref), dtype: 'f32' });

/** Number i of each row becomes number order[i] of it: of words, and of all their columns. */
export function withColumnOrder(ref: TensorRef, order: Int32Array | undefined): TensorRef {
  if (order === undefined) return ref;
  const parts = changeable('withColumnOrder', ref).parts.map((part) => {
    if (part.file === undefined || part.words === undefined || part.columnOrder)
      return refuse('withColumnOrder', ref, 'words that have no order yet', part.file);
    return { ...part, columnOrder: order };
  });
  return { ...ref, parts };
}

/** The transpose of a matrix, as of GPT-2's Conv1D. Rows that have an order become vectors, which no linear takes. */
export function transposed(ref: TensorRef): TensorRef {
  const { shape, parts } = changeable('transposed', ref);
  const [rows, columns] = shape;
  if (shape.length !== 2 || rows === undefined || columns === undefined)
    return refuse('transposed', ref, 'a matrix', shape);
  const [part, ...others] = parts;
  if (others.length > 0) refuse('transposed', ref, 'one tensor of a file', `${parts.length} tensors`);
  const isOrdered = part?.file !== undefined && part.rowOrder !== undefined;
  if (part?.file !== undefined && (part.unitRows || (isOrdered && (part.transposed || part.blocks))))
    refuse('transposed', ref, 'to come before row orders and unit rows', 'one of them');
  return { ...ref, shape: [columns, rows], parts: part === undefined ? [] : transposedParts(part) };
}

/** [rows, …] as a matrix of as many rows: the same numbers in the same order. Comes before all changes but row orders. */
export function flattened(ref: TensorRef): TensorRef {
  const { shape, parts } = changeable('flattened', ref);
  if (parts.some((part) => part.file !== undefined && part.transposed))
    refuse('flattened', ref, 'to come before transposes', 'one of them');
  const matrix = ([rows = 1, ...inner]: readonly number[]) => [rows, elementCount(inner)];
  return {
    ...ref,
    shape: matrix(shape),
    parts: parts.map((part) => ({ ...part, shape: matrix(part.shape) })),
  };
}

/** […, columns] as a matrix of as many columns: the same numbers in the same order. Comes before all other changes. */
export function asTable(ref: TensorRef): TensorRef {
  const { parts } = unordered('asTable', flattened(ref));
  const matrix = (shape: readonly number[]) => [elementCount(shape.slice(0, -1)), shape.at(-1) ?? 1];
  return {
    ...ref,
    shape: matrix(ref.shape),
    parts: ref.parts.map((part, i) => ({ ...(parts[i] ?? part), shape: matrix(part.shape) })),
  };
}

/** The same numbers in the same order as one vector. Comes before all other changes. */
export function asVector(ref: TensorRef): TensorRef {
  const { parts } = unordered('asVector', flattened(ref));
  const vector = (shape: readonly number[]) => [elementCount(shape)];
  return {
    ...ref,
    shape: vector(ref.shape),
    parts: parts.map((part) => ({ ...part, shape: vector(part.shape) })),
  };
}

/** Multiplies each row with a number of its own, [rows] or [rows, 1], in f32. Comes first, and nothing may be added. */
export function timesRows(ref: TensorRef, factors: TensorRef): TensorRef {
  const [factor, ...others] = factors.parts;
  const isPlain = others.length === 0 && factor?.file !== undefined && partRows(factor) === ref.shape[0];
  if (!isPlain) return refuse('timesRows', ref, 'a number of one tensor for each row', factors.shape);
  const parts = changeable('timesRows', ref).parts.map((part) =>
    part.file === undefined || ref.parts.length > 1
      ? refuse('timesRows', ref, 'one tensor of a file', `${ref.parts.length} parts`)
      : { ...part, rowFactors: factor },
  );
  return { ...ref, dtype: 'f32', parts };
}

/**
 * Divides each row of a matrix by its length (its Euclidean norm, at least 1e-12), in f32, before it is rounded. It comes
 * after transposes, and before factors and addends.
 */
export function unitRows(ref: TensorRef): TensorRef {
  if (!isFloat(changeable('unitRows', ref).dtype)) refuse('unitRows', ref, 'floats', ref.dtype);
  if (ref.shape.length !== 2) refuse('unitRows', ref, 'a matrix', ref.shape);
  const parts = ref.parts.map((part): WeightPart => {
    if (part.file === undefined || part.times !== undefined || part.plus !== undefined)
      return refuse('unitRows', ref, 'to come before factors, and of a file', 'one of them');
    return { ...part, unitRows: true };
  });
  return { ...ref, parts };
}

/** Adds a number to every element, in f32, before it is rounded: `plus(norm, 1)` for norms that store weight - 1. */
export const plus = (ref: TensorRef, addend: number): TensorRef =>
  withArithmetic('plus', ref, addend, (times, constant) => [times, constant + addend]);

/** Multiplies every element, in f32, before it is rounded. */
export const times = (ref: TensorRef, factor: number): TensorRef =>
  withArithmetic('times', ref, factor, (scale, constant) => [scale * factor, constant * factor]);

/**
 * A weight in no file, every element of which is `value`: the zero beta of a LayerNorm without one, ones. The name must
 * be no other weight's.
 */
export function constantWeight(name: string, shape: readonly number[], value: number): TensorRef {
  requireArgument('constantWeight', 'the name', TEXT, name);
  requireArgument('constantWeight', 'the shape', wholes(0), shape);
  const ref: TensorRef = { name, dtype: 'f32', shape, parts: [{ value, dtype: 'f32', shape }] };
  return Number.isFinite(value) ? ref : refuse('constantWeight', ref, 'a finite value', value);
}

/**
 * A vector of runs of equal numbers, which is in no file: `[[2, 0], [3, 1]]` is 0, 0, 1, 1, 1; with `row` [1] a column.
 * f32 as stored.
 */
export function constantRuns(
  name: string,
  runs: readonly (readonly [count: number, value: number])[],
  row: readonly number[] = [],
): TensorRef {
  const parts = runs.map(([count, value]) => ({ value, dtype: 'f32' as const, shape: [count, ...row] }));
  return { name, dtype: 'f32', shape: [runs.reduce((sum, [count]) => sum + count, 0), ...row], parts };
}

/**
 * One expert of a stack [experts, …]: of [experts, n, k] the matrix [n, k], of biases [experts, n] the vector [n]. A stack
 * [experts, k, n] gives [k, n]; `transposed` makes [n, k] of it. The name is `w[expert]`.
 */
export function expertOf(ref: TensorRef, expert: number): TensorRef {
  const [experts = 0, ...shape] = changeable('expertOf', ref).shape;
  if (shape.length === 0) refuse('expertOf', ref, 'a stack [experts, …]', ref.shape);
  if (!Number.isSafeInteger(expert) || expert < 0 || expert >= experts)
    refuse('expertOf', ref, `an expert within [0, ${experts})`, expert);
  const { parts } = rowsOf(ref, expert, 1);
  if (parts.some((part) => part.file !== undefined && (part.rowOrder || part.transposed)))
    refuse('expertOf', ref, 'to come before row orders and transposes', 'one of them');
  const unstacked = parts.map((part) => ({ ...part, shape: part.shape.slice(1) }));
  return { ...ref, name: `${ref.name}[${expert}]`, shape, parts: unstacked };
}

function refuse(change: string, { name }: TensorRef, expected: string, found: unknown): never {
  throw new AtbError('WEIGHT_CHANGE_INVALID', { name, change, expected, found });
}

/** Scales beside a weight of integers would have to change along. */
function changeable(change: string, ref: TensorRef): TensorRef {
  if (requireWeight(change, ref).quantized !== undefined)
    refuse(
      change,
      ref,
      "a weight of its own; a linear's are changed by the options of Linear.load",
      'integers',
    );
  return ref;
}

/** A part for each stretch of the order that stays within one part. */
function reorderParts(parts: readonly WeightPart[], order: Int32Array): WeightPart[] {
  const result: WeightPart[] = [];
  let at = 0;
  while (parts.length > 0 && at < order.length) {
    const { part, begin, end } = partOfRow(parts, order[at] as number);
    let stop = at + 1;
    while (stop < order.length && (order[stop] as number) >= begin && (order[stop] as number) < end) stop++;
    const rows = order.subarray(at, stop).map((row) => row - begin);
    result.push(selectRows(part, rows));
    at = stop;
  }
  return result;
}

interface PartRange {
  readonly part: WeightPart;
  /** Its rows among those of all parts. */
  readonly begin: number;
  readonly end: number;
}

function partOfRow(parts: readonly WeightPart[], row: number): PartRange {
  let begin = 0;
  for (const part of parts) {
    const end = begin + partRows(part);
    if (row < end) return { part, begin, end };
    begin = end;
  }
  throw new RangeError(`row ${row} is behind the last of ${begin}`);
}

/** What would be ordered by other rows than those that it has. */
function unordered(change: string, ref: TensorRef): TensorRef {
  if (ref.parts.some((part) => part.file !== undefined && part.rowOrder))
    refuse(change, ref, 'to come before row orders', 'one of them');
  return ref;
}

type Arithmetic = (times: number, plus: number) => readonly [times: number, plus: number];

function withArithmetic(change: string, ref: TensorRef, operand: number, arithmetic: Arithmetic): TensorRef {
  if (!isFloat(changeable(change, ref).dtype)) refuse(change, ref, 'floats', ref.dtype);
  if (!Number.isFinite(operand)) refuse(change, ref, 'a finite number', operand);
  const parts = ref.parts.map((part): WeightPart => {
    if (part.file === undefined) {
      const [factor, addend] = arithmetic(1, 0);
      return { ...part, value: part.value * factor + addend };
    }
    const [factor, addend] = arithmetic(part.times ?? 1, part.plus ?? 0);
    const { times: _, plus: __, ...rest } = part;
    return { ...rest, ...(factor !== 1 && { times: factor }), ...(addend !== 0 && { plus: addend }) };
  });
  return { ...ref, parts };
}
