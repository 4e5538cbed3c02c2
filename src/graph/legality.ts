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
  const tensors: Known = new Map();
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

/** What is known of each written tensor; nothing, after an operation that could not be checked. */
type Known = Map<string, TensorDesc | undefined>;

/** Problems of one node; its outputs are added to `tensors`. */
function nodeProblems(graph: string, node: FlatNode, tensors: Known): string[] {
  const { type, param } = node;
  const problems = node.in
    .filter((name) => !tensors.has(name))
    .map((name) => `reads "${name}", which nothing before it writes`);
  const keys = Object.hasOwn(OP_KEYS, type) ? OP_KEYS[type] : undefined;
  if (keys === undefined) {
    problems.push(
      EXTENSION_OPS.includes(type) ? `${type} is an extension op` : `ATB has no op ${describeValue(type)}`,
    );
  } else {
    problems.push(...keyProblems(param, keys, EXTENSION_KEYS[type] ?? []));
  }
  const inputs = node.in.flatMap((name, index) => seenAs(name, node.reshape?.[index], tensors, problems));
  // Beyond extension keys, rules and shapes mean something only for params that are well-formed.
  const wellFormed = problems.every((problem) => /extension key/.test(problem));
  const wrongCounts = wellFormed ? countProblems(node) : [];
  problems.push(...wrongCounts, ...(wellFormed ? paramProblems(type, param, inputs) : []));
  const checkable = wellFormed && wrongCounts.length === 0 && inputs.length === node.in.length;
  const outputs = checkable ? inferred(graph, node, inputs, problems) : undefined;
  if (outputs) problems.push(...dtypeProblems(node, inputs, outputs));
  node.out.forEach((name, index) => {
    if (tensors.has(name) && !node.in.includes(name)) problems.push(`writes "${name}", which already exists`);
    else if (!tensors.has(name)) tensors.set(name, outputs?.[index]);
  });
  return problems;
}

/** An input as its operation sees it, if it is known. */
function seenAs(
  name: string,
  shape: readonly number[] | undefined,
  tensors: Known,
  problems: string[],
): TensorDesc[] {
  const desc = tensors.get(name);
  if (desc === undefined) return [];
  if (shape === undefined) return [desc];
  if (product(shape) !== product(desc.shape)) {
    problems.push(`sees "${name}" [${desc.shape}] as [${shape}], which has another number of elements`);
  }
  return [{ ...desc, shape }];
}

function inferred(
  graph: string,
  node: FlatNode,
  inputs: readonly TensorDesc[],
  problems: string[],
): TensorDesc[] | undefined {
  try {
    const param = node.param as AtbOpParams[typeof node.type];
    return inferShapes(node.type, param, inputs, { graph, op: node.type });
  } catch (error) {
    if (!(error instanceof AtbError) || error.code !== 'GRAPH_SHAPE_MISMATCH') throw error;
    problems.push((error.detail as { reason: string }).reason);
    return undefined;
  }
}

/** Rows of the operation's dtype table; ops from aclnn have none, and ATB checks nothing there. */
const rowsOf = ({ type, param }: FlatNode): readonly string[] =>
  DTYPE_ROWS[sectionOf(type, param) ?? ''] ?? [];

function countProblems(node: FlatNode): string[] {
  const [row] = rowsOf(node);
  const [inputs = '', outputs = ''] = row?.split(' > ') ?? [];
  const wrong = (verb: string, expected: string, found: readonly string[]): string[] => {
    const count = expected === '' ? 0 : expected.split(' ').length;
    return row === undefined || count === found.length
      ? []
      : [`${verb} ${count} tensors, found ${found.length}`];
  };
  return [...wrong('reads', inputs, node.in), ...wrong('writes', outputs, node.out)];
}

/** All inputs and outputs must match one row of the operation's table. */
function dtypeProblems(
  node: FlatNode,
  inputs: readonly TensorDesc[],
  outputs: readonly TensorDesc[],
): string[] {
  const rows = rowsOf(node);
  const names = (descs: readonly TensorDesc[]): string =>
    descs.map(({ dtype }) => ATB_DTYPE_NAME[dtype]).join(' ');
  const found = `${names(inputs)} > ${names(outputs)}`;
  if (rows.length === 0 || rows.includes(found)) return [];
  return [`has dtypes ${found}; ${sectionOf(node.type, node.param)} takes ${rows.join(', ')}`];
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
