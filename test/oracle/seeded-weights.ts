import { type DTypeArray, elementCount, type FloatDType, toDType } from '../../src/dtype.js';
import { safetensorsBytes } from '../weights/safetensors-writer.js';

/** How one tensor of a fixture is drawn. */
export interface SeededTensor {
  readonly shape: readonly number[];
  readonly mean: number;
  readonly std: number;
}

/** A table of numbers below another: those of a row follow one another. */
export interface SeededTable {
  readonly shape: readonly [rows: number, columns: number];
  readonly below: number;
}

/** A fixture's weights.json: its weights, as what makes them. */
export interface SeededWeights {
  readonly seed: number;
  readonly dtype: 'float32' | 'bfloat16' | 'float16';
  readonly tensors: Readonly<Record<string, SeededTensor | SeededTable>>;
}

const GOLDEN = 0x9e3779b9;
/** The mean and the standard deviation of the sum of four uniform 16-bit numbers. */
const CENTRE = 131070;
const SPREAD = 37837;

const STORED: Readonly<Record<SeededWeights['dtype'], { dtype: FloatDType; name: string }>> = {
  float32: { dtype: 'f32', name: 'F32' },
  bfloat16: { dtype: 'bf16', name: 'BF16' },
  float16: { dtype: 'f16', name: 'F16' },
};

/** The 32-bit finaliser of MurmurHash3. */
function mix(value: number): number {
  let x = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** The 32-bit FNV-1a hash. */
export function fnv1a(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** The tensor's values, row-major, in f32: the formula that tools/oracle/seeded_weights.py explains, bit for bit. */
export function seededValues(seed: number, name: string, tensor: SeededTensor): Float32Array {
  const { shape, mean, std } = tensor;
  const key = mix(fnv1a(Buffer.from(name)) ^ mix(seed));
  const step = std / SPREAD;
  const values = new Float32Array(elementCount(shape));
  for (let i = 0; i < values.length; i++) {
    const a = mix(key + Math.imul(2 * i, GOLDEN));
    const b = mix(key + Math.imul(2 * i + 1, GOLDEN));
    const sum = (a & 0xffff) + (a >>> 16) + (b & 0xffff) + (b >>> 16) - CENTRE;
    values[i] = mean + sum * step;
  }
  return values;
}

/** The table's numbers, row-major. */
export function seededTable(seed: number, name: string, { shape, below }: SeededTable): BigInt64Array {
  const [rows, columns] = shape;
  const key = mix(fnv1a(Buffer.from(name)) ^ mix(seed));
  return BigInt64Array.from({ length: rows * columns }, (_, at) =>
    BigInt((mix(key + Math.imul(2 * Math.floor(at / columns), GOLDEN)) + (at % columns)) % below),
  );
}

/** The same, rounded to nearest even into the stored dtype. */
export function seededData(
  seed: number,
  name: string,
  tensor: SeededTensor,
  dtype: SeededWeights['dtype'],
): DTypeArray[FloatDType] {
  return toDType(seededValues(seed, name, tensor), tensor.shape, STORED[dtype].dtype).data;
}

/** The safetensors file that a recipe stands for. */
export function seededSafetensors({ seed, dtype, tensors }: SeededWeights): Buffer {
  return safetensorsBytes(
    Object.entries(tensors).map(([name, tensor]) => {
      const isTable = 'below' in tensor;
      const made = isTable ? seededTable(seed, name, tensor) : seededData(seed, name, tensor, dtype);
      const data = new Uint8Array(made.buffer, made.byteOffset, made.byteLength);
      return { name, dtype: isTable ? 'I64' : STORED[dtype].name, shape: tensor.shape, data };
    }),
  );
}
