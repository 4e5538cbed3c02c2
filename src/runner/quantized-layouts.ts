import type { Tensor } from '../dtype.js';
import type { IntegerForm } from '../native/binding.js';
import type { CheckpointTensor } from '../weights/checkpoint.js';
import {
  FLOAT_TYPE,
  GROUP_SIZE_KEY,
  MODEL_TYPE_KEY,
  QUANT_DESCRIPTION_FILE,
} from '../weights/formats/msmodelslim.js';
import { wordsOf } from '../weights/formats/small-tensors.js';
import { groupsOf } from '../weights/integer-rows.js';
import { type QuantizeMode, quantDesc } from '../weights/quantization.js';
import type { TensorEntry } from '../weights/safetensors-writer.js';

/** The formats that a quantised checkpoint can be written in. */
export const QUANTIZED_FORMATS = ['msmodelslim', 'compressed-tensors'] as const;
export type QuantizedFormat = (typeof QUANTIZED_FORMATS)[number];

type Forms = ReadonlyMap<string, IntegerForm>;
type Tensors = ReadonlyMap<string, CheckpointTensor>;

/** A tensor of a quantised linear, and its bytes once the integers and scales are there. */
interface QuantizedTensor extends TensorEntry {
  bytes(integers: Uint8Array, scales: Uint8Array): Uint8Array;
}

/** How a format names and packs a weight of integers, and what it says about all of them. */
export interface QuantizedLayout {
  /** Why this format keeps a weight [n, k] as floats; undefined where it does not. */
  refusal(name: string, k: number, form: IntegerForm): string | undefined;
  /** A table that is a product's weight, too, as a tied embedding, stays floats. */
  readonly keepsTables: boolean;
  /** The tensors that stand for the weight `name` [n, k]. */
  tensors(name: string, shape: readonly [number, number], form: IntegerForm): QuantizedTensor[];
  /** A file that says how the tensors are stored. */
  file(
    tensors: Tensors,
    forms: Forms,
    mode: QuantizeMode,
  ): { readonly name: string; readonly text: string } | undefined;
  /** What config.json gets beside what it has. */
  config(tensors: Tensors, forms: Forms): Readonly<Record<string, unknown>> | undefined;
}

/** `quant_model_description.json` and int8 tensors, as MindIE reads them. */
const msmodelslim: QuantizedLayout = {
  refusal: () => undefined,
  keepsTables: false,
  tensors: (name, [n, k], { bits, groupSize }) => [
    { name, dtype: 'I8', shape: [n, (k * bits) / 8], bytes: (integers) => integers },
    scales(`${name}_scale`, n, groupsOf(k, groupSize)),
  ],
  file(tensors, forms, mode) {
    const groupSize = largestGroup(forms);
    const types: Record<string, string | number> = {
      [MODEL_TYPE_KEY]: mode.toUpperCase(),
      ...(groupSize > 0 && { [GROUP_SIZE_KEY]: groupSize }),
    };
    for (const name of tensors.keys()) {
      const form = forms.get(name);
      types[name] = form ? quantDesc(form) : FLOAT_TYPE;
      if (form) types[`${name}_scale`] = quantDesc(form);
    }
    return { name: QUANT_DESCRIPTION_FILE, text: `${JSON.stringify(types, null, 2)}\n` };
  },
  config: () => undefined,
};

/** Words of integers, or int8 where activations become int8, as compressed-tensors and transformers read them. */
const compressedTensors: QuantizedLayout = {
  refusal(name, k, { groupSize }) {
    if (!name.endsWith('.weight')) return 'compressed-tensors names weights only';
    if (groupSize > 0 && k % groupSize !== 0)
      return `compressed-tensors wants whole groups, and its ${k} inputs are no multiple of ${groupSize}`;
    return undefined;
  },
  keepsTables: true,
  tensors(name, [n, k], { bits, groupSize, activations }) {
    const stem = name.replace(/\.weight$/, '');
    const scale = scales(`${stem}.weight_scale`, n, groupsOf(k, groupSize));
    if (activations === 'int8') {
      const bytes = (integers: Uint8Array) => (bits === 4 ? inBytes(integers) : integers);
      return [{ name, dtype: 'I8', shape: [n, k], bytes }, scale];
    }
    const words = wordsOf(k, bits);
    return [
      {
        name: `${stem}.weight_packed`,
        dtype: 'I32',
        shape: [n, words],
        bytes: (integers) => inWords(integers, n, words * 4, bits),
      },
      scale,
      {
        name: `${stem}.weight_shape`,
        dtype: 'I64',
        shape: [2],
        bytes: () => new Uint8Array(BigInt64Array.of(BigInt(n), BigInt(k)).buffer),
      },
    ];
  },
  file: () => undefined,
  config(tensors, forms) {
    const groups = new Map<string, { readonly form: IntegerForm; readonly targets: string[] }>();
    for (const [name, form] of forms) {
      const key = JSON.stringify(form);
      const group = groups.get(key) ?? { form, targets: [] };
      group.targets.push(name.replace(/\.weight$/, ''));
      groups.set(key, group);
    }
    // Names of all linears, so that the order of groups and the classes of modules do not matter.
    const entries = [...groups.values()].map(({ form, targets }, i) => [
      `group_${i}`,
      schemeOf(form, targets),
    ]);
    const ignore = [...tensors.keys()].filter((name) => name.endsWith('.weight') && !forms.has(name));
    return {
      quantization_config: {
        quant_method: 'compressed-tensors',
        format: groups.size === 1 ? formatOf([...groups.values()][0]?.form) : 'mixed-precision',
        quantization_status: 'compressed',
        config_groups: Object.fromEntries(entries),
        ignore: ignore.map((name) => name.replace(/\.weight$/, '')),
      },
    };
  },
};

export const LAYOUTS: Readonly<Record<QuantizedFormat, QuantizedLayout>> = {
  msmodelslim,
  'compressed-tensors': compressedTensors,
};

const scales = (name: string, n: number, groups: number): QuantizedTensor => ({
  name,
  dtype: 'F32',
  shape: [n, groups],
  bytes: (_, bytes) => bytes,
});

const largestGroup = (forms: Forms): number =>
  Math.max(0, ...[...forms.values()].map(({ groupSize }) => groupSize));

const formatOf = (form: IntegerForm | undefined): string =>
  form?.activations === 'int8' ? 'int-quantized' : 'pack-quantized';

function schemeOf(form: IntegerForm, targets: readonly string[]): object {
  const { bits, groupSize, activations } = form;
  const grouped = groupSize > 0 ? { strategy: 'group', group_size: groupSize } : { strategy: 'channel' };
  const tokens = { num_bits: 8, type: 'int', symmetric: true, strategy: 'token', dynamic: true };
  return {
    targets,
    format: formatOf(form),
    weights: { num_bits: bits, type: 'int', symmetric: true, dynamic: false, ...grouped },
    input_activations: activations === 'int8' ? tokens : null,
    output_activations: null,
  };
}

/** Pairs of 4-bit integers, the first in the lower half, as a byte each. */
const inBytes = (pairs: Uint8Array): Uint8Array =>
  Uint8Array.from({ length: pairs.length * 2 }, (_, i) => ((pairs[i >> 1] ?? 0) << (i % 2 ? 24 : 28)) >> 28);

/** Rows of integers, two's complement, as unsigned ones that are 2^(bits - 1) too large; the last word is padded by zeros. */
function inWords(integers: Uint8Array, n: number, rowBytes: number, bits: 4 | 8): Uint8Array {
  const flip = bits === 4 ? 0x88 : 0x80;
  const held = integers.length / n;
  const words = new Uint8Array(n * rowBytes);
  for (let row = 0; row < n; row++) {
    for (let i = 0; i < held; i++) words[row * rowBytes + i] = (integers[row * held + i] as number) ^ flip;
  }
  return words;
}

/** The bytes of a tensor's numbers. */
export const bytesOf = ({ data }: Tensor): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
