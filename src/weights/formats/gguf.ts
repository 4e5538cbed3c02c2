import type { DType } from '../../dtype.js';
import type { StoredBlocks, WeightPart } from '../../native/binding.js';
import { ggufTypeNamed } from '../gguf/block-types.js';
import { GgufModel, isGgufPath } from '../gguf/model-file.js';
import { blockTypes, channelsOf, codedTensor } from '../gguf/tensor-parts.js';
import type { LinearQuant, LinearRole, RowReader } from '../quantization.js';
import type { TensorRef } from '../tensor-ref.js';
import { unpaired } from '../weight-changes.js';
import type { CodedTensor, FormatSource, OpenFormat, QuantFormat, StoredLinear } from './format.js';

/** Numbers that share a scale, as integers. */
const GROUP = 32;
/** Projections that are one product, by what tells them apart: their integers must be of one kind. */
const TOGETHER: ReadonlyArray<readonly [pattern: RegExp, names: readonly string[]]> = [
  [/\b[qkv](?=_proj$)/, ['q', 'k', 'v']],
  [/\b(gate|up)(?=_proj$)/, ['gate', 'up']],
  [/\bw[13]$/, ['w1', 'w3']],
  [/\bin_proj_(qkv|z)$/, ['in_proj_qkv', 'in_proj_z']],
  [/\b(q_a_proj|kv_a_proj_with_mqa)$/, ['q_a_proj', 'kv_a_proj_with_mqa']],
];

/**
 * GGUF, the files of llama.cpp, in which every tensor has a type of its own. Linears are integers of which each 32 share a
 * scale and perhaps a minimum: of 4 bits where the type has 4 (Q4_K, Q4_0, Q4_1), else of 8. They are exactly what the type
 * has, but for Q6_K, Q3_K and Q2_K, whose groups are smaller: these become integers of 8 bits to the nearest. Everything else
 * becomes floats.
 */
export const gguf: QuantFormat = { methods: ['gguf'], open };

async function open({ config, directory }: FormatSource): Promise<OpenFormat | undefined> {
  if (config?.quant_method !== 'gguf' || !isGgufPath(directory)) return undefined;
  const model = await GgufModel.open(directory);
  const decays = await model.decays();
  const typesOf = (linear: string) => blockTypes(model.tensors.get(`${linear}.weight`));
  const kindsOf = (linear: string) => typesOf(linear)?.map((type) => ggufTypeNamed(type)?.quantised);
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
      const kinds = kindsOf(name);
      if (!kinds || role === 'gates') return undefined;
      const [{ bits: own = 8, hasMinimum = false } = {}] = kinds;
      const all = together(name).map(kindsOf);
      const areAlike = all.every((one) =>
        one?.every((kind) => kind?.bits === own && kind.hasMinimum === hasMinimum),
      );
      const bits = areAlike ? own : 8;
      const channels = channelsOf(model.tensors.get(`${name}.weight`));
      const reader = rows(
        bits,
        kinds.some((kind) => kind?.hasMinimum),
      );
      const quant = { desc: bits === 4 ? 'W4A16' : 'W8A16', groupSize: GROUP, rows: reader } as const;
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
  (bits: 4 | 8, hasMinimum: boolean): RowReader =>
  (weights, { name, outFeatures, inFeatures }) => {
    const stored = weights.get(`${name}.weight`, [outFeatures, inFeatures]);
    return {
      weight: bits === 4 ? unpaired(ofBlocks(stored, 'int4')) : ofBlocks(stored, 'integers'),
      scale: ofBlocks(stored, 'scales'),
      ...(hasMinimum && { minimum: ofBlocks(stored, 'minimums') }),
    };
  };

/** Of numbers in blocks: the integers that stand for each 32 of them, i8, or what these share, f32 [rows, columns / 32]. */
function ofBlocks(ref: TensorRef, content: Exclude<StoredBlocks['content'], 'numbers'>): TensorRef {
  const areIntegers = content === 'integers' || content === 'int4';
  const sizes = (shape: readonly number[]) =>
    areIntegers ? shape : shape.with(-1, (shape.at(-1) ?? 0) / GROUP);
  const dtype: DType = areIntegers ? 'i8' : 'f32';
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
