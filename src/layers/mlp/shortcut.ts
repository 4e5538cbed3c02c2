import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import type { Weights } from '../../weights/weights.js';
import { type LayerStep, PreNormLayer, type PreNormParts } from '../decoder/decoder-layers.js';
import { addResidual } from '../formulas/residual.js';
import { type BorrowedTensor, Module } from '../module.js';

/** What a layer's graph calls what a shortcut brings. */
const SHORTCUT = 'shortcut';

/** An MLP where a shortcut begins: experts read what it reads, and a later layer adds what they give. */
export class MLPWithShortcut extends Module implements LayerStep {
  /** `result`: what their graph calls what they give. */
  constructor(
    readonly mlp: LayerStep,
    readonly experts: LayerStep,
    private readonly result: string,
  ) {
    super();
  }

  override lent(): string[] {
    return [this.result];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    this.experts.buildGraph(graph, kind, input);
    return this.mlp.buildGraph(graph, kind, input);
  }
}

/** A layer where a shortcut ends: what it brings is added behind the layer's own result. */
export class ShortcutEnd extends PreNormLayer {
  /** `shortcut`: what the model's graph calls what it brings. `variant`: see `BaseLayer`. */
  constructor(
    layerId: number,
    weights: Weights,
    parts: PreNormParts,
    private readonly shortcut: string,
    variant?: string,
  ) {
    super(layerId, weights, parts, variant);
  }

  override borrowed(): BorrowedTensor[] {
    return [[SHORTCUT, this.shortcut]];
  }

  protected override buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const own = super.buildLayerGraph(graph, kind, hidden);
    return addResidual(graph, own, SHORTCUT, 'layer_out_with_shortcut');
  }
}
