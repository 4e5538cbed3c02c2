import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import { gatherRows } from '../../layers/formulas/gather-rows.js';
import { addScaled } from '../../layers/formulas/residual.js';
import { buildPixelRows, SquareConv } from '../../layers/linear/convolution.js';
import { Module } from '../../layers/module.js';
import type { BaseRMSNorm } from '../../layers/norms/norms.js';
import {
  ENDED_PICTURES,
  endedPictures,
  NEAREST_ROWS,
  nearestRows,
  neighbours,
  ofWholePictures,
  PATCHES,
  POOLED_ROWS,
  patches,
  pooledRows,
  type StepInput,
  sameWindow,
  squareLens,
} from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import type { Gemma3nWholeConfig } from './config.js';
import { EndedEmbedder } from './ended-embedder.js';
import { activated, byEights, convNorm, mobileBlock, PointConv } from './mobile-blocks.js';
import { type Gemma3nVisionConfig, stageSides } from './vision-config.js';

/** Of the convolution before all blocks. */
const STEM = { kernel: 3, stride: 2 } as const;
const COLOURS = 3;

/** Pixels of patches, of which a convolution takes every second along each side: [patches, 3 * pixels] -> [rows, out]. */
class Stem extends BaseLayer {
  readonly conv: SquareConv;
  readonly norm: BaseRMSNorm;
  /** Of a patch. */
  private readonly pixels: number;

  constructor({ imageSize, stemSize, outSide }: Gemma3nVisionConfig, weights: Weights) {
    // Its result comes before that of block 0.
    super(-1, weights, 'stem');
    this.pixels = (imageSize / outSide) ** 2;
    const window = sameWindow(imageSize, STEM.kernel, STEM.stride);
    this.conv = new SquareConv(weights, {
      ...{ name: 'conv', inSize: COLOURS, outSize: stemSize, window, hasBias: true },
    });
    this.norm = convNorm(weights.at('bn'), stemSize, 'stem');
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, input: string): string {
    const pixels = buildPixelRows(graph, input, COLOURS, this.pixels);
    const rows = this.conv.buildGraph(graph, pixels, 'stem_out');
    return activated(graph, this.norm.buildGraph(graph, rows));
  }
}

/**
 * Rows of the last two stages side by side, the fewer ones drawn out, and means of blocks of what becomes of them:
 * [fewer rows, channels] -> [tokens, out].
 */
class Fusion extends BaseLayer {
  readonly expand: PointConv;
  readonly project: PointConv;
  readonly norm: BaseRMSNorm;

  /** `finer`: the name of the other stage's rows. */
  constructor(
    layerId: number,
    private readonly finer: string,
    [inSize, outSize]: readonly [number, number],
    private readonly block: number,
    weights: Weights,
  ) {
    super(layerId, weights, 'fusion');
    const inner = byEights(2 * inSize);
    this.expand = new PointConv(weights.at('ffn'), 'pw_exp', inSize, inner);
    this.project = new PointConv(weights.at('ffn'), 'pw_proj', inner, outSize);
    this.norm = convNorm(weights.at('norm'), outSize, 'fused');
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    const drawn = gatherRows(graph, hidden, NEAREST_ROWS, 'drawn_out');
    graph.addOperation(
      new BaseOperation('Concat', { concatDim: 1 }, 'scales'),
      [this.finer, drawn],
      ['scales'],
    );
    const wide = activated(graph, this.expand.buildGraph(graph, 'scales'));
    const rows = this.project.buildGraph(graph, wide);
    if (this.block === 1) return this.norm.buildGraph(graph, rows);
    gatherRows(graph, rows, POOLED_ROWS, 'pooled');
    const sum = new BaseOperation('Reduce', { reduceType: 'REDUCE_SUM', axis: [1] }, 'pooled_sum');
    graph.addOperation(sum, ['pooled'], ['pooled_sum']);
    return this.norm.buildGraph(graph, addScaled(graph, 'pooled_sum', 1 / this.block ** 2, 'pooled_mean'));
  }
}

/** MobileNet V5, an encoder of convolutions, and what makes tokens of its rows: [tokens and ends, out]. */
export class Gemma3nTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly stem: Stem;
  readonly blocks: readonly BaseLayer[];
  readonly fusion: Fusion;
  readonly embedder: EndedEmbedder;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(config: Gemma3nWholeConfig, vision: Gemma3nVisionConfig, tower: Weights, embedder: Weights) {
    super();
    const { imageSize, outSide, stages, stemSize, hiddenSize } = vision;
    const [area, patch] = [outSide ** 2, imageSize / outSide];
    this.stem = new Stem(vision, tower.at('conv_stem'));
    const inputs = [neighbours(sameWindow(imageSize, STEM.kernel, STEM.stride), area, patch)];
    let [side, inSize] = [Math.ceil(imageSize / STEM.stride), stemSize];
    const blocks: BaseLayer[] = [];
    const ends: { readonly rows: string; readonly size: number }[] = [];
    for (const [stage, of] of stages.entries()) {
      for (const [index, block] of of.entries()) {
        const at = tower.at('blocks').at(stage).at(index);
        blocks.push(mobileBlock(block, { layerId: blocks.length, side, inSize }, at));
        if (block.kind === 'er') inputs.push(neighbours(sameWindow(side, block.kernel, block.stride), area));
        if (block.kind === 'mqa')
          inputs.push(squareLens(side ** 2, Math.ceil(side / block.keyStride) ** 2, area));
        else side = Math.ceil(side / block.stride);
        inSize = block.outSize;
      }
      ends.push({ rows: `hidden_states_${blocks.length}`, size: inSize });
    }
    this.blocks = blocks;
    const [finer, last] = ends.slice(-2) as [(typeof ends)[number], (typeof ends)[number]];
    const [high = 1, low = 1] = stageSides(vision).slice(-2);
    const sizes = [finer.size + last.size, hiddenSize] as const;
    this.fusion = new Fusion(blocks.length, finer.rows, sizes, high / outSide, tower.at('msfa'));
    this.embedder = new EndedEmbedder(vision, embedder, config, {
      layerId: blocks.length + 1,
      words: [config.imageEndId],
      rows: ENDED_PICTURES,
      // Rows are multiplied by the root of their size before the norm, which but for this takes no notice.
      softEps: vision.rmsNormEps / hiddenSize,
    });
    this.stepInputs = ofWholePictures(area, [
      patches(COLOURS * patch ** 2),
      ...new Map(inputs.map((input) => [input.names.join(), input])).values(),
      nearestRows(low, high, area),
      ...(high > outSide ? [pooledRows(high, high / outSide, area)] : []),
      endedPictures(area, area),
    ]);
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    let hidden = this.stem.buildGraph(graph, kind, PATCHES);
    for (const block of this.blocks) hidden = block.buildGraph(graph, kind, hidden);
    return this.embedder.buildGraph(graph, kind, this.fusion.buildGraph(graph, kind, hidden));
  }
}
