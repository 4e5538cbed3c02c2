import { type FloatDType, isFloat, type Tensor, toFloat32 } from '../dtype.js';
import { AtbError } from '../errors.js';
import type { GraphKind } from '../graph/graph-kind.js';
import type { GraphSpec } from '../graph/graph-spec.js';
import { applyPass, applyPasses, type PassSelection } from '../graph/passes/index.js';
import { type StandIn, standInPass } from '../graph/passes/stand-ins.js';
import { matrixLayouts } from '../graph/placed-operations.js';
import type { NativeEngine, WeightLoad } from '../native/index.js';
import type { CausalLM } from '../router/index.js';
import { partShape } from '../weights/part-rows.js';
import { readTensor } from '../weights/read-tensor.js';
import { contentKey } from '../weights/weight-identity.js';
import type { TensorRef } from '../weights/weights.js';
import type { PackedWeights } from './packed-weights.js';

/** Symmetric integers share one offset: a zero, which the engine takes for as many as it needs. */
export const ZERO_OFFSET = 'zero_offset';

/** Which tensors the engine must hold for a model's weights. */
export interface WeightStorage {
  /** Weights that come out of files. */
  readonly refs: readonly TensorRef[];
  /** Those that are in no file, by name. */
  readonly values: ReadonlyMap<string, Tensor>;
  /** Weight by weight, the tensor that stands for it, where that is another. */
  readonly standIns: ReadonlyMap<string, StandIn>;
}

/** A table's numbers, of which the blocks of a file are its head's integers. */
const asNumbers = (ref: TensorRef): TensorRef => ({
  ...ref,
  parts: ref.parts.map((part) => {
    if (part.file === undefined || !part.blocks) return part;
    const { unpaired: _, ...table } = part;
    return { ...table, dtype: 'f32', blocks: { ...part.blocks, content: 'numbers' } };
  }),
  shape: ref.parts.length === 1 && ref.parts[0] ? partShape(ref.parts[0]) : ref.shape,
});

/** Two weights made of the same numbers are one tensor: a tied embedding is its head, where that is integers. */
export function weightStorage(weights: readonly TensorRef[]): WeightStorage {
  const integers = new Map<string | undefined, StandIn>();
  for (const weight of weights) {
    const { name, quantized, parts } = weight;
    if (quantized?.role !== 'weight' || parts.length === 0) continue;
    const { bits, groupSize, scaleName, offsetName, isStored } = quantized;
    // A table of 4 bits loses 2 % where a head alone loses 0.1 (docs/quantisation.md), so that it stays floats beside that.
    if (offsetName !== undefined || (groupSize > 0 && !isStored)) continue;
    integers.set(contentKey(asNumbers(weight)), { name, scaleName, bits, groupSize });
  }
  const refs: TensorRef[] = [];
  const values = new Map<string, Tensor>();
  const standIns = new Map<string, StandIn>();
  for (const weight of weights) {
    const same = weight.quantized ? undefined : integers.get(contentKey(weight));
    if (weight.quantized?.role === 'offset' && weight.quantized.isZero)
      standIns.set(weight.name, { name: ZERO_OFFSET });
    else if (same) standIns.set(weight.name, same);
    else if (weight.values) values.set(weight.name, weight.values);
    else if (weight.parts.length > 0) refs.push(weight);
  }
  return { refs, values, standIns };
}

/** The graph that reads stand-ins, and rows of integers as floats, for a model that runs in `dtype`. */
const withStandIns = (spec: GraphSpec, { standIns }: WeightStorage, dtype: FloatDType): GraphSpec =>
  applyPass(spec, standInPass(standIns, dtype));

/** A model's graphs as the engine runs them, reading the tensors that it holds. */
export function graphsOf(
  model: CausalLM,
  storage: WeightStorage,
  dtype: FloatDType,
  passes: PassSelection = 'all',
): ReadonlyMap<GraphKind, GraphSpec> {
  return new Map(
    model.graphKinds.map((kind) => [
      kind,
      withStandIns(applyPasses(model.buildGraph(kind), passes), storage, dtype),
    ]),
  );
}

/** Every weight with the layout that the graphs want it in. */
export function weightLoads(
  refs: readonly TensorRef[],
  graphs: readonly GraphSpec[],
  dtype: FloatDType,
): WeightLoad[] {
  const layouts = matrixLayouts(graphs);
  return refs.map((ref) => weightLoad(ref, layouts.get(ref.name) ?? 'plain', dtype));
}

/**
 * Reads, converts, quantises and packs weights into the engine, or takes them as `packed` has them. Throws NATIVE_ERROR,
 * what `requireNumbers` throws, WEIGHT_FILE_*.
 */
export async function loadWeights(
  engine: NativeEngine,
  { refs, values }: WeightStorage,
  graphs: readonly GraphSpec[],
  dtype: FloatDType,
  onProgress?: (loadedBytes: number, totalBytes: number) => void,
  packed?: PackedWeights,
): Promise<void> {
  const loads = weightLoads(refs, graphs, dtype);
  if (!(await packed?.read(engine, loads, onProgress))) {
    for (const ref of refs) await requireNumbers(ref);
    await engine.loadWeights(loads, onProgress);
  }
  for (const [name, tensor] of values) engine.setTensor(name, tensor);
  engine.setTensor(ZERO_OFFSET, { dtype: 'f32', shape: [1], data: new Float32Array(1) });
}

function weightLoad(
  { name, dtype, shape, parts, quantized, keptIn }: TensorRef,
  layout: WeightLoad['layout'],
  run: FloatDType,
): WeightLoad {
  if (quantized === undefined) return { name, dtype: keptIn ?? run, shape, parts, layout };
  if (quantized.role !== 'weight') return { name, dtype, shape, parts, layout };
  const { bits, numbers, groupSize, activations, scaleName, offsetName, areMinimums, isStored } = quantized;
  const [part] = parts;
  const columns = isStored && part ? partShape(part).at(-1) : quantized.inFeatures;
  return {
    name,
    dtype,
    shape: shape.with(-1, columns ?? 0),
    parts,
    layout,
    quantize: {
      bits,
      groupSize,
      activations,
      scaleName,
      ...(numbers && { numbers }),
      ...(offsetName !== undefined && { offsetName }),
      ...(areMinimums && { areMinimums }),
    },
  };
}

/**
 * Looks at numbers that files may hold and models may not have. Throws WEIGHT_NUMBERS_INVALID where a table of whole numbers
 * has others, and WEIGHT_QUANT_OFFSET where symmetric integers have offsets, as other tools write them, that are not zero.
 */
export async function requireNumbers(ref: TensorRef): Promise<void> {
  if (ref.numbersEnd !== undefined) await requireBelow(ref, ref.numbersEnd);
  const { name, quantized } = ref;
  if (quantized?.role !== 'weight') return;
  for (const part of quantized.mustBeZero) {
    const { data } = await readTensor({ name, dtype: part.dtype, shape: part.shape, parts: [part] });
    const values: Iterable<number | bigint> = data;
    for (const value of values) {
      // -0 in 16-bit floats has this bit.
      if (Number(value) !== 0 && value !== 0x8000)
        throw new AtbError('WEIGHT_QUANT_OFFSET', { name, file: part.file ?? name });
    }
  }
}

async function requireBelow(ref: TensorRef, end: number): Promise<void> {
  const { name, dtype, shape, parts } = ref;
  if (parts.length === 0) return;
  const tensor = await readTensor(ref);
  const numbers: ArrayLike<number | bigint> = isFloat(dtype) ? toFloat32(tensor) : tensor.data;
  for (let at = 0; at < numbers.length; at++) {
    const found = Number(numbers[at]);
    if (Number.isInteger(found) && found >= 0 && found < end) continue;
    const columns = shape.at(-1) ?? 1;
    const place = [Math.floor(at / columns), at % columns];
    throw new AtbError('WEIGHT_NUMBERS_INVALID', { name, file: parts[0]?.file ?? name, end, found, place });
  }
}
