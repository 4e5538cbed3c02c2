import { type ActivationKind, CommonOpBuilderManager } from '../../common-op-builders/index.js';
import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import type { SwigluClamp } from '../../graph/ops/activation.js';
import { channelsOf, Linear, type LinearOptions } from '../../weights/linear.js';
import type { LinearPart } from '../../weights/linear-part.js';
import { requireStep } from '../../weights/require-weights.js';
import type { Weights } from '../../weights/weights.js';
import { requireMember } from '../complete.js';
import { buildRowParallelLinear } from '../linear/linear-steps.js';
import type { MLPConfig } from '../mlp-config.js';
import { Module } from '../module.js';

export type { MLPConfig };

/** How a family's MLP differs from LLaMA's. */
export interface MLPOptions<Names> {
  /** The checkpoint's names of the projections. */
  readonly names?: Names;
  /** Whether the checkpoint's weights are [in, out], as GPT-2's are; false when absent. */
  readonly transposed?: boolean;
  /** What the result is multiplied by, as scaled residuals are: it becomes a part of the last projection. */
  readonly outputScale?: number;
}

/** How a family's gated MLP differs. */
export interface GatedMLPOptions extends MLPOptions<GatedMLPNames> {
  /** What gates are multiplied by, where they are a tensor of their own: it becomes a part of their projection. */
  readonly gateScale?: number;
  /** How gates and what they gate are clamped, of silu alone; not at all when absent. */
  readonly clamp?: SwigluClamp | undefined;
  /** Of its result; hiddenSize when absent. */
  readonly outSize?: number;
}

/** The checkpoint's names of a gated MLP's projections, or of one that holds gate over up, or up over gate. */
export type GatedMLPNames =
  | { readonly gate: string; readonly up: string; readonly down: string }
  | { readonly gateUp: string; readonly down: string }
  | { readonly upGate: string; readonly down: string };

/** down(act(gate(x)) * up(x)), gate and up being one matrix product (arXiv:2002.05202). */
export class BaseMLP extends Module {
  readonly gateUp: Linear;
  readonly down: Linear;
  protected readonly hiddenAct: ActivationKind;
  private readonly clamp: SwigluClamp | undefined;

  constructor(
    config: MLPConfig,
    weights: Weights,
    {
      names = { gate: 'gate_proj', up: 'up_proj', down: 'down_proj' },
      transposed = false,
      outputScale = 1,
      gateScale = 1,
      clamp,
      outSize,
    }: GatedMLPOptions = {},
  ) {
    super();
    requireStep(`new ${new.target.name}`, config, weights);
    const { hiddenSize, intermediateSize, hiddenAct, mlpBias: hasBias, downBias = hasBias } = config;
    const inFeatures = hiddenSize;
    const outFeatures = intermediateSize;
    this.hiddenAct = hiddenAct;
    this.clamp = clamp;
    // What they give has the order of channels that down reads.
    const order = channelsOf(weights, names.down);
    this.gateUp = Linear.load(weights, {
      ...gateUpParts(names, outFeatures, { transposed, rowOrder: order, gateScale }),
      inFeatures,
      hasBias,
    });
    this.down = Linear.load(weights, {
      parts: [{ name: names.down, outFeatures: outSize ?? hiddenSize, transposed, times: outputScale }],
      inFeatures: intermediateSize,
      hasBias: downBias,
      isInputSorted: true,
    });
  }

  /** `input` [tokens, hidden] -> `mlp_out` [tokens, hidden]. */
  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const gateUp = this.buildGateUpGraph(graph, input);
    return this.buildDownGraph(graph, kind, this.buildActivationGraph(graph, gateUp));
  }

  /** `input` [tokens, hidden] -> `gate_up_out` [tokens, 2 * intermediate]. */
  buildGateUpGraph(graph: AtbGraph, input: string): string {
    CommonOpBuilderManager.getBuilder({
      category: 'GATE_UP',
      opName: 'gate_up',
      linears: [this.gateUp],
    }).build(graph, { input, gateUpOut: 'gate_up_out' });
    return 'gate_up_out';
  }

  /** `gateUp` [tokens, 2 * intermediate] -> `mul_out` [tokens, intermediate]. */
  buildActivationGraph(graph: AtbGraph, gateUp: string): string {
    CommonOpBuilderManager.getBuilder({
      category: 'ACTIVATION',
      opName: 'activation',
      kind: this.hiddenAct,
      isGated: true,
      isPack: true,
      clamp: this.clamp,
    }).build(graph, { input: gateUp, actOut: 'mul_out' });
    return 'mul_out';
  }

  /** `input` [tokens, intermediate] -> `mlp_out` [tokens, hidden]. */
  buildDownGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    return buildRowParallelLinear(graph, kind, 'down', this.down, input, 'mlp_out');
  }
}

type GateOrUp = Pick<LinearPart, 'name' | 'rows'>;

/** Gate over up as parts of one linear, whatever the checkpoint's packing. */
function gateUpParts(
  names: GatedMLPNames,
  outFeatures: number,
  {
    transposed,
    rowOrder,
    gateScale,
  }: Pick<LinearPart, 'transposed' | 'rowOrder'> & { readonly gateScale: number },
): Pick<LinearOptions, 'name' | 'parts'> {
  if ('gateUp' in names) {
    const both =
      rowOrder &&
      Int32Array.from([0, outFeatures].flatMap((from) => Array.from(rowOrder, (row) => from + row)));
    return { parts: [{ name: names.gateUp, outFeatures: 2 * outFeatures, rowOrder: both, transposed }] };
  }
  const [gate, up]: readonly [GateOrUp, GateOrUp] =
    'upGate' in names
      ? [
          { name: names.upGate, rows: { of: 2 * outFeatures, from: outFeatures } },
          { name: names.upGate, rows: { of: 2 * outFeatures, from: 0 } },
        ]
      : [{ name: names.gate }, { name: names.up }];
  return {
    name: 'gate_up_proj',
    parts: [
      { ...gate, outFeatures, rowOrder, transposed, times: gateScale },
      { ...up, outFeatures, rowOrder, transposed },
    ],
  };
}

/** The checkpoint's names of the projections of an MLP without a gate. */
export interface UngatedMLPNames {
  readonly up: string;
  readonly down: string;
}

/** down(act(up(x))), whatever the activation. */
export abstract class BaseUngatedMLP extends Module {
  readonly up: Linear;
  readonly down: Linear;

  constructor(
    config: Omit<MLPConfig, 'hiddenAct'>,
    weights: Weights,
    {
      names = { up: 'up_proj', down: 'down_proj' },
      transposed = false,
      outputScale = 1,
    }: MLPOptions<UngatedMLPNames> = {},
  ) {
    super();
    requireStep(`new ${new.target.name}`, config, weights);
    const { hiddenSize, intermediateSize, mlpBias: hasBias } = config;
    requireMember(this, 'buildActivationGraph', 'function');
    this.up = Linear.load(weights, {
      parts: [{ name: names.up, outFeatures: intermediateSize, transposed }],
      inFeatures: hiddenSize,
      hasBias,
    });
    this.down = Linear.load(weights, {
      parts: [{ name: names.down, outFeatures: hiddenSize, transposed, times: outputScale }],
      inFeatures: intermediateSize,
      hasBias,
    });
  }

  /** `input` [tokens, hidden] -> `mlp_out` [tokens, hidden]. */
  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    CommonOpBuilderManager.getBuilder({ category: 'LINEAR', opName: 'up', linear: this.up }).build(graph, {
      input,
      linearOut: 'up_out',
    });
    const activated = this.buildActivationGraph(graph, 'up_out');
    return buildRowParallelLinear(graph, kind, 'down', this.down, activated, 'mlp_out');
  }

  /** `input` [tokens, intermediate] -> the tensor whose name is returned, of the same shape. */
  protected abstract buildActivationGraph(graph: AtbGraph, input: string): string;
}

/** The same with one of the usual activations. */
export class UngatedMLP extends BaseUngatedMLP {
  private readonly hiddenAct: ActivationKind;

  constructor(config: MLPConfig, weights: Weights, options?: MLPOptions<UngatedMLPNames>) {
    super(config, weights, options);
    this.hiddenAct = config.hiddenAct;
  }

  protected override buildActivationGraph(graph: AtbGraph, input: string): string {
    CommonOpBuilderManager.getBuilder({
      category: 'ACTIVATION',
      opName: 'activation',
      kind: this.hiddenAct,
      isGated: false,
      isPack: false,
    }).build(graph, { input, actOut: 'act_out' });
    return 'act_out';
  }
}
