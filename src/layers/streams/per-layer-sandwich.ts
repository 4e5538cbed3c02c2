import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { LENT } from '../attention/borrowing-attention.js';
import { borrowedKeys, type LentAttention } from '../attention/lent-keys.js';
import { SandwichLayer, type SandwichParts } from '../decoder/decoder-layers.js';
import { addResidual } from '../formulas/residual.js';
import type { BorrowedTensor } from '../module.js';
import { type PerLayerStep, perLayerInput } from './per-layer-inputs.js';

/** What a layer is made of beside its sandwich. */
export interface PerLayerParts extends SandwichParts, LentAttention {
  readonly selfAttn: LentAttention['selfAttn'];
  readonly perLayer: PerLayerStep | undefined;
}

/** A sandwich, a step of the layer's own vector of each token, and a number that multiplies the result. */
export class PerLayerSandwich extends SandwichLayer {
  readonly perLayer: PerLayerStep | undefined;
  private readonly owner: number | undefined;
  private readonly isLending: boolean;
  private readonly scalar: TensorRef;

  constructor(layerId: number, weights: Weights, parts: PerLayerParts, variant: string) {
    super(layerId, weights, parts, variant);
    this.perLayer = parts.perLayer;
    this.owner = parts.owner;
    this.isLending = parts.isLending;
    this.scalar = weights.get('layer_scalar', [1]);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.scalar];
  }

  override borrowed(): BorrowedTensor[] {
    return [...borrowedKeys(this.owner), ...(this.perLayer ? [perLayerInput(this.layerId)] : [])];
  }

  override lent(): string[] {
    return this.isLending ? [...LENT] : [];
  }

  protected override buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const mixed = super.buildLayerGraph(graph, kind, hidden);
    const step = this.perLayer?.buildGraph(graph, mixed);
    const summed = step === undefined ? mixed : addResidual(graph, mixed, step, 'per_layer_residual');
    const multiply = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_MUL' }, 'layer_scale');
    graph.addOperation(multiply, [summed, this.scalar.name], ['scaled_layer_out']);
    return 'scaled_layer_out';
  }
}
