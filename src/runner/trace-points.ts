import { DTYPE_BYTES, elementCount } from '../dtype.js';
import type { GraphSpec, NodeSpec } from '../graph/graph-spec.js';
import { viewRoot } from '../graph/graph-spec.js';
import { paramOf } from '../graph/passes/pattern.js';
import type { Checkpoint } from '../weights/checkpoint.js';
import { TensorPlaces } from '../weights/unread-tensors.js';
import type { TensorRef } from '../weights/weights.js';
import type { OpenModel } from './open-model.js';

/** A tensor of a graph that stands for what a module of the checkpoint's own implementation computes. */
export interface TracePoint {
  /** The module's path, with what is meant of it: `model.layers.0.self_attn.o_proj`, or that with `:input` behind it. */
  readonly reference: string;
  /** The tensor's path in the graph: `layer_0/attn_out`. */
  readonly tensor: string;
  /** The same multiplied by a number: some embeddings do that themselves, and some models behind them. */
  readonly scaled?: string;
  /** Which columns of the tensor they are, where it holds several projections side by side. */
  readonly columns?: { readonly from: number; readonly count: number };
  /** Column i of these is column order[i] of the module's result, where rows of its weight were moved at load. */
  readonly order?: Int32Array;
}

/** Rows of a weight that come out of one tensor of the checkpoint. */
interface Source {
  /** The tensor's name without its last part: the path of the module that owns it. */
  readonly module: string;
  /** Row i of these is row order[i] of the tensor. */
  readonly order: Int32Array;
  /** Whether the numbers are multiplied at load, so that the result is a multiple of the module's. */
  readonly isScaled: boolean;
}

/**
 * The points at which a graph can be compared with the model that the checkpoint comes from, in order of execution. Names
 * need no table: an operation that reads `model.layers.0.mlp.down_proj.weight` computes what that module returns, and
 * reads what goes into it.
 */
export function tracePoints(spec: GraphSpec, { model, checkpoint }: OpenModel): TracePoint[] {
  const places = new TensorPlaces(checkpoint.tensors);
  const sources = new Map(
    model.getWeights().map((weight) => [weight.name, sourcesOf(weight, checkpoint, places)]),
  );
  const points: TracePoint[] = [];
  for (const node of spec.nodes) {
    if (!('graph' in node.op)) {
      points.push(...nodePoints(spec, node, '', (name) => sources.get(name)));
      continue;
    }
    const inner = node.op.graph;
    const outer = (name: string) => sources.get(node.inputs[inner.inputs.indexOf(name)] ?? '');
    for (const step of inner.nodes) points.push(...nodePoints(inner, step, `${node.name}/`, outer));
    const module = scopeOf(inner.inputs.flatMap((name) => outer(name)?.map((source) => source.module) ?? []));
    const [out = ''] = node.outputs;
    if (module !== undefined) points.push({ reference: module, tensor: out });
  }
  // A tied head multiplies by the embedding's weight, but is another module.
  const tables = new Set(points.filter(({ columns }) => !columns).map(({ reference }) => reference));
  return points.filter(({ reference, columns }) => !columns || !tables.has(reference));
}

function sourcesOf(
  { name, parts }: TensorRef,
  { tensors }: Checkpoint,
  places: TensorPlaces,
): Source[] | undefined {
  if (!name.endsWith('.weight')) return undefined;
  const sources: Source[] = [];
  for (const part of parts) {
    const owner = part.file === undefined ? undefined : places.at(part.file, part.offset);
    const tensor = owner === undefined ? undefined : tensors.get(owner);
    if (part.file === undefined || owner === undefined || tensor === undefined) return undefined;
    const rows =
      part.rowOrder ?? new Int32Array(part.shape[part.transposed ? 1 : 0] ?? 0).map((_, row) => row);
    // A part may begin below the tensor's first row; of a transposed one, rows lie side by side. The part's own shape
    // counts: of a stack of vectors, each number of a vector is a row.
    const rowBytes = part.transposed
      ? Number.POSITIVE_INFINITY
      : elementCount(part.shape.slice(1)) * DTYPE_BYTES[part.dtype];
    const first = Math.floor((part.offset - tensor.offset) / rowBytes);
    const order = rows.map((row) => first + row);
    const module = owner.slice(0, owner.lastIndexOf('.'));
    const last = sources.at(-1);
    const isScaled = part.times !== undefined;
    if (last?.module !== module) sources.push({ module, order, isScaled });
    else sources[sources.length - 1] = { module, order: Int32Array.of(...last.order, ...order), isScaled };
  }
  return sources;
}

/** What one operation computes and reads, by the weight that it reads. */
function nodePoints(
  spec: GraphSpec,
  { op, inputs, outputs }: NodeSpec,
  prefix: string,
  sourcesOfInput: (name: string) => Source[] | undefined,
): TracePoint[] {
  const sources = inputs.map(sourcesOfInput).find((found) => found !== undefined);
  const [out = ''] = outputs;
  const [x = ''] = inputs;
  if (sources === undefined) return [];
  const points: TracePoint[] = [];
  const input = viewRoot(spec.views, x);
  const [first] = sources;
  // What a graph is given cannot be asked for, and an embedding reads its weight first. A product of elements ends what
  // other operations of the module began.
  const isStart = 'graph' in op || op.type !== 'Elewise';
  if (first && isStart && !spec.inputs.includes(input))
    points.push({ reference: `${first.module}:input`, tensor: `${prefix}${input}` });
  let from = 0;
  for (const { module, order, isScaled } of sources) {
    // An embedding's rows are looked up, not multiplied by.
    const isTable = inputs[0] !== undefined && sourcesOfInput(inputs[0]) !== undefined;
    const columns = { from, count: order.length };
    const scaled = isTable ? scaledOf(spec, out) : undefined;
    const point = {
      reference: module,
      tensor: `${prefix}${out}`,
      ...(isTable ? scaled && { scaled: `${prefix}${scaled}` } : { columns, order }),
    };
    if (!isScaled) points.push(point);
    from += order.length;
  }
  return points;
}

/** What an operation makes of a tensor by multiplying it by a number; undefined where none does. */
function scaledOf({ nodes }: GraphSpec, tensor: string): string | undefined {
  const scales = (node: NodeSpec) =>
    node.inputs[0] === tensor && paramOf(node, 'Elewise')?.elewiseType === 'ELEWISE_MULS';
  return nodes.find(scales)?.outputs[0];
}

/** What all modules of a layer lie below: `model.layers.3`. */
function scopeOf(modules: readonly string[]): string | undefined {
  const [first, ...others] = modules.map((module) => module.split('.'));
  if (first === undefined) return undefined;
  let length = 0;
  while (length < first.length && others.every((other) => other[length] === first[length])) length++;
  return length === 0 ? undefined : first.slice(0, length).join('.');
}
