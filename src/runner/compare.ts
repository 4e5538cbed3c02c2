import { type Tensor, toFloat32 } from '../dtype.js';
import { refuseRequest } from '../errors.js';
import { PREFILL } from '../graph/graph-kind.js';
import { Checkpoint } from '../weights/checkpoint.js';
import { readTensor } from '../weights/read-tensor.js';
import { ModelRunner } from './model-runner.js';
import { type OpenModel, requireOpenModel } from './open-model.js';
import type { RunnerOptions } from './runner-options.js';
import { type TracePoint, tracePoints } from './trace-points.js';

/** One tensor of ours beside the reference's. */
export interface TensorComparison {
  /** The module of the reference that computes it. */
  readonly reference: string;
  /** Its path in our graph. */
  readonly tensor: string;
  readonly shape: readonly number[];
  /** The largest difference of two numbers. */
  readonly maxAbs: number;
  /** Cosine of the angle between all numbers of both. */
  readonly cosine: number;
  /** The first place where they differ by more than the tolerance: an index for each axis. */
  readonly firstBad: readonly number[] | undefined;
  /** The largest difference that counts as none. */
  readonly tolerance: number;
}

export interface CompareOptions extends Omit<RunnerOptions, 'numBlocks' | 'passes'> {
  /** What tools/oracle/reference.py recorded. */
  readonly reference: string;
  /** Differences that count as none, in shares of a tensor's largest number; 2e-4 in f32 and 0.03 in 16 bits when absent. */
  readonly tolerance?: number;
  /** Called with each tensor in the order of execution. Comparing ends after the first that differs. */
  readonly onTensor?: (compared: TensorComparison) => void;
}

const SHARE = { f32: 2e-4, f16: 0.03, bf16: 0.03 } as const;

/**
 * Runs a recorded prompt through the portable graph and compares tensor by tensor, until one differs. Returns the one
 * that does, or undefined when all agree.
 * Throws REQUEST_INVALID for a reference without tokens or with none of the model's modules, WEIGHT_FILE_* when it cannot
 * be read, and what `ModelRunner.load` throws.
 */
export async function compareWithReference(
  open: OpenModel,
  given: CompareOptions,
): Promise<TensorComparison | undefined> {
  requireOpenModel('compareWithReference', open, given);
  const { reference: file, tolerance = SHARE[open.dtype], onTensor, ...options } = given;
  const recorded = await Checkpoint.openFile(file);
  const read = async (name: string): Promise<Tensor | undefined> => {
    const shape = recorded.tensors.get(name)?.shape;
    return shape && readTensor(recorded.weights().get(name, shape));
  };
  const prompt = longestPrompt(recorded);
  const tokens = await read(`${prompt}tokens`);
  if (!tokens) return refuseRequest('--reference', 'a file with `tokens`, as reference.py writes it', file);
  const ids = Int32Array.from(tokens.data as BigInt64Array, Number);
  const points = tracePoints(open.model.buildGraph(PREFILL), open).filter(({ reference }) =>
    recorded.tensors.has(`${prompt}activations/${reference}`),
  );
  if (points.length === 0) {
    const expected = `activations of modules of ${open.router.modelPath}`;
    refuseRequest('--reference', expected, [...recorded.tensors.keys()].slice(0, 3));
  }
  const { blockSize = 128 } = options;
  const numBlocks = Math.ceil(ids.length / blockSize);
  const runner = await ModelRunner.load(open, { ...options, blockSize, numBlocks, passes: 'none' });
  try {
    const names = [...new Set(points.flatMap(({ tensor, scaled = tensor }) => [tensor, scaled]))];
    const { tensors, logits } = await runner.trace(ids, names);
    const pairs = points.map((point) => ({ point, ours: tensors[point.tensor] }));
    pairs.push({ point: { reference: 'logits', tensor: 'model_out' }, ours: logits });
    for (const { point, ours } of pairs) {
      const name = point.reference === 'logits' ? 'logits' : `activations/${point.reference}`;
      const theirs = await read(`${prompt}${name}`);
      if (!ours || !theirs) continue;
      const compared = compareEither(point, tensors, toFloat32(ours), theirs, tolerance);
      onTensor?.(compared);
      if (compared.firstBad) return compared;
    }
    return undefined;
  } finally {
    runner.dispose();
  }
}

/** What stands before the names of the longest prompt: its number where there are several. One token shows little. */
function longestPrompt({ tensors }: Checkpoint): string {
  const lengths = [...tensors].flatMap(([name, { shape }]) =>
    /^(\d+\/)?tokens$/.test(name) ? [{ prompt: name.slice(0, -'tokens'.length), length: shape[0] ?? 0 }] : [],
  );
  return lengths.toSorted((a, b) => b.length - a.length)[0]?.prompt ?? '';
}

/** Compares with what the module looks up, or where that differs with a multiple of it that agrees. */
function compareEither(
  { scaled, ...point }: TracePoint,
  tensors: Readonly<Record<string, Tensor>>,
  ours: Float32Array,
  theirs: Tensor,
  share: number,
): TensorComparison {
  const compared = compareTensors(point, ours, theirs, share);
  const multiple = scaled === undefined ? undefined : tensors[scaled];
  if (!compared.firstBad || !multiple) return compared;
  const other = compareTensors({ ...point, tensor: scaled as string }, toFloat32(multiple), theirs, share);
  return other.firstBad ? compared : other;
}

/** Brings ours into the reference's order, and compares. */
export function compareTensors(
  { reference, tensor, columns, order }: TracePoint,
  ours: Float32Array,
  { shape, data }: Tensor,
  share: number,
): TensorComparison {
  const theirs = data as Float32Array;
  const [tokens = 1] = shape;
  const [width, theirWidth] = [ours.length / tokens, theirs.length / tokens];
  const { from, count } = columns ?? { from: 0, count: width };
  if (from + count > width || (order?.length ?? count) > theirWidth || (!order && count !== theirWidth)) {
    const expected = `${theirWidth} numbers for each token, as "${reference}" has`;
    refuseRequest(tensor, expected, count);
  }
  let [maxAbs, largest, dot, ourNorm, theirNorm, first] = [0, 0, 0, 0, 0, -1];
  for (const number of theirs) largest = Math.max(largest, Math.abs(number));
  const tolerance = share * Math.max(largest, Number.MIN_VALUE);
  for (let token = 0; token < tokens; token++) {
    for (let column = 0; column < count; column++) {
      const at = token * theirWidth + (order?.[column] ?? column);
      const [a, b] = [ours[token * width + from + column] as number, theirs[at] as number];
      const difference = Math.abs(a - b);
      // A difference that is not a number is one.
      if (!(difference <= maxAbs)) maxAbs = difference;
      if (!(difference <= tolerance) && (first < 0 || at < first)) first = at;
      dot += a * b;
      ourNorm += a * a;
      theirNorm += b * b;
    }
  }
  const cosine = dot / (Math.sqrt(ourNorm * theirNorm) || 1);
  const firstBad = first < 0 ? undefined : indexOf(first, shape);
  return { reference, tensor, shape, maxAbs, cosine, firstBad, tolerance };
}

/** An index for each axis of a place in a row-major tensor. */
function indexOf(place: number, shape: readonly number[]): number[] {
  const index: number[] = [];
  let rest = place;
  for (const size of shape.toReversed()) {
    index.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return index;
}
