import { groupsOf } from '../integer-rows.js';
import type { LinearQuant, RowReader } from '../quantization.js';
import { plus, times, transposed, unpacked } from '../weight-changes.js';
import type { TensorRef, Weights } from '../weights.js';
import { ConfigFields } from './config-fields.js';
import type { FormatSource, OpenFormat, QuantFormat } from './format.js';
import { linearsWith, zeroBiases } from './small-tensors.js';

const BITS = 4;
const MIDDLE = 8;
const PER_WORD = 8;

/**
 * AWQ as AutoAWQ writes it for its "gemm" kernels (arXiv:2306.00978), 4 bits. A linear has `qweight` i32 [k, n / 8], words of
 * outputs in the order 0, 2, 4, 6, 1, 3, 5, 7 of their places; `qzeros` i32 [groups, n / 8] likewise; and `scales`
 * [groups, n]. A weight is scale * (u - z). Where an activation without a gate lies between two linears, its results are
 * divided by `act.scales`, which transformers reads so (integrations/awq.py, ScaledActivation).
 */
export const awq: QuantFormat = { method: 'awq', open };

async function open(source: FormatSource): Promise<OpenFormat | undefined> {
  const { config, tensors } = source;
  if (config?.quant_method !== 'awq') return undefined;
  const fields = new ConfigFields(source, config);
  fields.oneOf('bits', [BITS] as const);
  fields.oneOf('version', ['gemm', 'GEMM'] as const);
  fields.oneOf('zero_point', [true] as const);
  const groupSize = fields.groupSize();
  const kept = fields.names('modules_to_not_convert');
  const names = linearsWith(source, 'qweight');
  const spare = await zeroBiases(source, names);
  const quant: LinearQuant = { desc: 'W4A16', groupSize, rows: rows(groupSize) };
  return {
    method: `awq (${BITS} bits)`,
    file: fields.file,
    stamps: [],
    quantOf({ name, tensor }, role) {
      if (tensors === undefined)
        return role === 'head' || kept.some((part) => name.includes(part)) ? undefined : quant;
      return tensor('qweight') && quant;
    },
    isSpare: (tensor) => spare.has(tensor),
  };
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

function divisorsOf(weights: Weights, linear: string, inFeatures: number): TensorRef | undefined {
  const [, parent] = BEHIND_ACTIVATION.exec(linear) ?? [];
  return parent === undefined ? undefined : weights.getOptional(`${parent}act.scales`, [inFeatures]);
}
