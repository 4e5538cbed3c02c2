import { toFloat32 } from '../../dtype.js';
import type { LinearQuant, RowReader } from '../quantization.js';
import { constantWeight, unpacked, withRowOrder } from '../weight-changes.js';
import { ConfigFields } from './config-fields.js';
import type { FormatSource, OpenFormat, QuantFormat } from './format.js';
import { sharedScale } from './shared-scale.js';
import { linearsWith } from './small-tensors.js';

/** Numbers of a byte. */
const PER_BYTE = 4;

/**
 * Weights -1, 0 and 1 of BitNet b1.58 (arXiv:2402.17764) as transformers writes them (integrations/bitnet.py): `weight` u8
 * [n / 4, k], in whose row r the two bits 2i hold 1 more than the weights of row i * n / 4 + r, and `weight_scale` [1]. Its
 * linear class "autobitlinear" multiplies by that scale, "bitlinear" divides by it. Activations are int8, a scale for each row.
 */
export const bitnet: QuantFormat = { methods: ['bitnet'], open };

async function open(source: FormatSource): Promise<OpenFormat | undefined> {
  const { config, tensors } = source;
  if (config?.quant_method !== 'bitnet') return undefined;
  const fields = new ConfigFields(source, config);
  const kind = fields.oneOf('linear_class', ['bitlinear', 'autobitlinear'] as const);
  // Files "online" hold floats, of which the class makes these weights whenever it multiplies by them.
  fields.oneOf('quantization_mode', ['offline'] as const);
  fields.oneOf('use_rms_norm', [false] as const);
  const kept = fields.names('modules_to_not_convert');
  const packed = new Set(linearsWith(source, 'weight_scale'));
  const scales = new Map<string, number>();
  for (const linear of kind === 'bitlinear' ? packed : []) {
    const [scale] = toFloat32(await source.read(`${linear}.weight_scale`));
    scales.set(linear, 1 / (scale ?? 1));
  }
  const quant = kind === 'bitlinear' ? ternary((name) => scales.get(name)) : ternary();
  return {
    method: 'bitnet (1.58 bits)',
    file: fields.file,
    stamps: [],
    quantOf({ name }, role) {
      if (tensors) return packed.has(name) ? quant : undefined;
      return role === 'head' || kept.some((part) => name.includes(part)) ? undefined : quant;
    },
    isSpare: (tensor) => kind === 'bitlinear' && tensor.endsWith('.weight_scale'),
  };
}

/** `scaleOf`: what the files do not hold as it is. */
const ternary = (scaleOf?: (name: string) => number | undefined): LinearQuant => ({
  desc: 'W8A8_DYNAMIC',
  groupSize: 0,
  rows: rows(scaleOf),
});

const rows =
  (scaleOf: ((name: string) => number | undefined) | undefined): RowReader =>
  (weights, { name, outFeatures: n, inFeatures: k }) => {
    const bytes = weights.get(`${name}.weight`, [n / PER_BYTE, k]);
    const held = { bits: 2, axis: 0, count: n, minus: 1 } as const;
    // Number i of byte r lies at row 4 r + i, and belongs to row i * n / 4 + r.
    const order = Int32Array.from({ length: n }, (_, row) => {
      const part = Math.floor(row / (n / PER_BYTE));
      return PER_BYTE * (row - part * (n / PER_BYTE)) + part;
    });
    const full = weights.path(name);
    return {
      weight: withRowOrder(unpacked(bytes, held, 'i8'), order),
      scale: scaleOf
        ? constantWeight(weights.path(`${name}.scale`), [n, 1], scaleOf(full) ?? 1)
        : sharedScale(weights.get(`${name}.weight_scale`, [1]), n),
    };
  };
