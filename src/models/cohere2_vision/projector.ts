import { type AtbGraph, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import { gatherRows } from '../../layers/formulas/gather-rows.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { NoNorm, type NormStep } from '../../layers/norms/norms.js';
import { MERGED_PATCHES } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import type { Cohere2VisionConfig } from './config.js';

/** What it is told by the configuration. */
type GatedSizes = Pick<Cohere2VisionConfig, 'mergeSize' | 'gatedSize' | 'hiddenSize'> & {
  readonly vision: { readonly hiddenSize: number; readonly numLayers: number };
};

/** The patches of a block side by side, brought to the size of words by gates: [patches, hidden] -> [tokens, out]. */
export class GatedProjector extends BaseLayer {
  readonly norm: NormStep;
  readonly mlp: BaseMLP;

  /** `norm`: of what is put side by side; none when absent. */
  constructor(
    { vision, mergeSize, gatedSize, hiddenSize: outSize }: GatedSizes,
    weights: Weights,
    norm: NormStep = new NoNorm(),
  ) {
    super(vision.numLayers, weights, 'projector');
    this.norm = norm;
    const sizes = {
      hiddenSize: vision.hiddenSize * mergeSize ** 2,
      intermediateSize: gatedSize / 2,
      hiddenAct: 'silu',
      mlpBias: true,
    } as const;
    this.mlp = new BaseMLP(sizes, weights, {
      names: { upGate: 'linear_1', down: 'linear_2' },
      outSize,
    });
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    gatherRows(graph, hidden, MERGED_PATCHES, 'merged_hidden');
    graph.addReshape('merged_hidden', 'merged_rows', [dim(0), dim(1, 2)]);
    return this.mlp.buildGraph(graph, kind, this.norm.buildGraph(graph, 'merged_rows'));
  }
}
