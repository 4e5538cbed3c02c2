import { type AtbGraph, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import type { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { gatherRows } from '../../layers/formulas/gather-rows.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import {
  MERGED_PATCHES,
  mergedPatches,
  PATCHES,
  patches,
  type RopeConfig,
  type StepInput,
  spaceTimeRotary,
  spaceTimeTurned,
  WINDOW_LENS,
  windowLens,
  wordsAmongRows,
} from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import {
  buildWordsAmongGraph,
  CLIP_NAMES,
  clipLayers,
  RowProjector,
  type WordTable,
} from '../base/vision/index.js';
import type { MiniMaxM3VlConfig } from './config.js';

type TowerConfig = Pick<
  MiniMaxM3VlConfig,
  'vision' | 'hiddenSize' | 'projectorSize' | 'imageTokenId' | 'videoTokenId'
>;

/** Patches come to the size of words, one by one; then those of a block, side by side, become one: [tokens, hidden]. */
class BlockProjector extends BaseLayer {
  readonly rows: RowProjector;
  readonly blocks: RowProjector;

  constructor({ vision, hiddenSize: outSize, projectorSize: innerSize }: TowerConfig, weights: Weights) {
    super(vision.numLayers, weights, 'projector');
    const sizes = { outSize, innerSize, hasBias: true, act: 'gelu' } as const;
    this.rows = new RowProjector(weights.at('multi_modal_projector'), {
      ...sizes,
      inSize: vision.hiddenSize,
    });
    this.blocks = new RowProjector(weights.at('patch_merge_mlp'), {
      ...{ ...sizes, inSize: outSize * vision.mergeSize ** 2 },
      prefix: 'merge_',
    });
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const rows = this.rows.buildGraph(graph, kind, hidden);
    gatherRows(graph, rows, MERGED_PATCHES, 'merged_hidden');
    graph.addReshape('merged_hidden', 'merged_rows', [dim(0), dim(1, 2)]);
    return this.blocks.buildGraph(graph, kind, 'merged_rows');
  }
}

/**
 * CLIP over pictures in their own shapes, and over stretches of frames, all of whose patches see each other; heads turn by
 * time, rows and columns, a third by each. With embeddings of the words between frames: [tokens, hidden].
 */
export class MiniMaxM3Tower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly patchEmbedding: Linear;
  readonly norm: BaseLayerNorm;
  readonly layers: readonly PreNormLayer[];
  readonly projector: BlockProjector;
  private readonly words: WordTable;

  /** `words`: of the model of text. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(config: TowerConfig, weights: Weights, { embedTokens, embeddingScale }: WordTable) {
    super();
    const { imageTokenId = -1, videoTokenId = -1 } = config;
    this.words = { embedTokens, embeddingScale };
    const { hiddenSize, numHeads, patchSize, temporalPatchSize, mergeSize, layerNormEps, theta } =
      config.vision;
    const kernel = [3, temporalPatchSize, patchSize, patchSize];
    const features = 3 * temporalPatchSize * patchSize ** 2;
    const headDim = hiddenSize / numHeads;
    this.stepInputs = [
      patches(features),
      spaceTimeRotary({ theta, headDim, mergeSize }),
      windowLens(({ rows }) => Int32Array.of(rows)),
      mergedPatches(mergeSize ** 2),
      wordsAmongRows(imageTokenId, videoTokenId),
    ];
    const tower = weights.at('vision_tower.vision_model');
    this.patchEmbedding = Linear.load(tower.at('embeddings'), {
      parts: [{ name: 'patch_embedding', outFeatures: hiddenSize, kernel }],
      inFeatures: features,
      hasBias: false,
    });
    this.norm = new BaseLayerNorm(tower.at('pre_layrnorm'), hiddenSize, layerNormEps);
    const rope: RopeConfig = {
      ...{ theta, headDim, rotaryDim: spaceTimeTurned(headDim), interleaved: false },
      ...{ maxPositionEmbeddings: 1, scaling: { type: 'default' } },
    };
    const whole = { first: 0, seqLen: WINDOW_LENS };
    this.layers = clipLayers(
      tower.at('encoder.layers'),
      { ...config.vision, rope },
      RotaryAttention,
      CLIP_NAMES,
      whole,
    );
    this.projector = new BlockProjector(config, weights);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.words.embedTokens];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    let hidden = this.norm.buildGraph(
      graph,
      buildLinear(graph, this.patchEmbedding, PATCHES, 'patch_embedding_out'),
    );
    for (const layer of this.layers) hidden = layer.buildGraph(graph, kind, hidden);
    return buildWordsAmongGraph(graph, this.projector.buildGraph(graph, kind, hidden), this.words);
  }
}
