import type { LinearQuant } from '../quantization.js';
import { ConfigFields } from './config-fields.js';
import {
  FLOAT_ACTIVATIONS,
  type FormatSource,
  isNamed,
  type OpenFormat,
  type QuantFormat,
  type StoredLinear,
} from './format.js';
import { e4m3Linear, type ScaleBlock } from './small-floats.js';

/**
 * Floats of 8 bits as DeepSeek-V3, Qwen3-FP8 and transformers' FineGrainedFP8Config write them: `weight` e4m3 [n, k] and
 * `weight_scale_inv`, which is a factor in spite of its name, for blocks of 128 x 128, of which those at the edges may be
 * smaller; or `weight_scale`, one number for the tensor or for each output, as fbgemm_fp8 has it. They stay 8 bits in memory.
 */
export const fp8: QuantFormat = { methods: ['fp8', 'fbgemm_fp8'], open };

const SCALES = ['weight_scale_inv', 'weight_scale'] as const;
const E4M3 = 'F8_E4M3';

async function open(source: FormatSource): Promise<OpenFormat | undefined> {
  const { config, tensors } = source;
  if (!isNamed(fp8, config)) return undefined;
  const fields = new ConfigFields(source, config);
  fields.oneOf('fmt', ['e4m3'] as const);
  const block = config.weight_block_size == null ? undefined : fields.block('weight_block_size');
  const kept = fields.names('modules_to_not_convert');
  return {
    method: `fp8 (e4m3, ${block ? `blocks of ${block.rows} x ${block.channels}` : 'a scale for each tensor or output'})`,
    file: fields.file,
    stamps: [],
    notes: [FLOAT_ACTIVATIONS],
    quantOf(linear, role) {
      if (tensors) return storedQuant(fields, linear, block);
      const isKept = role === 'head' || kept.some((name) => linear.name.includes(name));
      return isKept ? undefined : e4m3Linear(SCALES[0], undefined, block);
    },
    isSpare: (tensor) => /\.(activation_scale|input_scale|input_scale_ub|[kv]_scale)$/.test(tensor),
  };
}

function storedQuant(
  fields: ConfigFields,
  { name, tensor }: StoredLinear,
  block: ScaleBlock | undefined,
): LinearQuant | undefined {
  const weight = tensor('weight');
  const suffix = SCALES.find((each) => tensor(each));
  if (weight === undefined || (weight.dtype !== E4M3 && suffix === undefined)) return undefined;
  const says = 'that weights are fp8';
  if (weight.dtype !== E4M3)
    fields.contradict(says, `${name}.weight`, `is ${weight.dtype}, beside ${suffix}`);
  if (suffix === undefined) fields.contradict(says, name, 'has no weight_scale_inv');
  return e4m3Linear(suffix, tensor(suffix)?.shape, block);
}
