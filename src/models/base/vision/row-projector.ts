import { type ActivationKind, CommonOpBuilderManager } from '../../../common-op-builders/index.js';
import type { AtbGraph } from '../../../graph/atb-graph.js';
import type { GraphKind } from '../../../graph/graph-kind.js';
import type { LayerStep } from '../../../layers/decoder/decoder-layers.js';
import { buildLinear } from '../../../layers/linear/linear-steps.js';
import { Module } from '../../../layers/module.js';
import { Linear } from '../../../weights/linear.js';
import type { Weights } from '../../../weights/weights.js';

/** What `RowProjector` is told. */
export interface RowProjectorSizes {
  readonly inSize: number;
  readonly outSize: number;
  /** Between the two; outSize when absent. */
  readonly innerSize?: number;
  readonly hasBias: boolean;
  readonly act: ActivationKind;
  /** Of its names in the graph, where it is not the only one there. */
  readonly prefix?: string;
  /** The checkpoint's names of both; `linear_1` and `linear_2` when absent. */
  readonly names?: { readonly up: string; readonly down: string };
}

const NAMES = { up: 'linear_1', down: 'linear_2' } as const;

/** Two products that bring an encoder's rows to the size of words. */
export class RowProjector extends Module implements LayerStep {
  readonly up: Linear;
  readonly down: Linear;
  private readonly act: ActivationKind;
  private readonly prefix: string;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(
    weights: Weights,
    { inSize, outSize, innerSize = outSize, hasBias, act, names = NAMES, prefix = '' }: RowProjectorSizes,
  ) {
    super();
    const linear = (name: string, inFeatures: number, outFeatures: number): Linear =>
      Linear.load(weights, { parts: [{ name, outFeatures }], inFeatures, hasBias });
    this.up = linear(names.up, inSize, innerSize);
    this.down = linear(names.down, innerSize, outSize);
    this.act = act;
    this.prefix = prefix;
  }

  /** [rows, inSize] -> [rows, outSize]. */
  buildGraph(graph: AtbGraph, _kind: GraphKind, rows: string): string {
    const own = `${this.prefix}projector`;
    const up = buildLinear(graph, this.up, rows, `${own}_up_out`);
    CommonOpBuilderManager.getBuilder({
      category: 'ACTIVATION',
      opName: `${own}_activation`,
      kind: this.act,
      isGated: false,
      isPack: false,
    }).build(graph, { input: up, actOut: `${own}_act_out` });
    return buildLinear(graph, this.down, `${own}_act_out`, `${own}_down_out`);
  }
}
