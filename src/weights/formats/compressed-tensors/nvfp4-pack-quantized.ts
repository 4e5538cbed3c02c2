import { basename } from 'node:path';
import type { FilePart } from '../../../native/binding.js';
import type { ConfigFields } from '../config-fields.js';
import type { CheckpointTensor, CodedTensor, FormatSource } from '../format.js';
import { E2M1_TABLE, E4M3_TABLE } from '../small-float-tables.js';
import type { Compressor } from './compressor.js';

const GROUP = 16;

/**
 * `weight_packed` u8 [n, k / 2], two e2m1 to a byte, the first in the lower half; `weight_scale` e4m3 [n, k / 16]; and
 * `weight_global_scale` f32 [1]: a weight is number * (scale / global scale), in bf16. The engine has no groups of 16, so that
 * these become floats while they are loaded.
 */
export const nvfp4PackQuantized: Compressor = {
  format: 'nvfp4-pack-quantized',
  weight: 'weight_packed',
  quantOf({ scheme: { weights: args } }) {
    args.fields.oneOf('type', ['float'] as const);
    args.fields.oneOf('num_bits', [4] as const);
    args.fields.oneOf('group_size', [GROUP] as const);
    return undefined;
  },
  coded: nvfp4Weight,
};

async function nvfp4Weight(source: FormatSource, fields: ConfigFields, linear: string): Promise<CodedTensor> {
  const says = 'that it is quantised by nvfp4-pack-quantized';
  const own = (suffix: string, dtype: string): CheckpointTensor => {
    const found = source.tensors?.get(`${linear}.${suffix}`);
    if (found?.dtype === dtype) return found;
    const has = found ? `is ${found.dtype} in ${basename(found.file)}` : 'does not exist';
    return fields.contradict(says, `${linear}.${suffix}`, has);
  };
  const { shape: packed } = own('weight_packed', 'U8');
  const [n = 0, pairs = 0] = packed;
  const k = 2 * pairs;
  const scale = own('weight_scale', 'F8_E4M3');
  const groups = [n, Math.ceil(k / GROUP)];
  if (packed.length !== 2 || k % GROUP !== 0)
    fields.contradict('"group_size" 16', `${linear}.weight_packed`, `is U8[${packed}]`);
  if (scale.shape.join() !== groups.join())
    fields.contradict('"group_size" 16', `${linear}.weight_scale`, `is F8_E4M3[${scale.shape}]`);
  own('weight_global_scale', 'F32');
  const { data } = await source.read(`${linear}.weight_global_scale`);
  const global = Number(data[0]);
  if (data.length !== 1 || !(global > 0 && Number.isFinite(global)))
    fields.contradict(says, `${linear}.weight_global_scale`, `is ${data.slice(0, 3)}`);
  const count = n * (groups[1] ?? 0);
  const one = { value: 1, dtype: 'f32', shape: [1] } as const;
  const scales: FilePart = {
    file: scale.file,
    offset: scale.offset,
    dtype: 'f32',
    shape: [count],
    codes: { table: E4M3_TABLE.map((number) => number / global), block: Math.max(1, count), scales: one },
  };
  return { dtype: 'bf16', shape: [n, k], codes: { table: E2M1_TABLE, lowFirst: true, block: GROUP, scales } };
}
