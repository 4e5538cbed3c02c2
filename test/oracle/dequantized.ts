import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Tensor, toFloat32 } from '../../src/dtype.js';
import { safetensorsBytes } from '../weights/safetensors-writer.js';
import { readTensors } from './fixtures.js';

/** What quant_model_description.json says. */
export interface Description {
  readonly types: Readonly<Record<string, string>>;
  readonly groupSize: number;
}

export function readDescription(folder: string): Description {
  const types = JSON.parse(readFileSync(join(folder, 'quant_model_description.json'), 'utf8'));
  return { types, groupSize: types.group_size ?? 0 };
}

/** Integers [n, k] of a weight; two in each byte, the first in the low half, of a 4-bit one. */
export function integersOf({ data, shape }: Tensor, type: string): { q: Int8Array; n: number; k: number } {
  const [n = 0, columns = 0] = shape;
  const bytes = data as Int8Array;
  if (!type.startsWith('W4')) return { q: bytes, n, k: columns };
  const q = new Int8Array(bytes.length * 2);
  for (const [i, byte] of bytes.entries()) {
    q[2 * i] = (byte << 28) >> 28;
    q[2 * i + 1] = byte >> 4;
  }
  return { q, n, k: columns * 2 };
}

/** scale * integer, in f32. */
export function dequantize(weight: Tensor, scale: Tensor, type: string, groupSize: number): Float32Array {
  const { q, n, k } = integersOf(weight, type);
  const scales = scale.data as Float32Array;
  const groups = scale.shape[1] ?? 1;
  const size = groups === 1 ? k : groupSize;
  return Float32Array.from(q, (value, i) => {
    const [row, column] = [Math.floor(i / k), i % k];
    if (row >= n) throw new RangeError('more integers than rows');
    return value * (scales[row * groups + Math.floor(column / size)] as number);
  });
}

/** Every weight of a quantised checkpoint by its name there, in f32. */
export async function dequantizedWeights(
  folder: string,
): Promise<Map<string, { readonly shape: readonly number[]; readonly data: Float32Array }>> {
  const { types, groupSize } = readDescription(folder);
  const tensors = await readTensors(join(folder, 'model.safetensors'));
  const weights = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  for (const [name, tensor] of tensors) {
    const type = types[name] ?? 'FLOAT';
    const scale = tensors.get(`${name}_scale`);
    if (name.endsWith('_scale')) continue;
    if (type === 'FLOAT' || scale === undefined) {
      weights.set(name, { shape: tensor.shape, data: toFloat32(tensor) });
    } else {
      const { n, k } = integersOf(tensor, type);
      weights.set(name, { shape: [n, k], data: dequantize(tensor, scale, type, groupSize) });
    }
  }
  return weights;
}

/** The float checkpoint that a quantised one stands for. */
export async function writeDequantized(folder: string, output: string): Promise<void> {
  mkdirSync(output);
  cpSync(join(folder, 'config.json'), join(output, 'config.json'));
  const tensors = [...(await dequantizedWeights(folder))].map(([name, { shape, data }]) => ({
    name,
    dtype: 'F32',
    shape,
    data: new Uint8Array(data.buffer),
  }));
  rmSync(join(output, 'model.safetensors'), { force: true });
  writeFileSync(join(output, 'model.safetensors'), safetensorsBytes(tensors));
}
