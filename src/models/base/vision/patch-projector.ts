import type { AtbGraph } from '../../../graph/atb-graph.js';
import type { GraphKind } from '../../../graph/graph-kind.js';
import { BaseLayer } from '../../../layers/decoder/base-layer.js';
import { buildLinear } from '../../../layers/linear/linear-steps.js';
import { BaseRMSNorm } from '../../../layers/norms/norms.js';
import { Linear } from '../../../weights/linear.js';
import type { Weights } from '../../../weights/weights.js';
import { buildBlockRows } from './block-rows.js';
import type { PixtralModel } from './pixtral-tower.js';
import { RowProjector, type RowProjectorSizes } from './row-projector.js';

/** What `PatchProjector` is told. */
export interface PatchProjectorSizes extends Pick<PixtralModel, 'vision' | 'mergeSize'> {
  /** Of words. */
  readonly hiddenSize: number;
  /** Of its norm. */
  readonly rmsNormEps: number;
  readonly projectorBias: boolean;
  readonly projectorAct: RowProjectorSizes['act'];
}

/** Patches of a block become one, and come to the size of words: [patches, hidden] -> [tokens, out]. */
export class PatchProjector extends BaseLayer {
  readonly norm: BaseRMSNorm;
  readonly merge: Linear;
  readonly projector: RowProjector;

  constructor(config: PatchProjectorSizes, weights: Weights) {
    const { vision, mergeSize, hiddenSize: outSize, rmsNormEps, projectorBias: hasBias } = config;
    const { hiddenSize, numLayers } = vision;
    super(numLayers, weights, 'projector');
    this.norm = new BaseRMSNorm(weights.at('norm'), hiddenSize, rmsNormEps);
    this.merge = Linear.load(weights, {
      parts: [{ name: 'patch_merger.merging_layer', outFeatures: hiddenSize }],
      inFeatures: hiddenSize * mergeSize ** 2,
    });
    const sizes = { inSize: hiddenSize, outSize, hasBias, act: config.projectorAct };
    this.projector = new RowProjector(weights, sizes);
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    // The checkpoint puts patches side by side channel by channel.
    const rows = buildBlockRows(graph, this.norm.buildGraph(graph, hidden));
    const merged = buildLinear(graph, this.merge, rows, 'patch_merger_out');
    return this.projector.buildGraph(graph, kind, merged);
  }
}
