import type { FloatDType } from '../../dtype.js';
import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { asTable, constantWeight, inF32 } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import type { AttentionConfig } from '../attention-config.js';
import { type CacheRef, layerCache } from '../cache-ref.js';
import { addNarrowed } from '../formulas/casts.js';
import { addResidual, addScaled } from '../formulas/residual.js';
import { beside } from '../formulas/split.js';
import { addColumns, addGated } from '../linear/gate.js';
import { ConstantRMSNorm } from '../norms/norms.js';
import { BaseAttention } from './base-attention.js';

/** What it is told by the configuration. */
export interface DifferentialConfig extends AttentionConfig {
  readonly rmsNormEps: number;
}

/** The second attention of a layer, in its graph. */
const SECOND = 'second_';

/** What lambda is before training, by the number of the layer (arXiv:2410.05258, section 2.1). */
const lambdaInit = (layerId: number): number => 0.8 - 0.6 * Math.exp(-0.3 * layerId);

/**
 * Differential attention (arXiv:2410.05258): of what two groups of heads attend to, the second's is subtracted lambda times.
 * Heads of both see twice as long values, those of two heads of values side by side: ATB wants values as long as keys, so
 * the layer attends twice to the same keys, which lie in the cache twice.
 */
export class DifferentialAttention extends BaseAttention {
  readonly norm: ConstantRMSNorm;
  /** Vectors f32 [1, headDim] that lambda is made of: of queries and of keys, twice. */
  private readonly lambdas: readonly TensorRef[];
  /** f32 [1, 1]. */
  private readonly lambdaInit: TensorRef;
  private readonly second: CacheRef;
  private readonly dtype: FloatDType;

  /** Throws what `BaseAttention` throws. */
  constructor(layerId: number, config: DifferentialConfig, weights: Weights) {
    super(layerId, config, weights);
    const { headDim, numKeyValueHeads: heads, rmsNormEps } = config;
    const init = lambdaInit(layerId);
    this.norm = new ConstantRMSNorm(weights.at('groupnorm'), 2 * headDim, rmsNormEps, 1 - init);
    this.lambdas = ['lambda_q1', 'lambda_k1', 'lambda_q2', 'lambda_k2'].map((name) =>
      inF32(asTable(weights.get(name, [headDim]))),
    );
    this.lambdaInit = inF32(constantWeight(weights.path('lambda_init'), [1, 1], init));
    this.second = layerCache(layerId, { heads, keySize: headDim, valueSize: headDim }, SECOND);
    this.dtype = weights.dtype ?? 'bf16';
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), ...this.lambdas, this.lambdaInit];
  }

  override caches(): CacheRef[] {
    return [...super.caches(), this.second];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { numAttentionHeads: heads, headDim } = this.config;
    const { q, k, v } = this.buildQkvGraph(graph, input);
    const rotated = this.buildRopeGraph(graph, q, k);
    const first = this.buildAttentionGraph(graph, kind, { ...rotated, v: this.addHalfTwice(graph, v, 0) });
    const values = { ...rotated, v: this.addHalfTwice(graph, v, 1) };
    const second = this.buildAttentionGraph(graph, kind, values, { prefix: SECOND, cache: this.second });
    graph.addReshape(first, 'first_heads', [dim(0), heads, headDim]);
    graph.addReshape(second, 'second_heads', [dim(0), heads, headDim]);
    const concat = new BaseOperation('Concat', { concatDim: 2 }, 'long_heads_concat');
    graph.addOperation(concat, ['first_heads', 'second_heads'], ['long_heads']);
    const difference = this.addDifference(graph, 'long_heads');
    graph.addReshape(this.norm.buildGraph(graph, difference), 'normed_rows', [dim(0), dim(1, 2)]);
    return this.buildDenseGraph(graph, kind, 'normed_rows');
  }

  /** One half of the heads of `v` [tokens, kvHeads * headDim], for both groups of heads: the same shape. */
  private addHalfTwice(graph: AtbGraph, v: string, half: 0 | 1): string {
    const columns = (this.config.numKeyValueHeads * this.config.headDim) / 2;
    const own = addColumns(graph, v, half * columns, columns, `v_half_${half}`);
    return beside(graph, own, own, `v_twice_${half}`);
  }

  /** `heads` [tokens, heads, 2 * headDim] -> those of the first group minus lambda times those of the second. */
  private addDifference(graph: AtbGraph, heads: string): string {
    const half = this.config.numAttentionHeads / 2;
    const group = (from: number, out: string): string => {
      const box = { offsets: [0, from, 0], size: [-1, half, -1] };
      graph.addOperation(new BaseOperation('Slice', box, `${out}_slice`), [heads], [out]);
      return out;
    };
    const subtracted = addGated(graph, group(half, 'second_group'), this.addLambda(graph), 'subtracted');
    return addElewise(graph, 'ELEWISE_SUB', [group(0, 'first_group'), subtracted], 'difference');
  }

  /** e^(q1 * k1) - e^(q2 * k2) + what it was before training, f32 [1, 1]. */
  private addLambda(graph: AtbGraph): string {
    const [q1 = '', k1 = '', q2 = '', k2 = ''] = this.lambdas.map(({ name }) => name);
    const product = (q: string, k: string, out: string): string => {
      graph.addOperation(
        new BaseOperation('Linear', { transposeB: true, hasBias: false }, out),
        [q, k],
        [out],
      );
      return out;
    };
    const first = addExponential(graph, product(q1, k1, 'lambda_1'));
    // ATB subtracts no f32.
    const second = addScaled(graph, addExponential(graph, product(q2, k2, 'lambda_2')), -1, 'lambda_less');
    const learned = addResidual(graph, first, second, 'lambda_learned');
    const lambda = addResidual(graph, learned, this.lambdaInit.name, 'lambda');
    graph.addReshape(addNarrowed(graph, lambda, this.dtype, 'lambda_narrow'), 'lambda_factor', [1]);
    return 'lambda_factor';
  }
}

/** `out` of two tensors of one shape, number by number. Returns `out`. */
function addElewise(
  graph: AtbGraph,
  elewiseType: 'ELEWISE_SUB' | 'ELEWISE_REALDIV',
  inputs: readonly [string, string],
  out: string,
): string {
  graph.addOperation(new BaseOperation('Elewise', { elewiseType }, `${out}_of`), [...inputs], [out]);
  return out;
}

/** e^x of f32 `x`, whose magnitude is below 80: ATB has no exponential, but sigmoid(x) / sigmoid(-x) is one. */
function addExponential(graph: AtbGraph, x: string): string {
  const sigmoid = (of: string, out: string): string => {
    graph.addOperation(new BaseOperation('Sigmoid', {}, out), [of], [out]);
    return out;
  };
  const above = sigmoid(x, `${x}_share`);
  const below = sigmoid(addScaled(graph, x, -1, `${x}_negative`), `${x}_rest`);
  return addElewise(graph, 'ELEWISE_REALDIV', [above, below], `${x}_exp`);
}
