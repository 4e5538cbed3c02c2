import { CommonOpBuilderManager } from '../../common-op-builders/index.js';
import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import { sumOfRows } from '../../layers/formulas/gather-rows.js';
import { addResidual } from '../../layers/formulas/residual.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { type BorrowedTensor, Module } from '../../layers/module.js';
import {
  DRAWN_ROWS,
  drawnRows,
  evenWindow,
  gridPositions,
  neighbours,
  ofView,
  type StepInput,
} from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { Convolution, SamEncoder, SamNeck, SiglipEncoder, visionTower } from '../base/vision/index.js';
import type { DeepseekVlHybridConfig } from './config.js';

/** What SAM's encoder reads in place of what the model of text does, and SigLIP in place of what either does. */
const FINE = { seq_len: 'fine_len', q_len: 'fine_q_len' };
const COARSE = {
  pixel_patches: 'coarse_patches',
  bucketed_positions: 'coarse_positions',
  seq_len: 'coarse_len',
  q_len: 'coarse_q_len',
};
/** What the layer that draws squares out calls rows of an earlier layer. */
const EARLIER = 'earlier_rows';
const [KERNEL, STRIDE] = [3, 2];

/**
 * Rows of the last layer and, times a learned number, those of an earlier one, drawn out bilinearly: [squares * side *
 * side, out] -> [squares * drawn * drawn, out]. The convolutions behind it are linear, so they need to read the sum
 * alone.
 */
class DrawnSum extends BaseLayer {
  private readonly alpha: TensorRef;

  constructor(
    layerId: number,
    weights: Weights,
    private readonly earlier: string,
  ) {
    super(layerId, weights, 'drawn');
    this.alpha = weights.get('high_res_vision_alpha', [1]);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.alpha];
  }

  override borrowed(): BorrowedTensor[] {
    return [[EARLIER, this.earlier]];
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    const multiply = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_MUL' }, 'earlier_share');
    graph.addOperation(multiply, [EARLIER, this.alpha.name], ['earlier_share']);
    return sumOfRows(graph, addResidual(graph, hidden, 'earlier_share', 'seen_rows'), DRAWN_ROWS, 'drawn');
  }
}

/**
 * SAM's encoder over large squares and SigLIP over small ones, of as many rows, side by side (arXiv:2403.05525,
 * section 3).
 */
export class HybridTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly fine: SamEncoder;
  readonly neck: SamNeck;
  readonly sum: DrawnSum;
  readonly convolutions: readonly Convolution[];
  readonly coarse: SiglipEncoder;
  readonly fineProj: Linear;
  readonly coarseProj: Linear;
  readonly proj: Linear;
  private readonly seenLayer: number;

  /**
   * `weights`: where the checkpoint has all but the head. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH,
   * WEIGHT_DTYPE_UNSUPPORTED.
   */
  constructor(config: DeepseekVlHybridConfig, weights: Weights) {
    super();
    const { vision, fine, halfSize, hiddenSize } = config;
    const { outSize, numLayers, patchSize, seenLayer } = fine;
    const [coarseSide, side] = [vision, fine].map((of) => Math.floor(of.imageSize / of.patchSize)) as [
      number,
      number,
    ];
    // Two convolutions take every second row and column each, so that as many rows are left as SigLIP gives.
    const [drawn, half] = [STRIDE * STRIDE * coarseSide, STRIDE * coarseSide];
    this.seenLayer = seenLayer;
    this.fine = new SamEncoder(
      { ...fine, seqLen: FINE.seq_len },
      weights.at('high_res_vision_model.vision_encoder'),
    );
    const neck = { ...fine, numLayers: numLayers + 1 };
    this.neck = new SamNeck(weights.at('high_res_vision_neck'), neck, side);
    this.sum = new DrawnSum(numLayers + 2, weights, `hidden_states_${numLayers + 2}`);
    this.convolutions = [drawn, half].map((from, at) => {
      const inSize = outSize * STRIDE ** at;
      return new Convolution(numLayers + 3 + at, weights.at('high_res_vision_proj'), {
        ...{
          name: `conv${at + 1}`,
          variant: `halving${at}`,
          inSize,
          outSize: inSize * 2,
          side: from,
          stride: STRIDE,
        },
      });
    });
    this.coarse = new SiglipEncoder(vision, visionTower(weights, 'vision_model'), {
      positions: gridPositions,
      second: {
        ...{ patches: COARSE.pixel_patches, positions: COARSE.bucketed_positions, seqLen: COARSE.seq_len },
        numberedFrom: numLayers + 5,
      },
    });
    const linear = (name: string, inFeatures: number, outFeatures: number): Linear =>
      Linear.load(weights.at('aligner'), { parts: [{ name, outFeatures }], inFeatures, hasBias: true });
    this.fineProj = linear('high_res_vision_proj', outSize * STRIDE * STRIDE, halfSize);
    this.coarseProj = linear('vision_proj', vision.hiddenSize, halfSize);
    this.proj = linear('proj', hiddenSize, hiddenSize);

    const [area, patches] = [side * side, side * side + coarseSide * coarseSide];
    const features = 3 * patchSize * patchSize;
    const large = { side, features, before: 0, patches };
    const small = {
      ...{ side: coarseSide, features: 3 * vision.patchSize * vision.patchSize },
      ...{ before: area * features, patches },
    };
    const drawing = [
      drawnRows(side, drawn, area),
      ...[drawn, half].map((from) => neighbours(evenWindow(from, KERNEL, STRIDE), area)),
    ];
    this.stepInputs = [
      ...ofView(large, [...this.fine.stepInputs, ...drawing], FINE),
      ...ofView(small, this.coarse.stepInputs, COARSE),
    ];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    const { rows: last, ofLayers } = this.fine.buildRowsGraphs(graph, kind);
    this.neck.buildGraph(graph, kind, ofLayers[this.seenLayer] ?? last);
    let fine = this.sum.buildGraph(graph, kind, last);
    for (const convolution of this.convolutions) fine = convolution.buildGraph(graph, kind, fine);
    const halves = [
      buildLinear(graph, this.fineProj, fine, 'fine_half'),
      buildLinear(graph, this.coarseProj, this.coarse.buildGraph(graph, kind), 'coarse_half'),
    ];
    graph.addOperation(new BaseOperation('Concat', { concatDim: 1 }, 'both_halves'), halves, ['both_halves']);
    CommonOpBuilderManager.getBuilder({
      ...{
        category: 'ACTIVATION',
        opName: 'aligner_activation',
        kind: 'gelu',
        isGated: false,
        isPack: false,
      },
    }).build(graph, { input: 'both_halves', actOut: 'aligner_act_out' });
    return buildLinear(graph, this.proj, 'aligner_act_out', 'aligner_out');
  }
}
