import type { Tensor } from '../dtype.js';
import { requireArgument, TEXT } from '../require-argument.js';
import { checkNames, type ForwardOptions, runForward } from './forward.js';
import type { Tensors } from './graph-executor.js';
import type { GraphSpec } from './graph-spec.js';
import { type AtbOpParams, type AtbOpType, inPlaceOutputs, opOf } from './ops/index.js';
import { checkParam } from './ops/param-check.js';
import { requireTensors } from './require-graph.js';

/** Something that runs: one operation, or a graph of them. */
export abstract class Operation {
  #weights: Record<string, Tensor> = {};
  /**
   * MindIE's `execute_as_single`. False: `forward` runs the nodes one by one, slower and with the same results, so that what
   * throws names its node.
   */
  executeAsSingle = true;

  constructor(readonly opName: string) {
    requireArgument(`new ${new.target.name}`, 'opName', TEXT, opName);
  }

  /** This as a graph; validated. */
  abstract spec(): GraphSpec;

  get inputNames(): readonly string[] {
    return this.spec().inputs;
  }

  get outputNames(): readonly string[] {
    return this.spec().outputs;
  }

  /** Binds inputs that stay from call to call; they win over inputs of the same name. Throws GRAPH_TENSOR_UNKNOWN. */
  setWeights(weights: Tensors): void {
    requireTensors(`setWeights of ${this.opName}`, 'the weights', weights);
    checkNames(this.spec(), 'weight', weights, this.spec().inputs);
    this.#weights = { ...this.#weights, ...weights };
  }

  /**
   * Runs once and resolves with the outputs by name, and `options.intermediates` beside them. `outputs` gives
   * destinations for results; `bind` gives host copies of inputs, as MindIE passes sequence lengths.
   */
  forward(
    inputs: Tensors,
    outputs: Tensors = {},
    bind: Tensors = {},
    { intermediates = [] }: ForwardOptions = {},
  ): Promise<Record<string, Tensor>> {
    return runForward({
      spec: this.spec(),
      weights: this.#weights,
      inputs,
      outputs,
      bind,
      intermediates,
      executeAsSingle: this.executeAsSingle,
    });
  }
}

/**
 * One ATB operation. Alone, its tensors are `in0`, `in1`, … and `out0`, …; an output that is written in place also has
 * its input's name, and only under that name can its place be given.
 */
export class BaseOperation<T extends AtbOpType = AtbOpType> extends Operation {
  /** Throws GRAPH_OP_UNKNOWN and, for keys and values that neither ATB nor the engine has, GRAPH_PARAM_INVALID. */
  constructor(
    readonly opType: T,
    readonly opParam: AtbOpParams[T],
    opName: string,
  ) {
    super(opName);
    checkParam(opName, opType, opParam);
  }

  override spec(): GraphSpec {
    const arity = opOf(this.opType).arity(this.opParam);
    const inPlace = inPlaceOutputs({ type: this.opType, param: this.opParam });
    const inputs = Array.from({ length: arity.inputs }, (_, index) => `in${index}`);
    const outputs = Array.from({ length: arity.outputs }, (_, index) =>
      inPlace[index] === undefined ? `out${index}` : `in${inPlace[index]}`,
    );
    const node = { name: this.opName, op: { type: this.opType, param: this.opParam }, inputs, outputs };
    return { name: this.opName, inputs, outputs, views: {}, nodes: [node] };
  }

  override async forward(...args: Parameters<Operation['forward']>): Promise<Record<string, Tensor>> {
    const result = await super.forward(...args);
    const inPlace = inPlaceOutputs({ type: this.opType, param: this.opParam });
    for (const [output, input] of Object.entries(inPlace)) {
      const tensor = result[`in${input}`];
      if (tensor) result[`out${output}`] = tensor;
    }
    return result;
  }
}
