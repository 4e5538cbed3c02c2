import { basename } from 'node:path';
import type { FilePart } from '../../native/binding.js';
import type { LinearQuant } from '../quantization.js';
import type { TensorRef } from '../weights.js';
import type { ConfigFields } from './config-fields.js';
import type { CheckpointTensor, CodedTensor, FormatSource } from './format.js';
import { E2M1_TABLE, E4M3_TABLE } from './small-float-tables.js';

const GROUP = 16;

/** What an NVFP4 linear is to who only looks at the configuration. */
export const NVFP4_FORM = { desc: 'FP4', groupSize: GROUP } as const;

/** A weight of NVFP4: as a linear, which keeps its 4 bits, and as the floats that others read. */
export interface Nvfp4Weight {
  readonly quant: LinearQuant;
  readonly floats: CodedTensor;
}

/** How a tool writes NVFP4. */
export interface Nvfp4Dialect {
  /** What is contradicted where the files have something else. */
  readonly says: string;
  /** The tensor of numbers, and that of the scale of all scales. */
  readonly weight: 'weight' | 'weight_packed';
  readonly world: 'weight_scale_2' | 'weight_global_scale';
  /** What a group's numbers are multiplied by. */
  scaleOf(scale: number, world: number): number;
}

/**
 * A linear of floats of 4 bits, e2m1 [n, k / 2], two to a byte, the first in the lower half, with a scale for each 16, e4m3
 * [n, k / 16], and one number for all of them. In products they become bf16, number * scale, panel by panel.
 * Throws WEIGHT_QUANT_CONTRADICTION.
 */
export async function nvfp4Weight(
  source: FormatSource,
  fields: ConfigFields,
  linear: string,
  { says, weight, world, scaleOf }: Nvfp4Dialect,
): Promise<Nvfp4Weight> {
  const own = (suffix: string, dtype: string): CheckpointTensor => {
    const found = source.tensors?.get(`${linear}.${suffix}`);
    if (found?.dtype === dtype) return found;
    const has = found ? `is ${found.dtype} in ${basename(found.file)}` : 'does not exist';
    return fields.contradict(says, `${linear}.${suffix}`, has);
  };
  const pairsOf = own(weight, 'U8');
  const { shape: packed } = pairsOf;
  const [n = 0, pairs = 0] = packed;
  const k = 2 * pairs;
  const scale = own('weight_scale', 'F8_E4M3');
  const groups = [n, Math.ceil(k / GROUP)];
  if (packed.length !== 2 || k % GROUP !== 0)
    fields.contradict('"group_size" 16', `${linear}.${weight}`, `is U8[${packed}]`);
  if (scale.shape.join() !== groups.join())
    fields.contradict('"group_size" 16', `${linear}.weight_scale`, `is F8_E4M3[${scale.shape}]`);
  own(world, 'F32');
  const { data } = await source.read(`${linear}.${world}`);
  const global = Number(data[0]);
  if (data.length !== 1 || !(global > 0 && Number.isFinite(global)))
    fields.contradict(says, `${linear}.${world}`, `is ${data.slice(0, 3)}`);
  const count = n * (groups[1] ?? 0);
  const one = { value: 1, dtype: 'f32', shape: [1] } as const;
  const scales: FilePart = {
    file: scale.file,
    offset: scale.offset,
    dtype: 'f32',
    shape: [count],
    codes: {
      table: E4M3_TABLE.map((number) => scaleOf(number, global)),
      block: Math.max(1, count),
      scales: one,
    },
  };
  const bytes: FilePart = { file: pairsOf.file, offset: pairsOf.offset, dtype: 'u8', shape: packed };
  const tensor = (suffix: string, dtype: 'u8' | 'f32', part: FilePart): TensorRef => ({
    name: `${linear}.${suffix}`,
    dtype,
    shape: part.shape,
    parts: [part],
  });
  return {
    quant: {
      ...NVFP4_FORM,
      rows: (weights, { name, outFeatures, inFeatures }) => {
        weights.get(`${name}.weight`, [outFeatures, inFeatures]);
        return {
          weight: tensor(weight, 'u8', bytes),
          scale: tensor('weight_scale', 'f32', { ...scales, shape: groups }),
        };
      },
    },
    floats: {
      dtype: 'bf16',
      shape: [n, k],
      codes: { table: E2M1_TABLE, lowFirst: true, block: GROUP, scales },
    },
  };
}
