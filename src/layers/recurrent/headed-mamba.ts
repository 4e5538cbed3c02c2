import { multiplyHeads } from '../../common-op-builders/index.js';
import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { beside } from '../formulas/split.js';
import { BaseMambaMixer, type MambaConfig, type ScanRows } from './mamba.js';

/** What a mixer of several heads is told by the configuration. */
export interface HeadedMambaConfig extends MambaConfig {
  readonly mambaHeads: number;
}

/**
 * The mixer of Zamba (arXiv:2405.16712): that of Mamba, of whose channels each head makes steps, B and C of its own. Rows of
 * its first projection are of x and of z in turn.
 */
export class HeadedMambaMixer extends BaseMambaMixer {
  /** [heads, stepRank + 2 * stateSize, headSize]. */
  private readonly scanProj: TensorRef;
  /** [heads, headSize, stepRank]. */
  private readonly stepProj: TensorRef;

  /** Throws what `BaseMambaMixer` throws. */
  constructor(layerId: number, config: HeadedMambaConfig, weights: Weights) {
    const { mambaWidth: channels, mambaStateSize: stateSize, mambaHeads: heads, stepRank } = config;
    const headSize = channels / heads;
    super(layerId, config, weights, {
      heads,
      rowOrder: Int32Array.from(
        { length: 2 * channels },
        (_, row) => 2 * (row % channels) + Math.floor(row / channels),
      ),
      logDecay: weights.get('A_log', [heads, headSize, stateSize]),
      stepBias: weights.get('dt_proj_bias', [heads, headSize]),
      skip: weights.get('D', [heads, headSize]),
    });
    this.scanProj = weights.get('x_proj_weight', [heads, stepRank + 2 * stateSize, headSize]);
    this.stepProj = weights.get('dt_proj_weight', [heads, headSize, stepRank]);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.scanProj, this.stepProj];
  }

  protected buildScanGraph(graph: AtbGraph, x: string): ScanRows {
    const { mambaStateSize: stateSize, mambaWidth: channels, stepRank } = this.config;
    graph.addReshape(x, 'x_heads', [dim(0), this.heads, channels / this.heads]);
    const made = multiplyHeads(graph, 'low_b_c', 'x_heads', this.scanProj.name);
    /** Numbers [from, from + count) of what is made of each head, [tokens, heads, count]. */
    const part = (from: number, count: number, out: string): string => {
      const box = { offsets: [0, 0, from], size: [-1, -1, count] };
      graph.addOperation(new BaseOperation('Slice', box, `${out}_slice`), [made], [out]);
      return out;
    };
    const flat = (heads: string, out: string): string => {
      graph.addReshape(heads, out, [dim(0), dim(1, 2)]);
      return out;
    };
    const b = flat(part(stepRank, stateSize, 'b_heads'), 'b');
    const c = flat(part(stepRank + stateSize, stateSize, 'c_heads'), 'c');
    const rows = beside(graph, x, beside(graph, b, c, 'b_c'), 'x_b_c');
    const steps = multiplyHeads(graph, 'step_heads', part(0, stepRank, 'low'), this.stepProj.name);
    return { rows, steps: flat(steps, 'steps') };
  }
}
