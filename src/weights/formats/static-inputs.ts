import { isFloat, toFloat32 } from '../../dtype.js';
import { AtbError } from '../../errors.js';
import { requireIntegers } from '../integer-rows.js';
import type { RowReader, StaticInput } from '../quantization.js';
import { flattened, withRowOrder } from '../weight-changes.js';
import { requireStoredAs, type TensorRef } from '../weights.js';
import type { FormatSource } from './format.js';

/** Who says that inputs have one scale: a file, and what of it. */
interface Saying {
  readonly file: string;
  readonly says: string;
}

/**
 * By what the inputs of a linear become int8: `input_scale`, one number, and `input_offset` (which others call
 * `input_zero_point`), which is 0 where there is none. Throws WEIGHT_QUANT_CONTRADICTION, WEIGHT_NOT_FOUND.
 */
export async function readStaticInput(
  source: FormatSource,
  linear: string,
  saying: Saying,
  offsetSuffix: 'input_offset' | 'input_zero_point' = 'input_offset',
): Promise<StaticInput> {
  const refuse = (name: string, found: string): never => {
    throw new AtbError('WEIGHT_QUANT_CONTRADICTION', { ...saying, name, found });
  };
  const numberOf = async (suffix: string): Promise<number> => {
    const name = `${linear}.${suffix}`;
    if (!source.tensors?.has(name)) return refuse(name, 'does not exist');
    const { dtype, data, shape } = await source.read(name);
    const [number] = isFloat(dtype) ? toFloat32({ dtype, data, shape }) : Array.from(data, Number);
    return data.length === 1 && number !== undefined ? number : refuse(name, `has ${data.length} numbers`);
  };
  const scale = await numberOf('input_scale');
  if (!(scale > 0 && Number.isFinite(scale))) refuse(`${linear}.input_scale`, `is ${scale}`);
  const offset = source.tensors?.has(`${linear}.${offsetSuffix}`) ? await numberOf(offsetSuffix) : 0;
  const isInt8 = Number.isInteger(offset) && offset >= -128 && offset <= 127;
  if (!isInt8) refuse(`${linear}.${offsetSuffix}`, `is ${offset}, not a whole number from -128 to 127`);
  return { scale, offset };
}

/** What is read when a checkpoint is opened, or holds what `quant_bias` holds, too. */
export const STATIC_SPARE = /\.(input_scale|input_offset|deq_scale|weight_scale|weight_offset|bias)$/;

/**
 * W8A8 as MindIE has it: `weight` i8 [n, k], `quant_bias` i32 [n], which has the bias and what the input's offset costs, and
 * `deq_scale` [n], the scale of the input times those of the weight: f32, or their bits in i64.
 */
export const staticRows: RowReader = (weights, { name, outFeatures: n, inFeatures: k }) => ({
  weight: requireIntegers(weights.get(`${name}.weight`, [n, k])),
  scale: scaleBits(weights.get(`${name}.deq_scale`, [n])),
  sumBias: requireStoredAs(weights.get(`${name}.quant_bias`, [n]), ['i32']),
});

/** [n] as [n, 1]; of i64, the lower halves, which are f32. */
function scaleBits(ref: TensorRef): TensorRef {
  if (ref.dtype !== 'i64') return flattened(ref);
  const [n = 0] = ref.shape;
  const halves = { dtype: 'f32', shape: [2 * n, 1] } as const;
  const parts = ref.parts.map((part) => (part.file === undefined ? part : { ...part, ...halves }));
  return withRowOrder(
    { ...ref, ...halves, parts },
    Int32Array.from({ length: n }, (_, row) => 2 * row),
  );
}
