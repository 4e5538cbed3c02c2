import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { PositionFreeAttention } from '../../layers/attention/attention-orders.js';
import type { Qkv } from '../../layers/attention/base-attention.js';
import { attendWithQueries } from '../../layers/attention/query-attention.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import { gatherRows } from '../../layers/formulas/gather-rows.js';
import { HD_ROWS, hdRows, patches } from '../../step-inputs/index.js';
import { asTable } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { buildBlockMean, ProjectedTower, RowProjector, SiglipEncoder } from '../base/vision/index.js';
import type { Phi4Config } from './config.js';

/** Attention of all patches of a tile to those of it that hold some of the picture. */
class TileAttention extends PositionFreeAttention {
  override buildAttentionGraph(graph: AtbGraph, kind: GraphKind, { q, k, v }: Qkv): string {
    const { numAttentionHeads: headNum, headDim } = this.config;
    return attendWithQueries(
      graph,
      kind,
      'attention',
      { headNum, headDim },
      {
        q,
        k: gatherRows(graph, k, HD_ROWS.seen, 'k_seen'),
        v: gatherRows(graph, v, HD_ROWS.seen, 'v_seen'),
        seqLen: HD_ROWS.lens,
        attentionOut: 'attn_out',
      },
    );
  }
}

/**
 * Means of blocks of 2 x 2 patches, line by line, with a learned row behind each line and one between the tiles and the
 * whole, in the size of words: [rows, hidden] -> [tokens, out].
 */
class HdProjector extends BaseLayer {
  readonly projector: RowProjector;
  private readonly lineEnd: TensorRef;
  private readonly tilesEnd: TensorRef;

  constructor(layerId: number, weights: Weights, { vision, hiddenSize: outSize }: Phi4Config) {
    super(layerId, weights, 'projector');
    const inSize = vision.hiddenSize;
    const names = { up: 'img_projection_up', down: 'img_projection_down' };
    this.projector = new RowProjector(weights, { inSize, outSize, hasBias: true, act: 'gelu', names });
    this.lineEnd = asTable(weights.get('sub_img_feature_extensor', [1, 1, 1, inSize]));
    this.tilesEnd = asTable(weights.get('global_img_feature_extensor', [1, 1, inSize]));
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.lineEnd, this.tilesEnd];
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const means = buildBlockMean(graph, hidden, 4);
    const withLines = ['means_and_line_end', 'means_and_ends'] as const;
    const concat = (name: string) => new BaseOperation('Concat', { concatDim: 0 }, name);
    graph.addOperation(concat(withLines[0]), [means, this.lineEnd.name], [withLines[0]]);
    graph.addOperation(concat(withLines[1]), [withLines[0], this.tilesEnd.name], [withLines[1]]);
    const rows = gatherRows(graph, withLines[1], HD_ROWS.tokens, 'token_rows');
    return this.projector.buildGraph(graph, kind, rows);
  }
}

/** SigLIP over tiles of a picture and the whole, of whose patches means of four become tokens (arXiv:2503.01743, section 2.2). */
export function phiVisionTower(config: Phi4Config, weights: Weights): ProjectedTower {
  const { vision, usedLayers } = config;
  const { side, patchSize } = vision;
  const encoder = new SiglipEncoder({ ...vision, numLayers: usedLayers }, weights.at('img_processor'), {
    hasNorm: false,
    attention: TileAttention,
    stepInputs: [patches(3 * patchSize * patchSize), hdRows(side)],
  });
  return new ProjectedTower(encoder, new HdProjector(usedLayers, weights, config));
}
