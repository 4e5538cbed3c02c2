import { type AtbGraph, BaseOperation } from '../graph/atb-graph.js';
import type { GraphKind } from '../graph/graph-kind.js';
import type { TensorRef, Weights } from '../weights/weights.js';
import { LENT } from './borrowing-attention.js';
import { SandwichLayer, type SandwichParts } from './decoder-layers.js';
import type { BorrowedTensor } from './module.js';
import { PER_LAYER_INPUT, type PerLayerStep } from './per-layer-inputs.js';

/** What a layer is made of beside its sandwich. */
export interface PerLayerParts extends SandwichParts {
  readonly perLayer: PerLayerStep | undefined;
  /** The layer whose keys and values it attends to, where these are not its own. */
  readonly owner: number | undefined;
  readonly isLending: boolean;
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
    const { owner, layerId } = this;
    return [
      ...(owner === undefined ? [] : LENT.map((name) => [`borrowed_${name}`, `${name}_${owner}`] as const)),
      ...(this.perLayer ? [[PER_LAYER_INPUT, `${PER_LAYER_INPUT}_${layerId}`] as const] : []),
    ];
  }

  override lent(): string[] {
    return this.isLending ? [...LENT] : [];
  }

  protected override buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const mixed = super.buildLayerGraph(graph, kind, hidden);
    const summed = this.perLayer?.buildGraph(graph, kind, mixed) ?? mixed;
    const multiply = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_MUL' }, 'layer_scale');
    graph.addOperation(multiply, [summed, this.scalar.name], ['scaled_layer_out']);
    return 'scaled_layer_out';
  }
}
