import { isAbsolute, relative } from 'node:path';
import { ATB_DTYPE_NAME, type FloatDType } from '../dtype.js';
import { AtbError } from '../errors.js';
import type { GraphSpec } from '../graph/atb-graph.js';
import { type GraphKind, hasOneQuery } from '../graph/graph-kind.js';
import type { WeightPart } from '../native/binding.js';
import type { OpenModel } from '../runner/open-model.js';
import { weightStorage } from '../runner/weight-storage.js';
import type { InputRecipe, StepInput } from '../step-inputs/index.js';
import { BLOCKED } from '../step-inputs/mask-values.js';
import { type TensorRef, weightDesc } from '../weights/weights.js';

/** Rows of a weight: from a file, or all of one value. Changes come in this order: transpose, row order, unit rows, times, plus. */
export type ManifestPart =
  | {
      /** Within the checkpoint's directory. */
      readonly file: string;
      /** Bytes from the beginning of the file. */
      readonly offset: number;
      readonly dtype: string;
      /** As it lies in the file. */
      readonly shape: readonly number[];
      readonly transposed?: true;
      /** Row i is row row_order[i] of the tensor, or of its transpose. */
      readonly row_order?: readonly number[];
      /** In f32, rounded once afterwards: each row is divided by its length. */
      readonly unit_rows?: true;
      readonly times?: number;
      readonly plus?: number;
    }
  | { readonly value: number; readonly dtype: string; readonly shape: readonly number[] };

/** One input of graphs that comes from the checkpoint: its parts lie one below the other, in the order of packing. */
export interface ManifestWeight {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly parts: readonly ManifestPart[];
  /** The parts are integers, and the weight is floats: each row times its number of this other weight, in f32. */
  readonly row_scales?: string;
}

export interface ManifestInput {
  readonly dtype: string;
  /** Sizes that are not the model's are named: tokens, sequences, context, blocks, positions, inserted, 1 + inserted. */
  readonly shape: readonly (number | string)[];
  /** Absent where no recipe says it: whoever runs the graph has to know. */
  readonly recipe?: InputRecipe;
}

/** All that a program needs beside the graphs and the checkpoint. Names are those of the graphs' inputs. */
export interface Manifest {
  readonly version: 1;
  readonly model: {
    readonly name: string;
    readonly model_type: string;
    readonly dtype: FloatDType;
    readonly vocab_size: number;
    readonly max_position_embeddings: number;
    readonly checkpoint: string;
  };
  readonly block_size: number;
  /** Graph files, by kind. */
  readonly graphs: Readonly<Record<string, string>>;
  readonly weights: Readonly<Record<string, ManifestWeight>>;
  /** [num_blocks, block_size, heads, size], zeros at first. */
  readonly caches: readonly {
    readonly key: string;
    readonly value?: string;
    readonly dtype: string;
    readonly heads: number;
    readonly key_size: number;
    readonly value_size: number;
  }[];
  /** By kind of graph: what its steps bring. */
  readonly step_inputs: Readonly<Record<string, Readonly<Record<string, ManifestInput>>>>;
  /** What a mask holds where a query must not look, by the operation that reads it; elsewhere it is 0. */
  readonly mask_values: Readonly<Record<string, number>>;
}

export interface ManifestOptions {
  readonly blockSize: number;
  readonly graphs: ReadonlyMap<GraphKind, GraphSpec>;
  readonly graphFiles: ReadonlyMap<GraphKind, string>;
}

export function manifestOf(open: OpenModel, { blockSize, graphs, graphFiles }: ManifestOptions): Manifest {
  const { model, config, dtype, checkpoint } = open;
  const read = new Set([...graphs.values()].flatMap(({ inputs }) => inputs));
  const weights = model.getWeights().filter(({ name }) => read.has(name));
  // An embedding that is tied to a head of integers is read out of it.
  const { standIns } = weightStorage(model.getWeights());
  const inputsOf = ([kind, spec]: [GraphKind, GraphSpec]): [string, Record<string, ManifestInput>] => [
    kind.name,
    stepInputs(model.stepInputs, kind, spec, dtype),
  ];
  return {
    version: 1,
    model: {
      name: model.name,
      model_type: config.modelType,
      dtype,
      vocab_size: config.vocabSize,
      max_position_embeddings: config.maxPositionEmbeddings,
      checkpoint: checkpoint.directory,
    },
    block_size: blockSize,
    graphs: Object.fromEntries([...graphFiles].map(([kind, file]) => [kind.name, file])),
    weights: Object.fromEntries(
      weights.map((weight) => {
        const scales = standIns.get(weight.name)?.scaleName;
        const described = manifestWeight(weight, dtype, checkpoint.directory);
        return [weight.name, { ...described, ...(scales !== undefined && { row_scales: scales }) }];
      }),
    ),
    caches: model.caches().map(({ key, value, heads, keySize, valueSize }) => ({
      key,
      ...(value !== undefined && { value }),
      dtype: ATB_DTYPE_NAME[dtype],
      heads,
      key_size: keySize,
      value_size: valueSize,
    })),
    step_inputs: Object.fromEntries([...graphs].map(inputsOf)),
    mask_values: Object.fromEntries(
      Object.entries(BLOCKED).map(([reader, values]) => [reader, values[dtype]]),
    ),
  };
}

/** @throws WEIGHT_QUANT_EXPORT for what the exported programs do not unpack */
function manifestWeight(weight: TensorRef, run: FloatDType, directory: string): ManifestWeight {
  refusePacked(weight);
  const { dtype, shape } = weightDesc(weight, run);
  // Offsets of symmetric integers are in no file.
  const isOffset = weight.quantized?.role === 'offset';
  const parts = isOffset ? [{ value: 0, dtype: 'f32', shape } as const] : weight.parts;
  return {
    dtype: ATB_DTYPE_NAME[dtype],
    shape,
    parts: parts.map((part) => manifestPart(part, directory)),
  };
}

/** The programs read integers as MindIE has them; words, codes, zero points and orders of channels they know nothing of. */
function refusePacked({ name, quantized, values, parts }: TensorRef): void {
  const isShifted = quantized?.role === 'offset' && !quantized.isZero;
  const isPacked = parts.some(
    (part) => part.file !== undefined && (part.words ?? part.codes ?? part.doubles ?? part.blocks),
  );
  if (values || isShifted || isPacked) throw new AtbError('WEIGHT_QUANT_EXPORT', { name });
}

function manifestPart(part: WeightPart, directory: string): ManifestPart {
  const { dtype: stored, shape } = part;
  const dtype = ATB_DTYPE_NAME[stored];
  if (part.file === undefined) return { value: part.value, dtype, shape };
  const { file, offset, transposed, rowOrder, unitRows, times, plus } = part;
  const inside = relative(directory, file);
  return {
    // A checkpoint in the Hugging Face cache consists of links to files elsewhere, and a GGUF file is no folder.
    file: inside === '' || inside.startsWith('..') || isAbsolute(inside) ? file : inside,
    offset,
    dtype,
    shape,
    ...(transposed && { transposed }),
    ...(rowOrder && { row_order: [...rowOrder] }),
    ...(unitRows && { unit_rows: true }),
    ...(times !== undefined && { times }),
    ...(plus !== undefined && { plus }),
  };
}

/** Sizes that no model has: where a description holds one, it stands for the size of a step. */
const NAMED_SIZES = {
  tokens: 1_000_003,
  sequences: 1_000_033,
  context: 1_000_037,
  blocks: 1_000_039,
  inserted: 1_000_099,
} as const;
const POSITIONS = 1_000_081;

function stepInputs(
  inputs: readonly StepInput[],
  kind: GraphKind,
  spec: GraphSpec,
  dtype: FloatDType,
): Record<string, ManifestInput> {
  const { tokens, sequences, context, blocks, inserted } = NAMED_SIZES;
  const sizes = {
    kind,
    dtype,
    batch: sequences,
    rows: hasOneQuery(kind) ? sequences : tokens,
    insertedRows: inserted,
    headRows: sequences,
    contextLen: context,
    blocks,
    maxPositionEmbeddings: POSITIONS,
  };
  const nameOf = new Map<number, string>([
    ...Object.entries(NAMED_SIZES).map(([name, size]): [number, string] => [size, name]),
    [POSITIONS, 'positions'],
    [1 + inserted, '1 + inserted'],
  ]);
  const made: Record<string, ManifestInput> = {};
  for (const input of inputs) {
    const recipes = input.recipes?.(kind) ?? {};
    for (const [name, desc] of Object.entries(input.describe(sizes))) {
      if (!spec.inputs.includes(name)) continue;
      const shape = desc.shape.map((size) => nameOf.get(size) ?? size);
      const recipe = recipes[name];
      made[name] = { dtype: ATB_DTYPE_NAME[desc.dtype], shape, ...(recipe && { recipe }) };
    }
  }
  return made;
}
