import type { DType, FloatDType, Tensor } from '../dtype.js';
import { isObject } from '../is-object.js';
import type { IntegerForm, WeightPart } from '../native/binding.js';
import { type ArgumentKind, requireArgument, TEXT } from '../require-argument.js';

/** A weight of the model. Its bytes stay in the files until the engine reads them. */
export interface TensorRef {
  readonly name: string;
  /** The element type in the checkpoint: that of the first part where parts differ, i8 for what becomes integers. */
  readonly dtype: DType;
  /** As graphs see it, where two 4-bit integers are one element. */
  readonly shape: readonly number[];
  /** What its rows are made of, one part below the other: several for packed q/k/v or gate/up, none for a declared weight. */
  readonly parts: readonly WeightPart[];
  /** What it is converted to whatever the model runs in: the matrix of a router, whose choices rounding would change. */
  readonly keptIn?: FloatDType;
  /** Of a table of whole numbers from 0 on: what all of them must be below. */
  readonly numbersEnd?: number;
  /** Numbers that are in no file, as an order of channels: then there are no parts. */
  readonly values?: Tensor<'i32'>;
  /** A bias that is added to products of floats and integers: there Atlas A2 wants f32 where a model runs in bf16. */
  readonly isIntegerBias?: true;
  /** Present for the tensors of a linear of integers, which keep their dtype whatever the model computes in. */
  readonly quantized?: QuantizedPart;
}

/** A weight, for checks of arguments. */
export const WEIGHT: ArgumentKind = {
  expected: 'a weight, as Weights.get gives it',
  holds: (value) =>
    isObject(value) && TEXT.holds(value.name) && Array.isArray(value.shape) && Array.isArray(value.parts),
};

/** @throws ARGUMENT_INVALID */
export function requireWeight(call: string, found: TensorRef): TensorRef {
  requireArgument(call, 'its argument', WEIGHT, found);
  return found;
}

export const WEIGHT_LIST: ArgumentKind = {
  expected: 'a list of weights, as Weights.get gives each, at least one',
  holds: (value) => Array.isArray(value) && value.length > 0 && value.every(WEIGHT.holds),
};

export const ORDER: ArgumentKind = {
  expected: 'an Int32Array',
  holds: (value) => value instanceof Int32Array,
};

/** The integers of a linear. */
export interface QuantizedWeight extends IntegerForm {
  readonly role: 'weight';
  readonly inFeatures: number;
  readonly scaleName: string;
  /** Where the integers have offsets: the name of these. */
  readonly offsetName?: string;
  /** What that name means are minimums (`LinearRows`). */
  readonly areMinimums?: boolean;
  /** The parts are integers; otherwise floats [n, inFeatures], to be quantised while they are packed. */
  readonly isStored: boolean;
  /** What they are multiplied by has one scale, which was decided beforehand. */
  readonly isStatic?: true;
  /** Offsets in the files, which symmetric integers must not have. */
  readonly mustBeZero: readonly WeightPart[];
}

/** What a tensor is to a linear of integers. */
export type QuantizedPart =
  | QuantizedWeight
  /**
   * The engine's scales are f32; ATB's have the dtype of the activations where those stay floats. A scale without parts
   * is made with its weight.
   */
  | { readonly role: 'scale'; readonly activations: 'float' | 'int8'; readonly isStatic?: true }
  /** Like a scale; zeros, which are in no file, where the integers are symmetric. */
  | { readonly role: 'offset'; readonly activations: 'float'; readonly isZero: boolean }
  /** Of W8A8: what is added to inputs before they become int8, and to sums before they are scaled. */
  | { readonly role: 'input-offset' | 'sum-bias' };

/** Tensors by their names under a prefix; `Weights` is one. */
export interface NamedTensors {
  /** The full name of something inside. */
  path(name?: string): string;
  /** The named tensor. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH or WEIGHT_DTYPE_UNSUPPORTED. */
  get(name: string, shape: readonly number[]): TensorRef;
  /** The same, or undefined when there is none. */
  getOptional(name: string, shape: readonly number[]): TensorRef | undefined;
}
