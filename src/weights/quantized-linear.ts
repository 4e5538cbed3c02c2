import type { DType } from '../dtype.js';
import { AtbError } from '../errors.js';
import { groupsOf } from './integer-rows.js';
import { type LinearPart, packParts, scaledRows, storedOutputs, takenRows } from './linear-part.js';
import { integerForm, type LinearQuant, type LinearRows } from './quantization.js';
import { constantWeight, named } from './weight-changes.js';
import { concatRows, requireStoredAs, type TensorRef, type Weights } from './weights.js';

/** The tensors of a linear of integers. */
export interface QuantizedTensors {
  /** [n, k] int8, or [n, k / 2] with two 4-bit integers in each byte, the first in the low half. */
  readonly weight: TensorRef;
  /** [n, groups] f32: w is about integer * scale. There is one group where groupSize is 0. */
  readonly scale: TensorRef;
  /** [n, groups]: zeros where the integers are symmetric; those of 8 bits that int8 is multiplied with have none. */
  readonly offset: TensorRef | undefined;
  /** i32 [k]: the order in which the integers read the channels of their input; as they are when absent. */
  readonly channels: TensorRef | undefined;
  /** [k]: what the input is divided by, channel by channel. */
  readonly divisors: TensorRef | undefined;
  /** Of W8A8: f32 [1] and whole numbers [1], by which inputs become int8. */
  readonly inputScale: TensorRef | undefined;
  readonly inputOffset: TensorRef | undefined;
  /** Of W8A8: i32 [n], which is added to the sums before they are scaled. */
  readonly sumBias: TensorRef | undefined;
}

/** A part of a linear, and how it is stored. */
export interface QuantizedPart {
  readonly part: LinearPart;
  readonly quant: LinearQuant;
}

/**
 * The integers of projections packed by rows: those in the files, or floats with an order to quantise them. Rows and
 * groups do not know their neighbours, so neither packing nor an order of rows changes any number. All parts are stored
 * alike.
 * Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_CHANGE_INVALID, WEIGHT_QUANT_SHAPE.
 */
export function loadQuantized(
  weights: Weights,
  name: string,
  parts: readonly [QuantizedPart, ...QuantizedPart[]],
  inFeatures: number,
): QuantizedTensors {
  const [{ quant }] = parts;
  const form = integerForm(quant);
  const { bits, groupSize } = form;
  // To ATB, 4 bits are always multiplied with floats: the rows become int8 in the engine's product.
  const activations = bits === 4 ? 'float' : form.activations;
  const stem = weights.path(name);
  if ((inFeatures * bits) % 8 !== 0)
    throw new AtbError('WEIGHT_QUANT_SHAPE', { name: `${stem}.weight`, inFeatures, bits });
  const rows = parts.reduce((sum, { part }) => sum + part.outFeatures, 0);
  const groups = [rows, groupsOf(inFeatures, groupSize)];
  const { input } = quant;
  const scaleName = `${stem}.${input ? 'deq_scale' : 'weight_scale'}`;
  const offsetName = `${stem}.weight_offset`;
  const { integers, scales, offsets, areMinimums, divisors, sumBias, mustBeZero } = quant.rows
    ? stored(weights, name, parts, inFeatures)
    : floats(weights, name, parts, inFeatures);
  return {
    weight: {
      ...named(integers, `${stem}.weight`),
      dtype: 'i8',
      shape: [rows, (inFeatures * bits) / 8],
      quantized: {
        ...form,
        role: 'weight',
        inFeatures,
        scaleName,
        ...(offsets && { offsetName }),
        ...(areMinimums && { areMinimums }),
        isStored: quant.rows !== undefined,
        ...(input && { isStatic: true }),
        mustBeZero: mustBeZero.flatMap((ref) => ref.parts),
      },
    },
    scale: {
      name: scaleName,
      dtype: 'f32',
      shape: groups,
      parts: scales?.parts ?? [],
      quantized: { role: 'scale', activations, ...(input && { isStatic: true }) },
    },
    offset:
      activations === 'int8'
        ? undefined
        : {
            name: offsetName,
            dtype: 'f32',
            shape: groups,
            parts: offsets?.parts ?? [],
            quantized: { role: 'offset', activations, isZero: offsets === undefined },
          },
    channels: quant.channels && channelOrder(`${stem}.channel_order`, quant.channels),
    divisors: divisors && named(divisors, `${stem}.input_divisors`),
    inputScale: input && {
      ...constantWeight(`${stem}.input_scale`, [1], input.scale),
      quantized: { role: 'scale', activations: 'float' },
    },
    inputOffset: input && {
      ...constantWeight(`${stem}.input_offset`, [1], input.offset),
      quantized: { role: 'input-offset' },
    },
    sumBias: sumBias && {
      ...named(sumBias, `${stem}.quant_bias`),
      dtype: 'i32',
      quantized: { role: 'sum-bias' },
    },
  };
}

const channelOrder = (name: string, data: Int32Array): TensorRef => ({
  name,
  dtype: 'i32',
  shape: [data.length],
  parts: [],
  values: { dtype: 'i32', shape: [data.length], data },
});

interface Numbers {
  readonly integers: TensorRef;
  readonly scales: TensorRef | undefined;
  readonly offsets: TensorRef | undefined;
  readonly areMinimums?: boolean;
  readonly divisors: TensorRef | undefined;
  readonly sumBias: TensorRef | undefined;
  readonly mustBeZero: readonly TensorRef[];
}

/** Floats to be quantised. */
function floats(
  weights: Weights,
  name: string,
  [first, ...others]: readonly [QuantizedPart, ...QuantizedPart[]],
  columns: number,
): Numbers {
  const integers = packParts(weights, name, [first.part, ...others.map(({ part }) => part)], {
    suffix: 'weight',
    columns,
    isTransposable: true,
    isScalable: true,
  });
  const none = { scales: undefined, offsets: undefined, divisors: undefined, sumBias: undefined };
  return { integers, ...none, mustBeZero: [] };
}

function stored(
  weights: Weights,
  name: string,
  parts: readonly [QuantizedPart, ...QuantizedPart[]],
  inFeatures: number,
): Numbers {
  const read = parts.map(({ part, quant }) => {
    if (part.unitRows) refuseUnitRows(weights, part);
    const linear = {
      name: part.name,
      outFeatures: storedOutputs(part),
      inFeatures,
      transposed: part.transposed ?? false,
    };
    const rows = (quant.rows as NonNullable<typeof quant.rows>)(weights, linear);
    requireStoredAs(rows.scale, SCALE_DTYPES);
    return { part, rows };
  });
  const packed = (suffix: string, of: (rows: LinearRows, part: LinearPart) => TensorRef): TensorRef => {
    const [first, ...others] = read.map(({ part, rows }) => of(rows, part));
    return concatRows(weights.path(`${name}.${suffix}`), [first as TensorRef, ...others]);
  };
  const zeros = ({ scale }: LinearRows, { name: part }: LinearPart) =>
    constantWeight(`${part}.weight_offset`, scale.shape, 0);
  const areMinimums = read.some(({ rows }) => rows.minimum);
  return {
    integers: packed('weight', ({ weight }, part) => takenRows(weight, part)),
    scales: packed('weight_scale', ({ scale }, part) => scaledRows(takenRows(scale, part), part)),
    // Parts that are symmetric have zeros beside those that are not.
    offsets:
      areMinimums || read.some(({ rows }) => rows.offset)
        ? packed('weight_offset', (rows, part) => {
            const own = rows.minimum && scaledRows(takenRows(rows.minimum, part), part);
            return own ?? takenRows(rows.offset ?? zeros(rows, part), part);
          })
        : undefined,
    areMinimums,
    divisors: read[0]?.rows.divisors,
    sumBias: read.every(({ rows }) => rows.sumBias)
      ? packed('quant_bias', ({ sumBias }, part) => takenRows(sumBias as TensorRef, part))
      : undefined,
    // Those of the whole tensors that parts are taken from.
    mustBeZero: read.flatMap(({ rows }) => rows.mustBeZero ?? []),
  };
}

/** Scales are floats, or bytes that a format reads as powers of two. */
const SCALE_DTYPES: readonly DType[] = ['f32', 'f16', 'bf16', 'e8m0'];

function refuseUnitRows(weights: Weights, { name }: LinearPart): never {
  throw new AtbError('WEIGHT_CHANGE_INVALID', {
    name: weights.path(`${name}.weight`),
    change: 'unitRows',
    expected: 'floats',
    found: 'integers',
  });
}
