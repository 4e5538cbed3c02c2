import type { DType } from '../../dtype.js';
import type { WeightPart } from '../../native/binding.js';
import { ggufTypeNamed } from '../gguf/block-types.js';
import { GgufModel, isGgufPath } from '../gguf/model-file.js';
import type { LinearQuant, LinearRole, RowReader } from '../quantization.js';
import type { TensorRef } from '../tensor-ref.js';
import { unpaired } from '../weight-changes.js';
import type { CodedTensor, FormatSource, OpenFormat, QuantFormat, StoredLinear } from './format.js';

/** Numbers that share a scale, as integers. */
const GROUP = 32;
/** The type whose integers have 4 bits, exactly. */
const FOUR_BITS = 'Q4_0';
/** Projections that are one product, by what tells them apart: their integers must be of one kind. */
const TOGETHER: ReadonlyArray<readonly [pattern: RegExp, names: readonly string[]]> = [
  [/\b[qkv](?=_proj$)/, ['q', 'k', 'v']],
  [/\b(gate|up)(?=_proj$)/, ['gate', 'up']],
  [/\bw[13]$/, ['w1', 'w3']],
];

/**
 * GGUF, the files of llama.cpp, in which every tensor has a type of its own. Linears of Q4_0 are read as they are; those of
 * other types become integers of 8 bits of which each 32 share a scale, exactly where the type has such (Q8_0, Q5_0,
 * IQ4_NL, IQ4_XS, MXFP4), and to the nearest where its groups have minimums or are smaller (K quants, Q4_1, Q5_1).
 * Everything else becomes floats.
 */
export const gguf: QuantFormat = { methods: ['gguf'], open };

async function open({ config, directory }: FormatSource): Promise<OpenFormat | undefined> {
  if (config?.quant_method !== 'gguf' || !isGgufPath(directory)) return undefined;
  const model = await GgufModel.open(directory);
  const typeOf = (linear: string) => {
    const type = model.tensors.get(`${linear}.weight`)?.dtype;
    return type === undefined ? undefined : ggufTypeNamed(type);
  };
  const matrices = [...model.tensors.values()].filter(({ shape }) => shape.length > 1);
  return {
    method: `gguf (${[...new Set(matrices.map(({ dtype }) => dtype))].sort().join(', ')})`,
    file: directory,
    stamps: [],
    mayQuantize: true,
    quantOf({ name }: StoredLinear, role: LinearRole): LinearQuant | undefined {
      if (!typeOf(name)?.isQuantised || role === 'gates') return undefined;
      const bits = together(name).every((each) => typeOf(each)?.name === FOUR_BITS) ? 4 : 8;
      return { desc: bits === 4 ? 'W4A16' : 'W8A16', groupSize: GROUP, rows: rows(bits) };
    },
    coded(name): CodedTensor | undefined {
      const tensor = model.tensors.get(name);
      if (tensor === undefined) return undefined;
      const { dtype: type, shape, rowOrder, plus } = tensor;
      const changes = { ...(rowOrder && { rowOrder }), ...(plus !== undefined && { plus }) };
      if (ggufTypeNamed(type)?.isQuantised)
        return { dtype: 'f32', shape, blocks: { type, content: 'numbers' }, ...changes };
      const dtype = ({ F32: 'f32', F16: 'f16', BF16: 'bf16' } as const)[type];
      return dtype && Object.keys(changes).length > 0 ? { dtype, shape, ...changes } : undefined;
    },
  };
}

const rows =
  (bits: 4 | 8): RowReader =>
  (weights, { name, outFeatures, inFeatures }) => {
    const stored = weights.get(`${name}.weight`, [outFeatures, inFeatures]);
    const integers = ofBlocks(stored, 'integers');
    return { weight: bits === 4 ? unpaired(integers) : integers, scale: ofBlocks(stored, 'scales') };
  };

/** Of numbers in blocks: the integers that stand for each 32 of them, i8, or the scales of these, f32 [rows, columns / 32]. */
function ofBlocks(ref: TensorRef, content: 'integers' | 'scales'): TensorRef {
  const sizes = (shape: readonly number[]) =>
    content === 'integers' ? shape : shape.with(-1, (shape.at(-1) ?? 0) / GROUP);
  const dtype: DType = content === 'integers' ? 'i8' : 'f32';
  const parts = ref.parts.map(
    (part): WeightPart =>
      part.file !== undefined && part.blocks
        ? { ...part, dtype, shape: sizes(part.shape), blocks: { ...part.blocks, content } }
        : part,
  );
  return { ...ref, dtype, shape: sizes(ref.shape), parts };
}

/** The linears that are packed with one, itself among them. */
function together(linear: string): readonly string[] {
  const [pattern, names] = TOGETHER.find(([known]) => known.test(linear)) ?? [];
  return pattern && names ? names.map((name) => linear.replace(pattern, name)) : [linear];
}
