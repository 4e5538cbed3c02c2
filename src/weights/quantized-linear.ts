import { AtbError } from '../errors.js';
import type { WeightPart } from '../native/binding.js';
import { type LinearPart, packParts } from './linear-part.js';
import { integerForm, type LinearQuant } from './quantization.js';
import { named } from './weight-changes.js';
import type { TensorRef, Weights } from './weights.js';

/** The tensors of a linear of integers. */
export interface QuantizedTensors {
  /** [n, k] int8, or [n, k / 2] with two 4-bit integers in each byte, the first in the low half. */
  readonly weight: TensorRef;
  /** [n, groups] f32: w is about integer * scale. There is one group where groupSize is 0. */
  readonly scale: TensorRef;
  /** [n, groups]: zeros, because the integers are symmetric; W8A8_DYNAMIC reads none. */
  readonly offset: TensorRef | undefined;
}

/**
 * The integers of projections packed by rows: those in the files, or floats with an order to quantise them. Rows and
 * groups do not know their neighbours, so neither packing nor an order of rows changes any number.
 * Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_CHANGE_INVALID, WEIGHT_QUANT_SHAPE.
 */
export function loadQuantized(
  weights: Weights,
  name: string,
  parts: readonly [LinearPart, ...LinearPart[]],
  inFeatures: number,
  quant: LinearQuant,
): QuantizedTensors {
  const { isStored } = quant;
  const form = integerForm(quant);
  const { bits, groupSize, activations } = form;
  const stem = weights.path(name);
  if ((inFeatures * bits) % 8 !== 0)
    throw new AtbError('WEIGHT_QUANT_SHAPE', { name: `${stem}.weight`, inFeatures, bits });
  const columns = (inFeatures * bits) / 8;
  const groups = groupSize === 0 ? 1 : Math.ceil(inFeatures / groupSize);
  const rows = parts.reduce((sum, { outFeatures }) => sum + outFeatures, 0);
  if (isStored && bits === 4) refuseTransposed(weights, parts);
  const numbers = packParts(weights, name, parts, {
    suffix: 'weight',
    columns: isStored ? columns : inFeatures,
    isTransposable: true,
    isScalable: !isStored,
  });
  if (isStored) requireIntegers(numbers);
  const scales = isStored
    ? packParts(weights, name, parts, { suffix: 'weight_scale', columns: groups, isScalable: true }).parts
    : [];
  const scaleName = `${stem}.weight_scale`;
  return {
    weight: {
      ...named(numbers, `${stem}.weight`),
      dtype: 'i8',
      shape: [rows, columns],
      quantized: {
        ...form,
        role: 'weight',
        inFeatures,
        scaleName,
        isStored,
        mustBeZero: isStored ? storedOffsets(weights, parts, groups) : [],
      },
    },
    scale: {
      name: scaleName,
      dtype: 'f32',
      shape: [rows, groups],
      parts: scales,
      quantized: { role: 'scale', activations },
    },
    offset:
      activations === 'int8'
        ? undefined
        : {
            name: `${stem}.weight_offset`,
            dtype: 'f32',
            shape: [rows, groups],
            parts: [],
            quantized: { role: 'offset', activations },
          },
  };
}

/** A byte holds two integers of a row, which a transpose would tear apart. */
function refuseTransposed(weights: Weights, parts: readonly LinearPart[]): void {
  const part = parts.find(({ transposed }) => transposed === true);
  if (part === undefined) return;
  throw new AtbError('WEIGHT_CHANGE_INVALID', {
    name: weights.path(`${part.name}.weight`),
    change: 'transposed',
    expected: 'floats or 8-bit integers',
    found: '4-bit integers',
  });
}

function requireIntegers({ name, parts }: TensorRef): void {
  const other = parts.find(({ dtype }) => dtype !== 'i8' && dtype !== 'u8');
  if (other === undefined) return;
  const { file = 'the checkpoint', dtype } = other;
  throw new AtbError('WEIGHT_DTYPE_UNSUPPORTED', { name, file, found: dtype, supported: ['i8', 'u8'] });
}

/** Offsets that other tools write beside symmetric weights, too: those of the whole tensors that parts are taken from. */
function storedOffsets(weights: Weights, parts: readonly LinearPart[], groups: number): WeightPart[] {
  return parts.flatMap(
    ({ name, outFeatures, rows }) =>
      weights.getOptional(`${name}.weight_offset`, [rows?.of ?? outFeatures, groups])?.parts ?? [],
  );
}
