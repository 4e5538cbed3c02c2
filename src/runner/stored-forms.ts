import { DTYPE_BYTES, elementCount, type FloatDType } from '../dtype.js';
import type { BaseConfig } from '../layers/config/index.js';
import { quantDesc } from '../weights/quantization.js';
import { type QuantizedWeight, type TensorRef, weightBytes } from '../weights/weights.js';

/** Linears of a model that are stored alike. */
export interface StoredForm {
  /** MindIE's name: `W4A16`. */
  readonly desc: string;
  /** Input channels that share a scale; 0: all of an output's. */
  readonly groupSize: number;
  /** Whether they have zero points. */
  readonly hasOffset: boolean;
  /** Whether their channels lie in the order of their groups, which a step brings its inputs into (act-order). */
  readonly isReordered: boolean;
  /** Projections that a model packs are one. */
  readonly linears: number;
  /** In the files, with scales, zero points and orders. */
  readonly bitsPerWeight: number;
}

/** How the weights of a model lie in its files. */
export interface StoredForms {
  readonly forms: readonly StoredForm[];
  /** Matrices that stay floats, without tables that are only looked up in. */
  readonly floats: readonly string[];
  /** What a decoding step of one sequence reads of weights. */
  readonly stepBytes: number;
}

/** What a decoding step reads of weights, beside what their shapes say. */
export interface StepReads {
  readonly dtype: FloatDType;
  /** The full name of the embedding, which a step reads a row of, unless it is the head, too. */
  readonly table: string;
  /** Of stacks [numExperts, outputs, inputs] a step reads the matrices of the chosen. */
  readonly experts: Pick<BaseConfig, 'numExperts' | 'numExpertsPerToken'>;
}

/** Adds up how `weights` are stored. */
export function storedForms(
  weights: readonly TensorRef[],
  { dtype, table, experts: { numExperts = 0, numExpertsPerToken = 1 } }: StepReads,
): StoredForms {
  const shareRead = ({ shape }: TensorRef) =>
    shape.length === 3 && shape[0] === numExperts ? numExpertsPerToken / numExperts : 1;
  const byName = new Map(weights.map((ref) => [ref.name, ref]));
  const sums = new Map<string, Omit<StoredForm, 'bitsPerWeight'> & { bits: number; elements: number }>();
  const floats: string[] = [];
  let stepBytes = 0;
  for (const ref of byName.values()) {
    const { name, quantized, shape } = ref;
    if (quantized?.role === 'weight') {
      const stem = name.slice(0, name.lastIndexOf('.'));
      const order = byName.get(`${stem}.channel_order`);
      const bytes =
        bytesOf(ref, quantized, byName) + (order ? elementCount(order.shape) * DTYPE_BYTES.i32 : 0);
      add(
        sums,
        { ...describe(quantized), isReordered: order !== undefined },
        bytes,
        elementCount(shape.slice(0, -1)) * quantized.inFeatures,
      );
      stepBytes += bytes * shareRead(ref);
    } else if (quantized === undefined && shape.length >= 2 && ref.parts.length > 0 && name !== table) {
      floats.push(name);
      stepBytes += elementCount(shape) * DTYPE_BYTES[dtype] * shareRead(ref);
    }
  }
  const forms = [...sums.values()].map(({ bits, elements, ...form }) => ({
    ...form,
    bitsPerWeight: bits / elements,
  }));
  return { forms, floats, stepBytes };
}

const describe = (quantized: QuantizedWeight) => ({
  desc: quantDesc(quantized),
  groupSize: quantized.groupSize,
  hasOffset: quantized.offsetName !== undefined,
});

/** Of integers with their scales and offsets. */
function bytesOf(
  ref: TensorRef,
  { scaleName, offsetName = '' }: QuantizedWeight,
  byName: ReadonlyMap<string, TensorRef>,
): number {
  return [ref, byName.get(scaleName), byName.get(offsetName)].reduce(
    (sum, each) => sum + (each ? weightBytes(each) : 0),
    0,
  );
}

function add(
  sums: Map<string, Omit<StoredForm, 'bitsPerWeight'> & { bits: number; elements: number }>,
  form: Omit<StoredForm, 'bitsPerWeight' | 'linears'>,
  bytes: number,
  elements: number,
): void {
  const key = JSON.stringify(form);
  const sum = sums.get(key) ?? { ...form, linears: 0, bits: 0, elements: 0 };
  sums.set(key, {
    ...sum,
    linears: sum.linears + 1,
    bits: sum.bits + 8 * bytes,
    elements: sum.elements + elements,
  });
}
