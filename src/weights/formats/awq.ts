import { groupsOf } from '../integer-rows.js';
import type { LinearQuant, RowReader } from '../quantization.js';
import type { NamedTensors, TensorRef } from '../tensor-ref.js';
import { plus, times, transposed, unpacked } from '../weight-changes.js';
import { ConfigFields } from './config-fields.js';
import type { FormatSource, OpenFormat, QuantFormat } from './format.js';
import { dynamicOverrides, type ModuleOverrides, packedLinears } from './module-overrides.js';
import { zeroBiases } from './small-tensors.js';

const BITS = 4;
const MIDDLE = 8;
const PER_WORD = 8;
/** What transformers takes where nothing says (AwqConfig). */
const USUAL_GROUP = 128;

/**
 * AWQ as AutoAWQ writes it for its "gemm" kernels (arXiv:2306.00978), 4 bits. A linear has `qweight` i32 [k, n / 8], words of
 * outputs in the order 0, 2, 4, 6, 1, 3, 5, 7 of their places; `qzeros` i32 [groups, n / 8] likewise; and `scales`
 * [groups, n]. A weight is scale * (u - z). Where an activation without a gate lies between two linears, its results are
 * divided by `act.scales`, which transformers reads so (integrations/awq.py, ScaledActivation).
 */
export const awq: QuantFormat = { methods: ['awq'], open };

async function open(source: FormatSource): Promise<OpenFormat | undefined> {
  const { config } = source;
  if (config?.quant_method !== 'awq') return undefined;
  // AutoAWQ's own names, which it writes into a file of its own.
  const fields = new ConfigFields(source, { bits: config.w_bit, group_size: config.q_group_size, ...config });
  // gptqmodel calls it otherwise.
  const version = config.version == null ? 'checkpoint_format' : 'version';
  fields.oneOf(version, ['gemm', 'GEMM'] as const);
  fields.oneOf('zero_point', [true] as const);
  return openAwq(source, fields, { tool: 'awq', overrides: dynamicOverrides(source, config) });
}

/** Who wrote such files, and what of them differs. */
export interface AwqDialect {
  readonly tool: string;
  readonly overrides: ModuleOverrides;
}

/** A checkpoint of such linears. Throws WEIGHT_QUANT_DESCRIPTION, WEIGHT_QUANT_CONTRADICTION, WEIGHT_*. */
export async function openAwq(
  source: FormatSource,
  fields: ConfigFields,
  { tool, overrides }: AwqDialect,
): Promise<OpenFormat> {
  const common = quant(fields);
  const kept = fields.names('modules_to_not_convert');
  const linears = new Map<string, LinearQuant>();
  for (const [name, own] of packedLinears(source, fields, overrides)) linears.set(name, quant(own));
  const spare = await zeroBiases(source, [...linears.keys()]);
  return {
    method: `${tool} (${BITS} bits)`,
    file: fields.file,
    stamps: [],
    quantOf({ name }, role) {
      if (source.tensors) return linears.get(name);
      const own = overrides(name);
      if (own) return own.fields && quant(own.fields);
      return role === 'head' || kept.some((part) => name.includes(part)) ? undefined : common;
    },
    isSpare: (tensor) => spare.has(tensor),
  };
}

function quant(fields: ConfigFields): LinearQuant {
  fields.oneOf('bits', [BITS] as const);
  const groupSize = fields.groupSize('group_size', USUAL_GROUP);
  return { desc: 'W4A16', groupSize, rows: rows(groupSize) };
}

const rows =
  (groupSize: number): RowReader =>
  (weights, { name, outFeatures, inFeatures }) => {
    const groups = groupsOf(inFeatures, groupSize);
    const columns = Math.ceil(outFeatures / PER_WORD);
    const outputs = (suffix: string, inputs: number, minus: number, dtype: 'i8' | 'f32') => {
      const words = weights.get(`${name}.${suffix}`, [inputs, columns]);
      const held = { bits: BITS, axis: 1, count: outFeatures, minus, awq: true } as const;
      return transposed(unpacked(words, held, dtype));
    };
    return {
      weight: outputs('qweight', inFeatures, MIDDLE, 'i8'),
      scale: transposed(weights.get(`${name}.scales`, [groups, outFeatures])),
      // u - z is (u - 8) + (8 - z).
      offset: plus(times(outputs('qzeros', groups, 0, 'f32'), -1), MIDDLE),
      divisors: divisorsOf(weights, name, inFeatures),
    };
  };

/** What linears behind activations are called: in starcoder2, opt, gpt_neox, falcon, bloom and others. */
const BEHIND_ACTIVATION = /^(.*?)(?:c_proj|fc2|dense_4h_to_h|down_proj)$/;

function divisorsOf(weights: NamedTensors, linear: string, inFeatures: number): TensorRef | undefined {
  const [, parent] = BEHIND_ACTIVATION.exec(linear) ?? [];
  return parent === undefined ? undefined : weights.getOptional(`${parent}act.scales`, [inFeatures]);
}
