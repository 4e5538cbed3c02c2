import { ATB_DTYPE_NAME } from '../dtype.js';
import { AtbError } from '../errors.js';
import type { GraphSpec } from './graph-spec.js';
import { inferShapes, type TensorDesc, viewShape } from './infer-shapes.js';
import type { AtbOpType } from './ops/index.js';
import { requireCounts, requireDescs, requireFlatGraph, requireGraph } from './require-graph.js';

/** One operation of a flat graph; `reshape` gives the shape in which it sees an input, by input index. */
export interface FlatNode {
  readonly type: AtbOpType;
  readonly param: object;
  readonly in: readonly string[];
  readonly out: readonly string[];
  readonly reshape?: Readonly<Record<string, readonly number[]>>;
}

/** A graph without sub-graphs and with concrete shapes: the JSON export. dtypes are spelt as in ATB's tables. */
export interface FlatGraph {
  readonly name: string;
  readonly inputs: Readonly<Record<string, { readonly dtype: string; readonly shape: readonly number[] }>>;
  readonly outputs: readonly string[];
  readonly nodes: readonly FlatNode[];
}

/** A flat graph with the description of every tensor, inner ones included. */
export interface FlatResult {
  readonly graph: FlatGraph;
  readonly tensors: ReadonlyMap<string, TensorDesc>;
}

/** A tensor of the flat graph, seen in some shape. */
interface Value {
  readonly tensor: string;
  readonly desc: TensorDesc;
}

/**
 * Inlines sub-graphs, gives every tensor a unique name ("layer_3.attn_out") and works out all shapes from those of the
 * inputs. Throws GRAPH_INPUT_MISSING, GRAPH_SHAPE_MISMATCH, GRAPH_VIEW_INVALID, ARGUMENT_INVALID.
 */
export function flatten(spec: GraphSpec, inputs: ReadonlyMap<string, TensorDesc>): FlatResult {
  requireGraph('flatten', spec);
  requireDescs('flatten', inputs);
  requireCounts(spec);
  const missing = spec.inputs.filter((name) => !inputs.has(name));
  if (missing.length > 0) throw new AtbError('GRAPH_INPUT_MISSING', { graph: spec.name, tensors: missing });
  const flattener = new Flattener();
  const given = spec.inputs.map((name) => flattener.define(name, inputs.get(name) as TensorDesc));
  const outputs = flattener.run(spec, given, '', new Map(spec.outputs.map((name) => [name, name])));
  const declared: Record<string, { dtype: string; shape: readonly number[] }> = {};
  for (const { tensor, desc } of given) {
    declared[tensor] = { dtype: ATB_DTYPE_NAME[desc.dtype], shape: desc.shape };
  }
  for (const { tensor, desc } of outputs) {
    if (!sameShape(desc.shape, flattener.tensors.get(tensor)?.shape)) {
      throw new AtbError('GRAPH_VIEW_INVALID', {
        graph: spec.name,
        view: tensor,
        reason: 'is an output of the graph',
      });
    }
  }
  const graph = {
    name: spec.name,
    inputs: declared,
    outputs: outputs.map((o) => o.tensor),
    nodes: flattener.nodes,
  };
  return { graph, tensors: flattener.tensors };
}

class Flattener {
  readonly tensors = new Map<string, TensorDesc>();
  readonly nodes: FlatNode[] = [];

  define(tensor: string, desc: TensorDesc): Value {
    this.tensors.set(tensor, desc);
    return { tensor, desc };
  }

  /** Adds the nodes of `spec`; `names` are the flat names that its outputs must get. Returns the outputs. */
  run(
    spec: GraphSpec,
    inputs: readonly Value[],
    prefix: string,
    names: ReadonlyMap<string, string>,
  ): Value[] {
    const values = new Map<string, Value>();
    spec.inputs.forEach((name, index) => {
      values.set(name, inputs[index] as Value);
    });
    const resolve = (name: string): Value => {
      const known = values.get(name);
      if (known) return known;
      const view = spec.views[name];
      if (!view) throw new AtbError('GRAPH_UNDEFINED_TENSOR', { graph: spec.name, op: 'view', tensor: name });
      const source = resolve(view.source);
      const shape = viewShape(source.desc.shape, view.shape, { graph: spec.name, view: name });
      const value = { tensor: source.tensor, desc: { ...source.desc, shape } };
      values.set(name, value);
      return value;
    };
    const flatName = (name: string): string => names.get(name) ?? prefix + name;
    for (const node of spec.nodes) {
      const args = node.inputs.map(resolve);
      if ('graph' in node.op) {
        const inner = new Map(
          node.op.graph.outputs.map((name, index) => [name, flatName(node.outputs[index] ?? '')]),
        );
        const outs = this.run(node.op.graph, args, `${prefix}${node.name}.`, inner);
        node.outputs.forEach((name, index) => {
          values.set(name, outs[index] as Value);
        });
        continue;
      }
      const { type, param } = node.op;
      const descs = args.map((arg) => arg.desc);
      const place = { graph: spec.name, op: `${prefix}${node.name}` };
      const made = inferShapes(type, param, descs, place);
      const outs = node.outputs.map((name, index) => {
        const inPlace = values.get(name);
        return inPlace ?? this.define(flatName(name), made[index] as TensorDesc);
      });
      node.outputs.forEach((name, index) => {
        values.set(name, outs[index] as Value);
      });
      this.nodes.push({ type, param, ...this.#operands(args, outs) });
    }
    return spec.outputs.map(resolve);
  }

  #operands(args: readonly Value[], outs: readonly Value[]): Pick<FlatNode, 'in' | 'out' | 'reshape'> {
    const reshape: Record<string, readonly number[]> = {};
    args.forEach(({ tensor, desc }, index) => {
      if (!sameShape(desc.shape, this.tensors.get(tensor)?.shape)) reshape[index] = desc.shape;
    });
    return {
      in: args.map((arg) => arg.tensor),
      out: outs.map((out) => out.tensor),
      ...(Object.keys(reshape).length > 0 && { reshape }),
    };
  }
}

function sameShape(a: readonly number[], b: readonly number[] | undefined): boolean {
  return b !== undefined && a.length === b.length && a.every((size, axis) => size === b[axis]);
}

/** JSON with one tensor and one node on each line: small, and readable in a diff. */
export function formatFlatGraph(graph: FlatGraph): string {
  requireFlatGraph('formatFlatGraph', graph);
  const { name, inputs, outputs, nodes } = graph;
  const block = (lines: readonly string[]): string => `\n    ${lines.join(',\n    ')}\n  `;
  const tensors = Object.entries(inputs).map(
    ([tensor, desc]) => `${JSON.stringify(tensor)}: ${JSON.stringify(desc)}`,
  );
  const parts = [
    `"name": ${JSON.stringify(name)}`,
    `"inputs": {${block(tensors)}}`,
    `"outputs": ${JSON.stringify(outputs)}`,
    `"nodes": [${block(nodes.map((node) => JSON.stringify(node)))}]`,
  ];
  return `{\n  ${parts.join(',\n  ')}\n}\n`;
}
