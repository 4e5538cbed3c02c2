import { ATB_DTYPE_NAME } from '../dtype.js';
import { describedGraphs } from './describe-tensors.js';
import { type GraphSpec, type ViewDim, viewChain, viewRoot } from './graph-spec.js';
import type { TensorDesc } from './infer-shapes.js';
import { type AtbOpType, findOp } from './ops/index.js';
import { asOuterGraph } from './outer-graph.js';
import { requireCounts, requireDescs, requireGraph, requireNestedExport } from './require-graph.js';

/** One size of a reshape: a number, or some axes of the reshaped tensor multiplied, times a number. */
export type NestedDim = number | { readonly axes: readonly number[]; readonly times?: number };

/** A second shape for a tensor. ATB asks for it as a function of the tensor's own shape, so it is never a view's view. */
export interface NestedReshape {
  readonly tensor: string;
  readonly shape: readonly NestedDim[];
}

/** An operation, or a graph of the export by its name. */
export type NestedNode = {
  readonly name: string;
  readonly in: readonly string[];
  readonly out: readonly string[];
} & (
  | {
      readonly type: AtbOpType;
      readonly param: object;
      /** Which of `in` ATB reads on the host, too. */
      readonly hostIn?: readonly number[];
    }
  | { readonly graph: string }
);

/** One graph, as `AtbGraph` of MindIE takes it call by call. */
export interface NestedGraph {
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Inputs whose values ATB reads on the host as well: `bind` of `forward`. */
  readonly hostInputs: readonly string[];
  /** False for the outer graph, whose nodes run one by one: it has more tensors than ATB's graphs hold. */
  readonly executeAsSingle: boolean;
  readonly reshapes: Readonly<Record<string, NestedReshape>>;
  readonly nodes: readonly NestedNode[];
}

/** dtype by ATB's name. All tensors are ND: NZ is a layout of weights that a loader may choose. */
export interface NestedTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly format: 'ND';
}

/** A model's graph as its owner on an NPU builds it: each distinct graph once, inner ones first, the outer one last. */
export interface NestedExport {
  readonly name: string;
  /** Inputs of the outer graph, with the sizes of one step. */
  readonly inputs: Readonly<Record<string, NestedTensor>>;
  readonly graphs: readonly NestedGraph[];
}

/** Throws GRAPH_INPUT_MISSING, GRAPH_SHAPE_MISMATCH, GRAPH_VIEW_INVALID where `inputs` do not fit. */
export function nestedExport(given: GraphSpec, inputs: ReadonlyMap<string, TensorDesc>): NestedExport {
  requireGraph('nestedExport', given);
  requireDescs('nestedExport', inputs);
  requireCounts(given);
  const spec = asOuterGraph(given);
  const specs = [...new Set(describedGraphs(spec, inputs).map((graph) => graph.spec))];
  const names = uniqueNames(specs);
  const declared = spec.inputs.map((name): [string, NestedTensor] => {
    const { dtype, shape } = inputs.get(name) as TensorDesc;
    return [name, { dtype: ATB_DTYPE_NAME[dtype], shape, format: 'ND' }];
  });
  const innerFirst = specs.filter((graph) => graph !== spec);
  return {
    name: spec.name,
    inputs: Object.fromEntries(declared),
    graphs: [...innerFirst, spec].map((graph) => nestedGraph(graph, names, graph !== spec)),
  };
}

/** Different graphs may bear one name; then the second is `name_2`. */
function uniqueNames(specs: readonly GraphSpec[]): ReadonlyMap<GraphSpec, string> {
  const counts = new Map<string, number>();
  return new Map(
    specs.map((spec) => {
      const count = (counts.get(spec.name) ?? 0) + 1;
      counts.set(spec.name, count);
      return [spec, count === 1 ? spec.name : `${spec.name}_${count}`];
    }),
  );
}

function nestedGraph(
  spec: GraphSpec,
  names: ReadonlyMap<GraphSpec, string>,
  executeAsSingle: boolean,
): NestedGraph {
  const { inputs, outputs, views } = spec;
  return {
    name: names.get(spec) ?? spec.name,
    inputs,
    outputs,
    hostInputs: hostInputs(spec),
    executeAsSingle,
    reshapes: Object.fromEntries(Object.keys(views).map((view) => [view, reshapeOf(views, view)])),
    nodes: spec.nodes.map(({ name, op, inputs: ins, outputs: outs }) => ({
      name,
      ...('graph' in op
        ? { graph: names.get(op.graph) ?? op.graph.name }
        : { type: op.type, param: op.param, ...hostIn(op) }),
      in: ins,
      out: outs,
    })),
  };
}

/** The inputs that ATB reads on the host, by their places; nothing where it reads none. */
function hostIn({ type, param }: BaseOp): { readonly hostIn?: readonly number[] } {
  const indices = findOp(type)?.atb?.hostInputs?.(param) ?? [];
  return indices.length > 0 ? { hostIn: indices } : {};
}

type BaseOp = { readonly type: AtbOpType; readonly param: object };

/** Inputs of a graph that some operation reads on the host, directly or in a graph within it. */
export function hostInputs(spec: GraphSpec): string[] {
  const read = new Set<string>();
  for (const { op, inputs } of spec.nodes) {
    const indices =
      'graph' in op
        ? hostInputs(op.graph).map((name) => op.graph.inputs.indexOf(name))
        : (findOp(op.type)?.atb?.hostInputs?.(op.param) ?? []);
    for (const index of indices) read.add(viewRoot(spec.views, inputs[index] ?? ''));
  }
  return spec.inputs.filter((name) => read.has(name));
}

interface Size {
  readonly axes: readonly number[];
  readonly times: number;
}

/** A view in the axes of the tensor behind it. */
function reshapeOf(views: GraphSpec['views'], name: string): NestedReshape {
  const tensor = viewRoot(views, name);
  const chain = viewChain(views, name)
    .slice(0, -1)
    .reverse()
    .flatMap((view) => (views[view] ? [views[view].shape] : []));
  let sizes: readonly Size[] | undefined;
  for (const shape of chain) sizes = shape.map((size) => sizeOf(size, sizes));
  const shape = (sizes ?? []).map(({ axes, times }): NestedDim => {
    if (axes.length === 0) return times;
    return times === 1 ? { axes } : { axes, times };
  });
  return { tensor, shape };
}

function sizeOf(size: ViewDim, source: readonly Size[] | undefined): Size {
  if (typeof size === 'number') return { axes: [], times: size };
  if (source === undefined) return { axes: size.axes, times: 1 };
  const merged = size.axes.map((axis) => source[axis] ?? { axes: [], times: 1 });
  return {
    axes: merged.flatMap(({ axes }) => axes),
    times: merged.reduce((product, { times }) => product * times, 1),
  };
}

/** JSON with one tensor, one reshape and one node on each line. */
export function formatNestedExport(exported: NestedExport): string {
  requireNestedExport('formatNestedExport', exported);
  const { name, inputs, graphs } = exported;
  const lines = (items: readonly string[], indent: string): string =>
    items.length === 0 ? '' : `\n${indent}  ${items.join(`,\n${indent}  `)}\n${indent}`;
  const entries = (record: Readonly<Record<string, unknown>>): string[] =>
    Object.entries(record).map(([key, value]) => `${JSON.stringify(key)}: ${JSON.stringify(value)}`);
  const graphText = ({ reshapes, nodes, ...rest }: NestedGraph): string => {
    const parts = [
      ...entries(rest),
      `"reshapes": {${lines(entries(reshapes), '      ')}}`,
      `"nodes": [${lines(
        nodes.map((node) => JSON.stringify(node)),
        '      ',
      )}]`,
    ];
    return `{${lines(parts, '    ')}}`;
  };
  const parts = [
    `"name": ${JSON.stringify(name)}`,
    `"inputs": {${lines(entries(inputs), '  ')}}`,
    `"graphs": [${lines(graphs.map(graphText), '  ')}]`,
  ];
  return `{${lines(parts, '')}}\n`;
}
