import { basename } from 'node:path';
import type { LinearQuant, RowReader } from '../quantization.js';
import type { TensorRef } from '../weights.js';
import { ConfigFields } from './config-fields.js';
import {
  FLOAT_ACTIVATIONS,
  type FormatSource,
  isNamed,
  type OpenFormat,
  type QuantFormat,
  type StoredLinear,
} from './format.js';
import { asScales, e4m3Linear, type ScaleBlock } from './small-floats.js';

/**
 * Floats of 8 bits as DeepSeek-V3, Qwen3-FP8 and transformers' FineGrainedFP8Config write them: `weight` e4m3 [n, k] and
 * `weight_scale_inv`, which is a factor in spite of its name, for blocks of 128 x 128, of which those at the edges may be
 * smaller; or `weight_scale`, one number for the tensor or for each output, as fbgemm_fp8 has it. They stay 8 bits in memory.
 *
 * DeepSeek-V4 calls the scales of blocks `scale`, and its experts may be floats of 4 bits (e2m1, `expert_dtype` "fp4"):
 * `weight` i8 [n, k / 2], two to a byte, the first in its lower half, and `scale` e8m0 [n, k / 32], powers of two.
 */
export const fp8: QuantFormat = { methods: ['fp8', 'fbgemm_fp8'], open };

const SCALES = ['weight_scale_inv', 'weight_scale', 'scale'] as const;
const E4M3 = 'F8_E4M3';
/** Channels that share a scale among floats of 4 bits. */
const FP4_GROUP = 32;
const EXPERT = /(?:^|\.)experts\.\d+\./;
type ExpertDType = 'fp8' | 'fp4';

async function open(source: FormatSource): Promise<OpenFormat | undefined> {
  const { config, tensors } = source;
  if (!isNamed(fp8, config)) return undefined;
  const fields = new ConfigFields(source, config);
  fields.oneOf('fmt', ['e4m3'] as const);
  const block = config.weight_block_size == null ? undefined : fields.block('weight_block_size');
  const kept = fields.names('modules_to_not_convert');
  const said =
    config.expert_dtype == null ? undefined : fields.oneOf('expert_dtype', ['fp8', 'fp4'] as const);
  return {
    method: `fp8 (e4m3, ${block ? `blocks of ${block.rows} x ${block.channels}` : 'a scale for each tensor or output'})`,
    file: fields.file,
    stamps: [],
    notes: [FLOAT_ACTIVATIONS],
    quantOf(linear, role) {
      const experts = EXPERT.test(linear.name) ? said : undefined;
      if (tensors) return storedQuant(fields, linear, block, experts);
      const isKept = role === 'head' || kept.some((name) => linear.name.includes(name));
      if (isKept) return undefined;
      return experts === 'fp4' ? FP4 : e4m3Linear(SCALES[0], undefined, block);
    },
    isSpare: (tensor) => /\.(activation_scale|input_scale|input_scale_ub|[kv]_scale)$/.test(tensor),
  };
}

function storedQuant(
  fields: ConfigFields,
  { name, tensor }: StoredLinear,
  block: ScaleBlock | undefined,
  experts: ExpertDType | undefined,
): LinearQuant | undefined {
  const weight = tensor('weight');
  const suffix = SCALES.find((each) => tensor(each));
  if (weight === undefined || (weight.dtype !== E4M3 && suffix === undefined)) return undefined;
  const isFp4 = EXPERT.test(name) && weight.dtype === 'I8' && suffix === 'scale';
  if (experts !== undefined && isFp4 !== (experts === 'fp4'))
    fields.contradict(`"expert_dtype" "${experts}"`, `${name}.weight`, `is ${weight.dtype}`);
  if (isFp4) {
    const scale = tensor('scale');
    if (scale && scale.dtype !== 'F8_E8M0')
      fields.contradict(
        'that experts are fp4',
        `${name}.scale`,
        `is ${scale.dtype} in ${basename(scale.file)}`,
      );
    return { ...FP4, rows: fp4Rows };
  }
  const says = 'that weights are fp8';
  if (weight.dtype !== E4M3)
    fields.contradict(says, `${name}.weight`, `is ${weight.dtype}, beside ${suffix}`);
  if (suffix === undefined) fields.contradict(says, name, 'has no weight_scale_inv');
  return e4m3Linear(suffix, tensor(suffix)?.shape, block);
}

const FP4: LinearQuant = { desc: 'FP4', groupSize: FP4_GROUP };

const fp4Rows: RowReader = (weights, { name, outFeatures: n, inFeatures: k }) => ({
  weight: asPairs(weights.get(`${name}.weight`, [n, k / 2])),
  scale: asScales(weights.get(`${name}.scale`, [n, k / FP4_GROUP])),
});

/** Bytes that hold two numbers each, which files call integers. */
function asPairs(ref: TensorRef): TensorRef {
  const parts = ref.parts.map((part) => (part.file === undefined ? part : { ...part, dtype: 'u8' as const }));
  return { ...ref, dtype: 'u8', parts };
}
