/**
 * Every failure that we raise on purpose, with the facts that its message needs.
 * Codes are AREA_PROBLEM; a message names the thing, what was expected, what was found, and the choices.
 */
const MESSAGES = {
  // Router and configuration
  ROUTER_UNKNOWN_MODEL: (d: { modelType: string; known: readonly string[]; nearest?: string | undefined }) =>
    `no router for model_type "${d.modelType}"${d.nearest ? `; nearest: ${d.nearest}` : ''}; known: ${d.known.join(', ')}`,
  ROUTER_DUPLICATE_MODEL: (d: { modelType: string }) => `model_type "${d.modelType}" is registered twice`,
  CONFIG_INVALID: (d: { file: string; problems: readonly string[] }) => `${d.file}: ${d.problems.join('; ')}`,
  // Weights
  WEIGHT_NOT_FOUND: (d: {
    name: string;
    expected?: readonly number[] | undefined;
    where?: string | undefined;
    nearest?: string | undefined;
  }) =>
    `weight "${d.name}"${d.expected ? ` of shape [${d.expected}]` : ''} is not in ${d.where ?? 'the checkpoint'}${d.nearest ? `; nearest: ${describeValue(d.nearest)}` : ''}`,
  WEIGHT_SHAPE_MISMATCH: (d: { name: string; expected: readonly number[]; found: readonly number[] }) =>
    `weight "${d.name}" must be [${d.expected}], found [${d.found}]`,
  WEIGHT_DTYPE_UNSUPPORTED: (d: {
    name: string;
    file: string;
    found: string;
    supported: readonly string[];
  }) =>
    `weight "${d.name}" in ${d.file} has dtype ${d.found}, which the engine does not read; it reads ${d.supported.join(', ')}`,
  // Builders
  BUILDER_NOT_FOUND: (d: { category: string; opName: string; refusals: readonly string[] }) =>
    `no ${d.category} builder accepts "${d.opName}": ${d.refusals.join('; ') || 'none is registered'}`,
  BUILDER_AMBIGUOUS: (d: { category: string; opName: string; builders: readonly string[] }) =>
    `"${d.opName}" matches ${d.builders.length} ${d.category} builders: ${d.builders.join(', ')}`,
  // Graphs
  GRAPH_UNDEFINED_TENSOR: (d: { graph: string; op: string; tensor: string }) =>
    `${d.graph}: "${d.op}" reads "${d.tensor}", which nothing before it writes`,
  GRAPH_TENSOR_REDEFINED: (d: { graph: string; op: string; tensor: string }) =>
    `${d.graph}: "${d.op}" writes "${d.tensor}", which already exists`,
  GRAPH_UNUSED_INPUT: (d: { graph: string; tensors: readonly string[] }) =>
    `${d.graph}: declared but never read: ${d.tensors.join(', ')}`,
  GRAPH_ARITY_MISMATCH: (d: {
    graph: string;
    op: string;
    side: 'input' | 'output';
    expected: number;
    found: number;
  }) => `${d.graph}: "${d.op}" takes ${d.expected} ${d.side} tensors, found ${d.found}`,
  GRAPH_DUPLICATE_NODE: (d: { graph: string; node: string }) => `${d.graph}: two nodes are named "${d.node}"`,
  GRAPH_NOT_IN_PLACE: (d: { graph: string; op: string; expected: string; found: string }) =>
    `${d.graph}: "${d.op}" writes in place, so its output must be "${d.expected}", found "${d.found}"`,
  GRAPH_VIEW_INVALID: (d: { graph: string; view: string; reason: string }) =>
    `${d.graph}: view "${d.view}" ${d.reason}`,
  GRAPH_SHAPE_MISMATCH: (d: { graph: string; op: string; reason: string }) =>
    `${d.graph}: "${d.op}": ${d.reason}`,
  GRAPH_INPUT_MISSING: (d: { graph: string; tensors: readonly string[] }) =>
    `${d.graph}: no tensor was given for: ${d.tensors.join(', ')}`,
  GRAPH_TENSOR_UNKNOWN: (d: { graph: string; role: string; tensor: string; known: readonly string[] }) =>
    `${d.graph} has no ${d.role} "${d.tensor}"; it has: ${d.known.join(', ')}`,
  GRAPH_TENSOR_MISMATCH: (d: { graph: string; tensor: string; expected: string; found: string }) =>
    `${d.graph}: tensor "${d.tensor}" must be ${d.expected}, found ${d.found}`,
  GRAPH_EXECUTOR_MISSING: (d: { graph: string }) =>
    `nothing can run ${d.graph}: import "atb-models", which registers the native engine`,
  GRAPH_PASS_UNKNOWN: (d: { pass: string; known: readonly string[] }) =>
    `no graph pass "${d.pass}"; known: all, none, ${d.known.join(', ')}`,
  GRAPH_ILLEGAL: (d: { graph: string; problems: readonly string[] }) =>
    `${d.graph} is not legal in ATB: ${d.problems.join('; ')}`,
  // Native engine: `reason` is the engine's own text, which names the operation and the tensors.
  NATIVE_MISSING: (d: { looked: readonly string[]; reason?: string | undefined }) =>
    `the native addon ${d.reason ? `cannot be loaded (${d.reason})` : 'is not built'}; run \`npm run build:native\`. Looked in:\n  ${d.looked.join('\n  ')}`,
  NATIVE_ERROR: (d: { nativeCode: string; reason: string }) => `${d.nativeCode}: ${d.reason}`,
  ENGINE_DISPOSED: (d: { object: string }) => `${d.object} was disposed`,
  // Requests and options
  REQUEST_INVALID: (d: { field: string; expected: string; found: unknown }) =>
    `${d.field} must be ${d.expected}, found ${describeValue(d.found)}`,
  OPTION_UNSUPPORTED: (d: { option: string; found: unknown; reason: string }) =>
    `${d.option}=${describeValue(d.found)} is not supported: ${d.reason}`,
} as const;

/** A short, safe rendering of any value for a message. */
export function describeValue(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : (JSON.stringify(value) ?? String(value));
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}

export type ErrorCode = keyof typeof MESSAGES;
export type ErrorDetail<C extends ErrorCode> = Parameters<(typeof MESSAGES)[C]>[0];

/** Branch on `code`; read the facts from `detail`; never parse `message`. */
export class AtbError<C extends ErrorCode = ErrorCode> extends Error {
  override readonly name = 'AtbError';
  constructor(
    readonly code: C,
    readonly detail: ErrorDetail<C>,
    options?: ErrorOptions,
  ) {
    super(`${code}: ${(MESSAGES[code] as (d: ErrorDetail<C>) => string)(detail)}`, options);
  }
}
