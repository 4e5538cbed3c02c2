import { AtbError } from '../errors.js';
import { OBJECT, optionalArgument, requireArgument, TEXT, TEXTS } from '../require-argument.js';
import {
  GraphInterner,
  type GraphSpec,
  type NodeHint,
  type NodeSpec,
  readNames,
  type ViewDim,
  type ViewSpec,
} from './graph-spec.js';
import { BaseOperation, Operation } from './operation.js';
import { type AtbOpType, opOf } from './ops/index.js';
import { requireOperationOrGraph, VIEW_DIMS, wellFormed } from './require-graph.js';
import { validateGraph } from './validate.js';

export {
  dim,
  type GraphSpec,
  type NodeHint,
  type NodeSpec,
  type ViewDim,
  type ViewSpec,
} from './graph-spec.js';
export { BaseOperation, Operation } from './operation.js';

export interface NodeOptions {
  /** The node's name; that of the operation or graph by default. */
  readonly name?: string;
  readonly hint?: NodeHint;
}

/**
 * Collects named tensors and operations; `build()` checks them and freezes the result. A tensor is written once; the
 * exception is an operation that writes into its own inputs (ReshapeAndCache), which the call shows.
 */
export class AtbGraph extends Operation {
  #inputs: readonly string[] = [];
  #optional: readonly string[] = [];
  #outputs: readonly string[] = [];
  readonly #views: Record<string, ViewSpec> = Object.create(null);
  readonly #nodes: NodeSpec[] = [];
  /** Outputs of operations, and views. */
  readonly #made: string[] = [];
  #built: GraphSpec | undefined;

  /** Names that begin with `scope` lose it, so equal layers make equal specs. */
  constructor(
    opName: string,
    private readonly scope = '',
  ) {
    super(opName);
    requireArgument('new AtbGraph', 'scope', TEXT, scope);
  }

  addInputOutput(io: { readonly input: readonly string[]; readonly output: readonly string[] }): void {
    const call = 'AtbGraph.addInputOutput';
    requireArgument(call, '{ input, output }', OBJECT, io);
    requireArgument(call, 'input', TEXTS, io.input);
    requireArgument(call, 'output', TEXTS, io.output);
    this.#change();
    this.#inputs = io.input.map(this.#local);
    this.#outputs = io.output.map(this.#local);
  }

  /**
   * Offers inputs: the built graph has those that some operation, view or output reads, after the inputs of
   * `addInputOutput` and in the order in which they were offered.
   */
  addOptionalInputs(names: readonly string[]): void {
    requireArgument('AtbGraph.addOptionalInputs', 'the names', TEXTS, names);
    this.#change();
    this.#optional = [...new Set([...this.#optional, ...names.map(this.#local)])];
  }

  /**
   * Every tensor defined so far, without the graph's scope: inputs and optional inputs, then the outputs of operations
   * and the views in the order in which they were added.
   */
  names(): string[] {
    return [...new Set([...this.#inputs, ...this.#optional, ...this.#made])];
  }

  /** Places an operation, or a built graph by position. Throws GRAPH_ARITY_MISMATCH. */
  addOperation<T extends AtbOpType>(
    operation: BaseOperation<T> | GraphSpec,
    inputs: readonly string[],
    outputs: readonly string[],
    options: NodeOptions = {},
  ): void {
    const call = 'AtbGraph.addOperation';
    const isOp = operation instanceof BaseOperation;
    if (!isOp) requireOperationOrGraph(call, operation);
    requireArgument(call, 'the inputs', TEXTS, inputs);
    requireArgument(call, 'the outputs', TEXTS, outputs);
    requireArgument(call, 'the options', OBJECT, options);
    optionalArgument(call, 'options.name', TEXT, options.name);
    this.#change();
    const name = options.name ?? (isOp ? operation.opName : operation.name);
    const arity = isOp
      ? opOf(operation.opType).arity(operation.opParam)
      : { inputs: operation.inputs.length, outputs: operation.outputs.length };
    this.#checkArity(name, 'input', arity.inputs, inputs.length);
    this.#checkArity(name, 'output', arity.outputs, outputs.length);
    const op = isOp ? { type: operation.opType, param: operation.opParam } : { graph: operation };
    const hint = options.hint ? { hint: options.hint } : {};
    const made = outputs.map(this.#local);
    this.#nodes.push({ name, op, inputs: inputs.map(this.#local), outputs: made, ...hint });
    this.#made.push(...made);
  }

  /** Names a second shape for `source`'s bytes: `[dim(0), heads, headDim]`. Throws GRAPH_VIEW_INVALID. */
  addReshape(source: string, view: string, shape: readonly ViewDim[]): void {
    const call = 'AtbGraph.addReshape';
    requireArgument(call, 'the source', TEXT, source);
    requireArgument(call, 'the view', TEXT, view);
    requireArgument(call, 'the shape', VIEW_DIMS, shape);
    this.#change();
    const name = this.#local(view);
    if (name in this.#views) this.#failView(name, 'is defined twice');
    for (const size of shape) {
      const numbers = typeof size === 'number' ? [size - 1] : size.axes;
      if (numbers.length === 0 || !numbers.every((n) => Number.isSafeInteger(n) && n >= 0)) {
        this.#failView(
          name,
          `has a dimension that is neither a positive constant nor axes: ${JSON.stringify(size)}`,
        );
      }
    }
    this.#views[name] = { source: this.#local(source), shape };
    this.#made.push(name);
  }

  /**
   * The graph as frozen data; equal sub-graphs are one object. Throws GRAPH_UNDEFINED_TENSOR, GRAPH_TENSOR_REDEFINED,
   * GRAPH_UNUSED_INPUT, GRAPH_DUPLICATE_NODE, GRAPH_NOT_IN_PLACE and GRAPH_VIEW_INVALID.
   */
  build(): GraphSpec {
    const graph = { views: { ...this.#views }, nodes: [...this.#nodes], outputs: this.#outputs };
    const read = readNames(graph);
    const optional = this.#optional.filter((tensor) => read.has(tensor) && !this.#inputs.includes(tensor));
    const spec = { name: this.opName, inputs: [...this.#inputs, ...optional], ...graph };
    validateGraph(spec, this.#optional);
    this.#built = wellFormed(new GraphInterner().intern(spec));
    return this.#built;
  }

  /** The built graph; builds it when needed. */
  override spec(): GraphSpec {
    return this.#built ?? this.build();
  }

  readonly #local = (tensor: string): string =>
    this.scope !== '' && tensor.startsWith(this.scope) ? tensor.slice(this.scope.length) : tensor;

  #change(): void {
    this.#built = undefined;
  }

  #checkArity(op: string, side: 'input' | 'output', expected: number, found: number): void {
    if (expected !== found) {
      throw new AtbError('GRAPH_ARITY_MISMATCH', { graph: this.opName, op, side, expected, found });
    }
  }

  #failView(view: string, reason: string): never {
    throw new AtbError('GRAPH_VIEW_INVALID', { graph: this.opName, view, reason });
  }
}
