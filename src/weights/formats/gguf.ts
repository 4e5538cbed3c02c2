import type { DType } from '../../dtype.js';
import type { WeightPart } from '../../native/binding.js';
import { GgufModel, isGgufPath } from '../gguf/model-file.js';
import { blockTypes, channelsOf, codedTensor } from '../gguf/tensor-parts.js';
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
  [/\bin_proj_(qkv|z)$/, ['in_proj_qkv', 'in_proj_z']],
  [/\b(q_a_proj|kv_a_proj_with_mqa)$/, ['q_a_proj', 'kv_a_proj_with_mqa']],
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
  const decays = await model.decays();
  const typesOf = (linear: string) => blockTypes(model.tensors.get(`${linear}.weight`));
  const ordered = [...model.tensors].filter(([, { columnHeads }]) => columnHeads);
  for (const [name, { dtype }] of ordered)
    if (!typesOf(name.replace(/\.weight$/, '')))
      model.fail(
        `${name} has its columns in another order, in which ${dtype} is not read: take a file in Q8_0 or smaller`,
      );
  const matrices = [...model.tensors.values()].filter(({ shape }) => shape.length > 1);
  return {
    method: `gguf (${[...new Set(matrices.map(({ dtype }) => dtype))].sort().join(', ')})`,
    file: directory,
    stamps: [],
    mayQuantize: ordered.length === 0,
    quantOf({ name }: StoredLinear, role: LinearRole): LinearQuant | undefined {
      if (!typesOf(name) || role === 'gates') return undefined;
      const isFour = (linear: string) => typesOf(linear)?.every((type) => type === FOUR_BITS) ?? false;
      const bits = together(name).every(isFour) ? 4 : 8;
      const channels = channelsOf(model.tensors.get(`${name}.weight`));
      const quant = { desc: bits === 4 ? 'W4A16' : 'W8A16', groupSize: GROUP, rows: rows(bits) } as const;
      return channels ? { ...quant, channels } : quant;
    },
    // Numbers that were read here.
    isSpare: (name) => model.tensors.get(name)?.isDecay ?? false,
    coded(name): CodedTensor | undefined {
      const tensor = model.tensors.get(name);
      return tensor && codedTensor(tensor, decays);
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
