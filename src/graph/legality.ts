import { describeValue } from '../describe-value.js';
import { ATB_DTYPE_NAME, type DType } from '../dtype.js';
import { AtbError } from '../errors.js';
import { DTYPE_ROWS } from './atb-rules/dtype-rows.js';
import { OTHER_OPS } from './atb-rules/op-keys.js';
import type { FlatGraph, FlatNode } from './flatten.js';
import { flatCounts, limitProblems } from './graph-limits.js';
import { inferShapes, type TensorDesc } from './infer-shapes.js';
import { type LegalityProblem, type LegalityRule, problemText } from './legality-problem.js';
import { hasMask, maskInputOf, multipliesMask } from './ops/attention.js';
import { type Arity, findOp, type OpDefinition } from './ops/index.js';
import { atbKeysOf, paramProblems } from './ops/param-check.js';
import { requireFlatGraph } from './require-graph.js';

const DTYPE_OF_NAME: ReadonlyMap<string, DType> = new Map(
  Object.entries(ATB_DTYPE_NAME).map(([dtype, name]) => [name, dtype as DType]),
);

/** Axes of a tensor, and names of graphs (ATB: types.h, graph_operation.cpp). */
const MAX_AXES = 8;
const GRAPH_NAME = /^[A-Za-z0-9_]{1,128}$/;

const nameProblems = (name: string): LegalityProblem[] =>
  GRAPH_NAME.test(name)
    ? []
    : [{ rule: 'graph', where: `graph ${describeValue(name)}`, text: `the name must match ${GRAPH_NAME}` }];

/**
 * Everything in a flat graph that ATB would refuse, or would accept and silently take for something else: unknown ops,
 * keys and enum strings, tensor counts, dtypes, shapes, and the rules that its operations check when made. Empty: legal.
 */
export function legalityProblems(graph: FlatGraph): LegalityProblem[] {
  requireFlatGraph('legalityProblems', graph);
  return [...operationProblems(graph), ...limitProblems(graph.name, flatCounts(graph))];
}

/** Whether the engine runs all the same what ATB cannot say. */
export const isExtension = ({ rule }: Pick<LegalityProblem, 'rule'>): boolean =>
  rule.startsWith('extension-');

/** As `legalityProblems`, whatever a graph's numbers of nodes and tensors. */
export function operationProblems(graph: FlatGraph): LegalityProblem[] {
  const problems = nameProblems(graph.name);
  const tensors: Known = new Map();
  for (const [name, { dtype, shape }] of Object.entries(graph.inputs)) {
    const where = `input "${name}"`;
    const known = DTYPE_OF_NAME.get(dtype);
    if (known === undefined) {
      problems.push({ rule: 'input', where, text: `has the unknown dtype ${describeValue(dtype)}` });
    }
    if (shape.length > MAX_AXES || shape.some((size) => !Number.isSafeInteger(size) || size < 1)) {
      const text = `has the shape [${shape}]; sizes are positive and axes at most ${MAX_AXES}`;
      problems.push({ rule: 'input', where, text });
    }
    tensors.set(name, { dtype: known ?? 'f32', shape });
  }
  graph.nodes.forEach((node, index) => {
    const where = `node ${index} (${node.type} -> ${node.out.join(', ')})`;
    for (const [rule, text] of nodeProblems(graph.name, node, tensors)) problems.push({ rule, where, text });
  });
  problems.push(...maskProblems(graph, tensors));
  for (const output of graph.outputs) {
    if (!tensors.has(output))
      problems.push({ rule: 'tensor', where: `output "${output}"`, text: 'is never written' });
  }
  return problems;
}

/** In bf16 some operations multiply their mask and others add it, so one tensor cannot serve both. */
function maskProblems({ nodes }: FlatGraph, tensors: Known): LegalityProblem[] {
  const readers = new Map<string, FlatNode>();
  return nodes.flatMap((node, index) => {
    const at = maskInputOf(node.type, node.param);
    const { maskType } = node.param as { readonly maskType?: string };
    const mask = at !== undefined && hasMask(maskType) ? node.in[at] : undefined;
    if (mask === undefined || tensors.get(mask)?.dtype !== 'bf16') return [];
    const first = readers.get(mask) ?? node;
    readers.set(mask, first);
    if (multipliesMask(first.type, first.param) === multipliesMask(node.type, node.param)) return [];
    const text = `reads the mask "${mask}", which in bf16 means something else to ${first.type}`;
    return [{ rule: 'mask', where: `node ${index} (${node.type} -> ${node.out.join(', ')})`, text }];
  });
}

/** Throws GRAPH_ILLEGAL with all problems. */
export function assertLegal(graph: FlatGraph): void {
  const problems = legalityProblems(graph).map(problemText);
  if (problems.length > 0) throw new AtbError('GRAPH_ILLEGAL', { graph: graph.name, problems });
}

/** What is known of each written tensor; nothing, after an operation that could not be checked. */
type Known = Map<string, TensorDesc | undefined>;

/** A problem of one node. */
type NodeProblem = readonly [rule: LegalityRule, text: string];

/** Problems of one node; its outputs are added to `tensors`. */
function nodeProblems(graph: string, node: FlatNode, tensors: Known): NodeProblem[] {
  const definition = findOp(node.type);
  const problems: NodeProblem[] = node.in
    .filter((name) => !tensors.has(name))
    .map((name) => ['tensor', `reads "${name}", which nothing before it writes`]);
  problems.push(...opProblems(node, definition));
  const inputs = node.in.flatMap((name, index) => seenAs(name, node.reshape?.[index], tensors, problems));
  // Rules and shapes mean something only for params that are well-formed; to the engine, extensions are.
  const isWellFormed = problems.every(([rule]) => rule === 'extension-key' || rule === 'extension-op');
  if (isWellFormed && definition) {
    const wrongCounts = countProblems(node, definition);
    problems.push(...wrongCounts, ...ownProblems(node, definition, inputs));
    const checkable = wrongCounts.length === 0 && inputs.length === node.in.length;
    const outputs = checkable ? inferred(graph, node, inputs, problems) : undefined;
    if (outputs) problems.push(...dtypeProblems(node, definition, inputs, outputs));
    define(node, outputs, tensors, problems);
  } else {
    define(node, undefined, tensors, problems);
  }
  return problems;
}

function define(
  node: FlatNode,
  outputs: readonly TensorDesc[] | undefined,
  tensors: Known,
  problems: NodeProblem[],
): void {
  node.out.forEach((name, index) => {
    if (!tensors.has(name)) tensors.set(name, outputs?.[index]);
    else if (!node.in.includes(name)) problems.push(['tensor', `writes "${name}", which already exists`]);
  });
}

/** Whether ATB has the op, its keys and their values. */
function opProblems({ type, param }: FlatNode, definition: OpDefinition | undefined): NodeProblem[] {
  if (definition === undefined) {
    const isKnown = OTHER_OPS.includes(type);
    return [
      ['op', isKnown ? `no rules are known for ATB's op ${type}` : `ATB has no op ${describeValue(type)}`],
    ];
  }
  const isExtension = atbKeysOf(type) === undefined;
  const extensions = Object.keys(param).filter((key) => key in (definition.keys ?? {}));
  return [
    ...(isExtension
      ? [['extension-op', `${type} is an extension op`] as const]
      : extensions.map((key): NodeProblem => ['extension-key', `${key} is an extension key`])),
    ...paramProblems(definition, param).map(
      (problem): NodeProblem =>
        problem.kind === 'unknown-key'
          ? ['key', `has no key ${problem.key}`]
          : ['value', `${problem.key} must be ${problem.expected}, found ${problem.found}`],
    ),
  ];
}

const ownProblems = (
  { param }: FlatNode,
  { atb }: OpDefinition,
  inputs: readonly TensorDesc[],
): NodeProblem[] => [
  ...(atb?.problems?.(param, inputs) ?? []).map((text): NodeProblem => ['param', text]),
  ...(atb?.extensions?.(param, inputs) ?? []).map((text): NodeProblem => ['extension-shape', text]),
];

/** An input as its operation sees it, if it is known. */
function seenAs(
  name: string,
  shape: readonly number[] | undefined,
  tensors: Known,
  problems: NodeProblem[],
): TensorDesc[] {
  const desc = tensors.get(name);
  if (desc === undefined) return [];
  if (shape === undefined) return [desc];
  if (product(shape) !== product(desc.shape)) {
    const text = `sees "${name}" [${desc.shape}] as [${shape}], which has another number of elements`;
    problems.push(['view', text]);
  }
  return [{ ...desc, shape }];
}

function inferred(
  graph: string,
  { type, param }: FlatNode,
  inputs: readonly TensorDesc[],
  problems: NodeProblem[],
): TensorDesc[] | undefined {
  try {
    return inferShapes(type, param, inputs, { graph, op: type });
  } catch (error) {
    if (!(error instanceof AtbError) || error.code !== 'GRAPH_SHAPE_MISMATCH') throw error;
    problems.push(['shape', (error as AtbError<'GRAPH_SHAPE_MISMATCH'>).detail.reason]);
    return undefined;
  }
}

const sectionOf = ({ type, param }: FlatNode, { atb }: OpDefinition): string =>
  atb?.section?.(param) ?? `${type}Operation`;

/** Rows of the operation's dtype table; ops from aclnn have none, and ATB checks nothing there. */
const rowsOf = (node: FlatNode, definition: OpDefinition): readonly string[] =>
  DTYPE_ROWS[sectionOf(node, definition)] ?? [];

function countProblems(node: FlatNode, definition: OpDefinition): NodeProblem[] {
  const { inputs, outputs } = arityOf(node, definition);
  const wrong = (verb: string, count: number, found: readonly string[]): NodeProblem[] =>
    count === found.length ? [] : [['count', `${verb} ${count} tensors, found ${found.length}`]];
  return [...wrong('reads', inputs, node.in), ...wrong('writes', outputs, node.out)];
}

/** As ATB's table has it. Ops from aclnn have none: there MindIE counts (GetInputNum of its operations), and so do we. */
function arityOf(node: FlatNode, definition: OpDefinition): Arity {
  const [row] = rowsOf(node, definition);
  if (row === undefined) return definition.arity(node.param);
  const [inputs = '', outputs = ''] = row.split(' > ');
  const count = (names: string): number => (names === '' ? 0 : names.split(' ').length);
  return { inputs: count(inputs) + extensionInputs(node, definition), outputs: count(outputs) };
}

/** The last inputs of an operation, which ATB does not have. */
const extensionInputs = ({ param }: FlatNode, { atb }: OpDefinition): number =>
  atb?.extensionInputs?.(param) ?? 0;

/** All inputs and outputs must match one row of the operation's table. */
function dtypeProblems(
  node: FlatNode,
  definition: OpDefinition,
  inputs: readonly TensorDesc[],
  outputs: readonly TensorDesc[],
): NodeProblem[] {
  const rows = rowsOf(node, definition);
  const names = (descs: readonly TensorDesc[]): string =>
    descs.map(({ dtype }) => ATB_DTYPE_NAME[dtype]).join(' ');
  const known = inputs.slice(0, inputs.length - extensionInputs(node, definition));
  const found = `${names(known)} > ${names(outputs)}`;
  if (rows.length === 0 || rows.includes(found)) return [];
  const expected = rows.join(', ');
  return [['dtype', `has dtypes ${found}; ${sectionOf(node, definition)} takes ${expected}`]];
}

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);
