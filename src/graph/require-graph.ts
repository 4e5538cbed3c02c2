import { ATB_DTYPE_NAME, type DTypeArray } from '../dtype.js';
import { AtbError } from '../errors.js';
import { isObject } from '../is-object.js';
import {
  type ArgumentKind,
  OBJECT,
  refuseArgument,
  requireArgument,
  TEXT,
  TEXTS,
  wholes,
} from '../require-argument.js';
import { distinctGraphs, type GraphSpec, viewChain } from './graph-spec.js';
import { opOf } from './ops/index.js';

/** Graphs that were found well-formed and cannot change any more. */
const KNOWN = new WeakSet<object>();

/** What was built here is well-formed, and frozen. */
export function wellFormed(spec: GraphSpec): GraphSpec {
  KNOWN.add(spec);
  return spec;
}

const GRAPH: ArgumentKind = {
  expected: 'a GraphSpec, as build() of an AtbGraph gives it',
  holds: (value) => isObject(value) && Array.isArray(value.nodes),
};
const OPERATION: ArgumentKind = { ...GRAPH, expected: `a BaseOperation or ${GRAPH.expected}` };
const LIST: ArgumentKind = { expected: 'a list', holds: Array.isArray };
const SHAPE = wholes(0);
export const VIEW_DIMS: ArgumentKind = {
  expected: 'a list of numbers and of dim(…), the axes that a size is made of',
  holds: (value) => Array.isArray(value) && value.every(isViewDim),
};

/** Which numbers make sense, the view's graph says. */
const isViewDim = (size: unknown): boolean =>
  typeof size === 'number' || (isObject(size) && Array.isArray(size.axes));

/**
 * Graphs that come out of a file or from JavaScript have the form of one, throughout. What their names and operations
 * mean is looked at elsewhere. @throws ARGUMENT_INVALID with the place; GRAPH_VIEW_INVALID for a view of itself
 */
export function requireGraph(call: string, found: unknown, place = 'the graph'): void {
  requireArgument(call, place, GRAPH, found);
  const spec = found as Readonly<Record<string, unknown>>;
  if (KNOWN.has(spec)) return;
  requireArgument(call, `name of ${place}`, TEXT, spec.name);
  requireArgument(call, `inputs of ${place}`, TEXTS, spec.inputs);
  requireArgument(call, `outputs of ${place}`, TEXTS, spec.outputs);
  requireViews(call, spec.name as string, spec.views, place);
  for (const [index, node] of (spec.nodes as unknown[]).entries())
    requireNode(call, node, `node ${index} of ${place}`);
  if (Object.isFrozen(spec) && Object.isFrozen(spec.nodes)) KNOWN.add(spec);
}

function requireViews(call: string, graph: string, found: unknown, place: string): void {
  requireArgument(call, `views of ${place}`, OBJECT, found);
  const views = found as Readonly<Record<string, { source: string; shape: [] }>>;
  for (const [name, view] of Object.entries(views)) {
    requireArgument(call, `view "${name}" of ${place}`, OBJECT, view);
    requireArgument(call, `source of the view "${name}" of ${place}`, TEXT, view.source);
    requireArgument(call, `shape of the view "${name}" of ${place}`, VIEW_DIMS, view.shape);
  }
  for (const view of Object.keys(views)) {
    const last = viewChain(views, view).at(-1) ?? view;
    if (Object.hasOwn(views, last))
      throw new AtbError('GRAPH_VIEW_INVALID', { graph, view, reason: 'shows itself, through others' });
  }
}

function requireNode(call: string, found: unknown, place: string): void {
  requireArgument(call, place, OBJECT, found);
  const node = found as Readonly<Record<string, unknown>>;
  requireArgument(call, `name of ${place}`, TEXT, node.name);
  requireArgument(call, `inputs of ${place}`, TEXTS, node.inputs);
  requireArgument(call, `outputs of ${place}`, TEXTS, node.outputs);
  requireArgument(call, `op of ${place}`, OBJECT, node.op);
  const op = node.op as Readonly<Record<string, unknown>>;
  if ('graph' in op) requireGraph(call, op.graph, `the graph of ${place}`);
  else requireOperation(call, op, place);
}

/** Nodes have as many inputs and outputs as their operations take. @throws GRAPH_OP_UNKNOWN, GRAPH_ARITY_MISMATCH */
export function requireCounts(spec: GraphSpec): void {
  for (const graph of distinctGraphs(spec))
    for (const { name: op, op: placed, inputs, outputs } of graph.nodes) {
      const counted =
        'graph' in placed
          ? { inputs: placed.graph.inputs.length, outputs: placed.graph.outputs.length }
          : opOf(placed.type).arity(placed.param as never);
      const sides = [
        ['input', counted.inputs, inputs.length],
        ['output', counted.outputs, outputs.length],
      ] as const;
      for (const [side, expected, found] of sides)
        if (expected !== found)
          throw new AtbError('GRAPH_ARITY_MISMATCH', { graph: graph.name, op, side, expected, found });
    }
}

function requireOperation(call: string, op: Readonly<Record<string, unknown>>, place: string): void {
  requireArgument(call, `op type of ${place}`, TEXT, op.type);
  requireArgument(call, `param of ${place}`, OBJECT, op.param);
}

const isDesc = (value: unknown): boolean =>
  isObject(value) && Object.hasOwn(ATB_DTYPE_NAME, String(value.dtype)) && SHAPE.holds(value.shape);

/** A graph where an operation might be. @throws as `requireGraph` */
export function requireOperationOrGraph(call: string, found: unknown): void {
  requireArgument(call, 'the operation', OPERATION, found);
  requireGraph(call, found, 'the graph');
}

/** Descriptions of a graph's inputs by name. @throws ARGUMENT_INVALID */
export function requireDescs(call: string, found: unknown): void {
  if (!(found instanceof Map))
    refuseArgument(call, 'the inputs', 'a Map of names to { dtype, shape }', found);
  for (const [name, desc] of found)
    if (!isDesc(desc))
      refuseArgument(
        call,
        `the input ${String(name)}`,
        `{ dtype, shape } with a dtype of ${Object.keys(ATB_DTYPE_NAME).join(', ')} and sizes`,
        desc,
      );
}

/** A flat graph, as `flatten` and files of `graph --format json` have it. @throws ARGUMENT_INVALID */
export function requireFlatGraph(call: string, found: unknown): void {
  const place = 'the graph';
  requireArgument(
    call,
    place,
    { expected: 'a FlatGraph, as flatten(…).graph is one', holds: isObject },
    found,
  );
  const graph = found as Readonly<Record<string, unknown>>;
  requireArgument(call, `name of ${place}`, TEXT, graph.name);
  requireArgument(call, `inputs of ${place}`, OBJECT, graph.inputs);
  for (const [name, desc] of Object.entries(graph.inputs as object)) {
    const isDescribed = isObject(desc) && typeof desc.dtype === 'string' && SHAPE.holds(desc.shape);
    if (!isDescribed)
      refuseArgument(call, `input "${name}" of ${place}`, '{ dtype, shape } with sizes', desc);
  }
  requireArgument(call, `outputs of ${place}`, TEXTS, graph.outputs);
  requireArgument(call, `nodes of ${place}`, LIST, graph.nodes);
  for (const [index, node] of (graph.nodes as unknown[]).entries()) {
    const of = `node ${index} of ${place}`;
    requireArgument(call, of, OBJECT, node);
    const flat = node as Readonly<Record<string, unknown>>;
    requireOperation(call, flat, of);
    requireArgument(call, `in of ${of}`, TEXTS, flat.in);
    requireArgument(call, `out of ${of}`, TEXTS, flat.out);
    requireShapes(call, flat.reshape ?? {}, `reshape of ${of}`);
  }
}

/** What `nestedExport` gives, as far as it is written down. @throws ARGUMENT_INVALID */
export function requireNestedExport(call: string, found: unknown): void {
  requireArgument(call, 'the export', { expected: 'what nestedExport gives', holds: isObject }, found);
  const { inputs, graphs } = found as Readonly<Record<string, unknown>>;
  requireArgument(call, 'inputs of the export', OBJECT, inputs);
  requireArgument(call, 'graphs of the export', LIST, graphs);
  for (const [index, graph] of (graphs as unknown[]).entries()) {
    const place = `graph ${index} of the export`;
    requireArgument(call, place, OBJECT, graph);
    const { reshapes, nodes } = graph as Readonly<Record<string, unknown>>;
    requireArgument(call, `reshapes of ${place}`, OBJECT, reshapes);
    requireArgument(call, `nodes of ${place}`, LIST, nodes);
  }
}

function requireShapes(call: string, found: unknown, place: string): void {
  requireArgument(call, place, OBJECT, found);
  for (const [index, shape] of Object.entries(found as object))
    requireArgument(call, `${place}, input ${index}`, SHAPE, shape);
}

const ARRAY_OF: { readonly [D in keyof DTypeArray]: new (length: number) => DTypeArray[D] } = {
  f32: Float32Array,
  f16: Uint16Array,
  bf16: Uint16Array,
  i8: Int8Array,
  u8: Uint8Array,
  i32: Int32Array,
  i64: BigInt64Array,
  e4m3: Uint8Array,
  e8m0: Uint8Array,
};

/** Tensors by name, each with the array of its dtype. `what` are they: "the inputs". @throws ARGUMENT_INVALID */
export function requireTensors(call: string, what: string, found: unknown): void {
  requireArgument(call, what, { expected: 'an object of tensors by name', holds: isObject }, found);
  for (const [name, tensor] of Object.entries(found as object)) {
    if (!isDesc(tensor))
      refuseArgument(call, `"${name}" of ${what}`, 'a tensor { dtype, shape, data }', tensor);
    const { dtype, data } = tensor as { dtype: keyof DTypeArray; data: unknown };
    const wanted = ARRAY_OF[dtype];
    if (!(data instanceof wanted))
      refuseArgument(call, `data of "${name}", ${dtype}`, `a ${wanted.name}`, data);
  }
}
