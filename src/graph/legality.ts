import { ATB_DTYPE_NAME, type DType } from '../dtype.js';
import { AtbError, describeValue } from '../errors.js';
import { DTYPE_ROWS } from './atb-rules/dtype-rows.js';
import { ENUM_STRINGS } from './atb-rules/enum-strings.js';
import { type KeyType, type KeyTypes, OP_KEYS } from './atb-rules/op-keys.js';
import { EXTENSION_KEYS, EXTENSION_OPS } from './extensions.js';
import type { FlatGraph, FlatNode } from './flatten.js';
import type { GraphSpec } from './graph-spec.js';
import { inferShapes, type TensorDesc } from './infer-shapes.js';
import { paramProblems, sectionOf } from './legality-rules.js';
import type { AtbOpParams } from './op-params.js';
import { distinctGraphs } from './printers/outline.js';

const DTYPE_OF_NAME: ReadonlyMap<string, DType> = new Map(
  Object.entries(ATB_DTYPE_NAME).map(([dtype, name]) => [name, dtype as DType]),
);

/** What ATB's graph operation can hold, and its names (atb-ops 1.1: SVector, GraphParam). */
const MAX_GRAPH_TENSORS = 256;
const MAX_GRAPH_NODES = 1024;
const MAX_AXES = 8;
const GRAPH_NAME = /^[A-Za-z0-9_]{1,128}$/;

/**
 * Everything in a flat graph that ATB would refuse, or would accept and silently take for something else: unknown ops,
 * keys and enum strings, tensor counts, dtypes, shapes, and the rules that its operations check when made. Empty: legal.
 */
export function legalityProblems(graph: FlatGraph): string[] {
  const problems: string[] = [];
  if (!GRAPH_NAME.test(graph.name))
    problems.push(`the graph's name ${describeValue(graph.name)} must match ${GRAPH_NAME}`);
  const tensors = new Map<string, TensorDesc>();
  for (const [name, { dtype, shape }] of Object.entries(graph.inputs)) {
    const known = DTYPE_OF_NAME.get(dtype);
    if (known === undefined) problems.push(`input "${name}" has the unknown dtype ${describeValue(dtype)}`);
    if (shape.length > MAX_AXES || shape.some((size) => !Number.isSafeInteger(size) || size < 1)) {
      problems.push(
        `input "${name}" has the shape [${shape}]; sizes are positive and axes at most ${MAX_AXES}`,
      );
    }
    tensors.set(name, { dtype: known ?? 'f32', shape });
  }
  graph.nodes.forEach((node, index) => {
    const where = `node ${index} (${node.type} -> ${node.out.join(', ')})`;
    problems.push(...nodeProblems(graph.name, node, tensors).map((problem) => `${where}: ${problem}`));
  });
  for (const output of graph.outputs)
    if (!tensors.has(output)) problems.push(`output "${output}" is never written`);
  return problems;
}

/** Throws GRAPH_ILLEGAL with all problems. */
export function assertLegal(graph: FlatGraph): void {
  const problems = legalityProblems(graph);
  if (problems.length > 0) throw new AtbError('GRAPH_ILLEGAL', { graph: graph.name, problems });
}

/** What in the sub-graphs of `spec`, which ATB runs as single operations, exceeds its limits. */
export function subGraphProblems(spec: GraphSpec): string[] {
  return distinctGraphs(spec)
    .slice(1)
    .flatMap(({ name, inputs, outputs, nodes }) => {
      const inner = new Set(nodes.flatMap((node) => node.outputs));
      for (const tensor of [...inputs, ...outputs]) inner.delete(tensor);
      const counts = { inputs: inputs.length, outputs: outputs.length, 'inner tensors': inner.size };
      return [
        ...(GRAPH_NAME.test(name) ? [] : [`${name}: the name must match ${GRAPH_NAME}`]),
        ...(nodes.length > MAX_GRAPH_NODES
          ? [`${name}: ${nodes.length} nodes, at most ${MAX_GRAPH_NODES}`]
          : []),
        ...Object.entries(counts)
          .filter(([, count]) => count > MAX_GRAPH_TENSORS)
          .map(([what, count]) => `${name}: ${count} ${what}, at most ${MAX_GRAPH_TENSORS}`),
      ];
    });
}

/** Problems of one node; its outputs are added to `tensors`. */
function nodeProblems(graph: string, node: FlatNode, tensors: Map<string, TensorDesc>): string[] {
  const { type, param } = node;
  const keys = Object.hasOwn(OP_KEYS, type) ? OP_KEYS[type] : undefined;
  if (keys === undefined) {
    return [
      EXTENSION_OPS.includes(type) ? `${type} is an extension op` : `ATB has no op ${describeValue(type)}`,
    ];
  }
  const problems = keyProblems(param, keys, EXTENSION_KEYS[type] ?? []);
  const undefinedInputs = node.in.filter((name) => !tensors.has(name));
  problems.push(...undefinedInputs.map((name) => `reads "${name}", which nothing before it writes`));
  if (undefinedInputs.length > 0) return problems;

  const inputs = node.in.map((name, index) => {
    const desc = tensors.get(name) as TensorDesc;
    const shape = node.reshape?.[index];
    if (shape !== undefined && product(shape) !== product(desc.shape)) {
      problems.push(`sees "${name}" [${desc.shape}] as [${shape}], which has another number of elements`);
    }
    return shape === undefined ? desc : { ...desc, shape };
  });
  problems.push(...paramProblems(type, param, inputs));
  const outputs = inferred(graph, node, inputs, problems);
  problems.push(...dtypeProblems(node, inputs, outputs));
  node.out.forEach((name, index) => {
    const made = outputs[index];
    const known = tensors.get(name);
    if (made && known && !node.in.includes(name)) problems.push(`writes "${name}", which already exists`);
    if (made) tensors.set(name, known ?? made);
  });
  return problems;
}

function inferred(
  graph: string,
  node: FlatNode,
  inputs: readonly TensorDesc[],
  problems: string[],
): TensorDesc[] {
  try {
    const param = node.param as AtbOpParams[typeof node.type];
    const outputs = inferShapes(node.type, param, inputs, { graph, op: node.type });
    if (outputs.length !== node.out.length)
      problems.push(`has ${outputs.length} outputs, found ${node.out.length}`);
    return outputs;
  } catch (error) {
    if (!(error instanceof AtbError) || error.code !== 'GRAPH_SHAPE_MISMATCH') throw error;
    problems.push((error.detail as { reason: string }).reason);
    return [];
  }
}

/** All inputs and outputs must match one row of the operation's table; it also says how many there are. */
function dtypeProblems(
  { type, param, in: ins }: FlatNode,
  inputs: readonly TensorDesc[],
  outputs: readonly TensorDesc[],
): string[] {
  const section = sectionOf(type, param);
  const rows = section === undefined ? undefined : DTYPE_ROWS[section];
  // Ops from aclnn have no table; ATB checks nothing there.
  if (rows === undefined) return [];
  const expected = rows[0]?.split(' > ')[0]?.split(' ').length ?? 0;
  if (ins.length !== expected) return [`reads ${expected} tensors, found ${ins.length}`];
  const names = (descs: readonly TensorDesc[]): string =>
    descs.map(({ dtype }) => ATB_DTYPE_NAME[dtype]).join(' ');
  const found = `${names(inputs)} > ${names(outputs)}`;
  return rows.includes(found) ? [] : [`has dtypes ${found}; ${section} takes ${rows.join(', ')}`];
}

function keyProblems(param: object, keys: KeyTypes, extensions: readonly string[], prefix = ''): string[] {
  return Object.entries(param).flatMap(([key, value]) => {
    const type = Object.hasOwn(keys, key) ? keys[key] : undefined;
    const name = `${prefix}${key}`;
    if (type === undefined)
      return [extensions.includes(key) ? `${name} is an extension key` : `has no key ${name}`];
    return valueProblems(name, type, value);
  });
}

function valueProblems(name: string, type: KeyType, value: unknown): string[] {
  const wrong = (expected: string): string[] => [
    `${name} must be ${expected}, found ${describeValue(value)}`,
  ];
  if (typeof type === 'object') {
    return typeof value === 'object' && value !== null
      ? keyProblems(value, type, [], `${name}.`)
      : wrong('an object');
  }
  if (type.startsWith('enum:')) {
    const strings = ENUM_STRINGS[type.slice('enum:'.length)] ?? [];
    return strings.some((string) => string === value) ? [] : wrong(`one of ${strings.join(', ')}`);
  }
  switch (type) {
    case 'bool':
      return typeof value === 'boolean' ? [] : wrong('true or false');
    case 'number':
      return Number.isFinite(value) ? [] : wrong('a number');
    case 'numbers':
      return Array.isArray(value) && value.every(Number.isFinite) ? [] : wrong('a list of numbers');
    default:
      return typeof value === 'string' ? [] : wrong('a string');
  }
}

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);
