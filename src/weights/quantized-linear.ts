import { AtbError } from '../errors.js';
import type { WeightPart } from '../native/binding.js';
import type { LinearPart } from './linear.js';
import type { LinearQuant } from './quantization.js';
import { concatRows, type TensorRef, type Weights } from './weights.js';

/** The tensors of a linear of integers. */
export interface QuantizedTensors {
  /** [n, k] int8, or [n, k / 2] with two 4-bit integers in each byte, the first in the low half. */
  readonly weight: TensorRef;
  /** [n, groups] f32: w is about integer * scale. One group without `groupSize`. */
  readonly scale: TensorRef;
  /** [n, groups]: zeros, because the integers are symmetric; W8A8_DYNAMIC reads none. */
  readonly offset: TensorRef | undefined;
}

/**
 * The integers of projections packed by rows: those in the files, or floats with an order to quantise them. Rows and
 * groups do not know their neighbours, so packing changes no number.
 * Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_SHAPE.
 */
export function loadQuantized(
  weights: Weights,
  name: string,
  parts: readonly [LinearPart, ...LinearPart[]],
  inFeatures: number,
  { desc, groupSize, isStored }: LinearQuant,
): QuantizedTensors {
  const stem = weights.path(name);
  const bits = desc === 'W4A16' ? 4 : 8;
  if ((inFeatures * bits) % 8 !== 0)
    throw new AtbError('WEIGHT_QUANT_SHAPE', { name: `${stem}.weight`, inFeatures, bits });
  const columns = (inFeatures * bits) / 8;
  const groups = groupSize === 0 ? 1 : Math.ceil(inFeatures / groupSize);
  const rows = parts.reduce((sum, { outFeatures }) => sum + outFeatures, 0);
  const pack = (suffix: string, width: number): TensorRef => {
    const ref = (part: LinearPart) => weights.get(`${part.name}.${suffix}`, [part.outFeatures, width]);
    const [first, ...others] = parts;
    return concatRows(`${stem}.${suffix}`, [ref(first), ...others.map(ref)]);
  };
  const scaleName = `${stem}.weight_scale`;
  const activations = desc === 'W8A8_DYNAMIC' ? 'int8' : 'float';
  const numbers = isStored ? pack('weight', columns) : pack('weight', inFeatures);
  if (isStored) requireIntegers(numbers);
  const mustBeZero = isStored ? storedOffsets(weights, parts, groups) : [];
  const scales = isStored ? pack('weight_scale', groups).parts : [];
  return {
    weight: {
      ...numbers,
      dtype: 'i8',
      shape: [rows, columns],
      quantized: {
        role: 'weight',
        bits,
        groupSize,
        activations,
        inFeatures,
        scaleName,
        isStored,
        mustBeZero,
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

function requireIntegers({ name, parts }: TensorRef): void {
  const other = parts.find(({ dtype }) => dtype !== 'i8' && dtype !== 'u8');
  if (other === undefined) return;
  const { file, dtype } = other;
  throw new AtbError('WEIGHT_DTYPE_UNSUPPORTED', { name, file, found: dtype, supported: ['i8', 'u8'] });
}

/** Offsets that other tools write beside symmetric weights, too. */
function storedOffsets(weights: Weights, parts: readonly LinearPart[], groups: number): WeightPart[] {
  return parts.flatMap(
    ({ name, outFeatures }) =>
      weights.getOptional(`${name}.weight_offset`, [outFeatures, groups])?.parts ?? [],
  );
}
