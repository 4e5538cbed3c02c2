import { CommonOpBuilderManager, type StateTensors } from '../../common-op-builders/index.js';
import { type AtbGraph } from '../../graph/atb-graph.js';
import { STATE_FROM, STATE_TO } from '../../step-inputs/index.js';
import { constantWeight, flattened, inF32, rowsOf, transposed } from '../../weights/weight-changes.js';
import { concatRows, type TensorRef, type Weights } from '../../weights/weights.js';
import { layerState, type StateRef } from '../cache-ref.js';
import { allBeside } from '../formulas/split.js';
import { addColumns } from '../linear/gate.js';
import { Module } from '../module.js';

/** A state by its name in a layer's graph, with what says how a step goes through it. */
export const stateTensors = ({ name }: StateRef): StateTensors => ({
  state: name,
  from: STATE_FROM,
  to: STATE_TO,
  qLen: 'q_len',
});

/** What a short convolution is told. */
export interface CausalConvOptions {
  readonly channels: number;
  /** Tokens that it sees, its own included. */
  readonly taps: number;
  /** How far these tokens lie apart; 1 when absent. */
  readonly distance?: number;
  readonly hasBias: boolean;
  /** Whether silu follows. */
  readonly activates: boolean;
  /** In graphs, where a layer has several: `conv` when absent. */
  readonly name?: string;
}

/**
 * A convolution of each channel with itself over a sequence's last tokens. Its state is what it saw of the tokens before.
 * The checkpoint's weight is that of a Conv1d with a group for each channel, [channels, 1, taps].
 */
export class CausalConv extends Module {
  private readonly weight: TensorRef;
  private readonly bias: TensorRef | undefined;
  private readonly state: StateRef;
  private readonly activates: boolean;
  private readonly name: string;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(layerId: number, weights: Weights, options: CausalConvOptions) {
    super();
    const { channels, taps, distance = 1, hasBias, activates, name = 'conv' } = options;
    this.name = name;
    const weight = inF32(transposed(flattened(weights.get('weight', [channels, 1, taps]))));
    this.weight = apart(weight, distance);
    this.bias = hasBias ? inF32(weights.get('bias', [channels])) : undefined;
    this.state = layerState(layerId, `${name}_state`, (taps - 1) * distance * channels);
    this.activates = activates;
  }

  override getWeights(): TensorRef[] {
    return this.bias ? [this.weight, this.bias] : [this.weight];
  }

  override states(): StateRef[] {
    return [this.state];
  }

  /** The first channels of `input` [tokens, at least channels] -> `<name>_out` [tokens, channels]. */
  buildGraph(graph: AtbGraph, input: string): string {
    const { weight, bias, activates, name } = this;
    CommonOpBuilderManager.getBuilder({
      category: 'CAUSAL_CONV',
      opName: name,
      hasBias: bias !== undefined,
      activates,
    }).build(graph, {
      input,
      weight: weight.name,
      ...(bias && { bias: bias.name }),
      state: stateTensors(this.state),
      convOut: `${name}_out`,
    });
    return `${name}_out`;
  }
}

/** Rows of taps with rows of zeros between them, where a convolution passes tokens over. */
function apart(weight: TensorRef, distance: number): TensorRef {
  const [taps = 1, channels = 1] = weight.shape;
  if (distance === 1) return weight;
  const between = constantWeight(weight.name, [distance - 1, channels], 0);
  const rows = Array.from({ length: taps }, (_, tap) => rowsOf(weight, tap, 1));
  const [first, ...others] = rows as [TensorRef, ...TensorRef[]];
  return inF32(concatRows(weight.name, [first, ...others.flatMap((row) => [between, row])]));
}

/** A convolution of some channels, by the checkpoint's name. */
export interface ConvPart {
  readonly name: string;
  readonly channels: number;
}

/** Convolutions of neighbouring channels, where the checkpoint has a tensor for each. */
export class SplitConv extends Module {
  private readonly convs: readonly CausalConv[];

  /** Throws what `CausalConv` throws. */
  constructor(
    layerId: number,
    weights: Weights,
    private readonly parts: readonly ConvPart[],
    options: Omit<CausalConvOptions, 'channels' | 'name'>,
  ) {
    super();
    this.convs = parts.map((part) => new CausalConv(layerId, weights.at(part.name), { ...options, ...part }));
  }

  /** The first channels of `input` [tokens, at least channels] -> `conv_out` [tokens, channels]. */
  buildGraph(graph: AtbGraph, input: string): string {
    let from = 0;
    const convolved = this.convs.map((conv, at) => {
      const { name = '', channels = 0 } = this.parts[at] ?? {};
      const own = addColumns(graph, input, from, channels, `${name}_in`);
      from += channels;
      return conv.buildGraph(graph, own);
    });
    return allBeside(graph, convolved, 'conv_out');
  }
}
