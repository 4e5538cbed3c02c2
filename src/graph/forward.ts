import { container } from '../di.js';
import { type DType, elementCount, type Tensor } from '../dtype.js';
import { AtbError } from '../errors.js';
import { requireArgument, TEXTS } from '../require-argument.js';
import type { GraphExecutor, Tensors } from './graph-executor.js';
import { type GraphSpec, writtenInputs } from './graph-spec.js';
import { oneByOne } from './one-by-one.js';
import { requireTensors } from './require-graph.js';

const GRAPH_EXECUTOR = Symbol.for('atb-models.GraphExecutor');

/** Makes `make` the source of the executor that `forward` uses; it is called once, at the first use. */
export function registerGraphExecutor(make: () => GraphExecutor): void {
  let made: GraphExecutor | undefined;
  container.register<() => GraphExecutor>(GRAPH_EXECUTOR, {
    useValue: () => {
      made ??= make();
      return made;
    },
  });
}

function graphExecutor(graph: string): GraphExecutor {
  if (!container.isRegistered(GRAPH_EXECUTOR)) throw new AtbError('GRAPH_EXECUTOR_MISSING', { graph });
  return container.resolve<() => GraphExecutor>(GRAPH_EXECUTOR)();
}

export interface ForwardOptions {
  /** Inner tensors to hand back besides the outputs. */
  readonly intermediates?: readonly string[];
}

export interface ForwardRequest {
  readonly spec: GraphSpec;
  readonly weights: Tensors;
  readonly inputs: Tensors;
  /** Tensors that receive results; others are made. */
  readonly outputs: Tensors;
  /** Host copies of inputs (sequence lengths). ATB reads both; here they must agree with the input of their name. */
  readonly bind: Tensors;
  readonly intermediates: readonly string[];
  /** False: node by node. */
  readonly executeAsSingle?: boolean;
}

/**
 * Runs a graph once. Inputs that the graph writes in place (caches) are updated in the caller's arrays. Returns outputs
 * and asked-for inner tensors by name. Throws GRAPH_INPUT_MISSING, GRAPH_TENSOR_UNKNOWN, GRAPH_TENSOR_MISMATCH,
 * GRAPH_EXECUTOR_MISSING and NATIVE_*.
 */
export async function runForward(
  request: ForwardRequest,
  executor: () => GraphExecutor = () => graphExecutor(request.spec.name),
): Promise<Record<string, Tensor>> {
  const { spec, weights, inputs, outputs, bind, intermediates, executeAsSingle = true } = request;
  const call = `forward of ${spec.name}`;
  requireTensors(call, 'the inputs', inputs);
  requireTensors(call, 'the outputs', outputs);
  requireTensors(call, 'the tensors to bind', bind);
  requireArgument(call, 'intermediates', TEXTS, intermediates);
  checkNames(spec, 'input', inputs, spec.inputs);
  checkNames(spec, 'output', outputs, spec.outputs);
  checkNames(spec, 'bind', bind, spec.inputs);
  const given: Tensors = { ...inputs, ...weights };
  const missing = spec.inputs.filter((name) => !(name in given));
  if (missing.length > 0) throw new AtbError('GRAPH_INPUT_MISSING', { graph: spec.name, tensors: missing });
  for (const [name, tensor] of Object.entries(given)) checkLength(spec, name, tensor);
  for (const [name, tensor] of Object.entries(bind)) checkLike(spec, name, tensor, given[name]);

  const inPlace = writtenInputs(spec);
  const asked = { ...spec, outputs: [...new Set([...spec.outputs, ...inPlace])] };
  const whole = executor();
  const result = await (executeAsSingle ? whole : oneByOne(whole)).forward(asked, given, intermediates);
  for (const name of inPlace) copyInto(spec, name, result.outputs[name], given[name]);
  const tensors: Record<string, Tensor> = {};
  for (const name of spec.outputs) {
    const made = result.outputs[name];
    const wanted = outputs[name] ?? (inPlace.includes(name) ? given[name] : undefined);
    if (wanted) copyInto(spec, name, made, wanted);
    const tensor = wanted ?? made;
    if (tensor) tensors[name] = tensor;
  }
  return { ...tensors, ...result.intermediates };
}

/** Throws GRAPH_TENSOR_UNKNOWN for a name that the graph does not have. */
export function checkNames(spec: GraphSpec, role: string, tensors: Tensors, known: readonly string[]): void {
  for (const tensor of Object.keys(tensors)) {
    if (!known.includes(tensor))
      throw new AtbError('GRAPH_TENSOR_UNKNOWN', { graph: spec.name, role, tensor, known });
  }
}

const describe = (tensor: { readonly dtype: DType; readonly shape: readonly number[] }): string =>
  `${tensor.dtype}[${tensor.shape}]`;

function checkLength(spec: GraphSpec, tensor: string, value: Tensor): void {
  const expected = elementCount(value.shape);
  if (value.data.length !== expected) {
    throw new AtbError('GRAPH_TENSOR_MISMATCH', {
      graph: spec.name,
      tensor,
      expected: `${expected} elements for ${describe(value)}`,
      found: `${value.data.length}`,
    });
  }
}

function checkLike(spec: GraphSpec, tensor: string, found: Tensor, expected: Tensor | undefined): void {
  if (expected === undefined || describe(found) === describe(expected)) return;
  const detail = { graph: spec.name, tensor, expected: describe(expected), found: describe(found) };
  throw new AtbError('GRAPH_TENSOR_MISMATCH', detail);
}

function copyInto(spec: GraphSpec, name: string, from: Tensor | undefined, to: Tensor | undefined): void {
  if (from === undefined || to === undefined || from.data === to.data) return;
  checkLike(spec, name, to, from);
  // Same dtype, so the same kind of array.
  (to.data as Float32Array).set(from.data as Float32Array);
}
