import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { KEY_PLACES, QUERY_PLACES } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import type { AttentionConfig } from '../attention-config.js';
import { addResidual, addScaled } from '../formulas/residual.js';
import { buildLinear } from '../linear/linear-steps.js';
import { PositionFreeAttention } from './attention-orders.js';
import type { AttentionOptions } from './base-attention.js';

/** What scores are sums of beside products of queries and keys: of queries and distances, of keys and distances. */
export type DistanceTerm = 'c2p' | 'p2c';

/** What such attention is told by the configuration. */
export interface DisentangledConfig extends AttentionConfig {
  /** What is added to scores; nothing in models without relative positions. */
  readonly distanceTerms: readonly DistanceTerm[];
  /** Whether the projections of queries and keys are those of distances, too. */
  readonly sharesProjections: boolean;
  /** 1 / sqrt(terms * headDim), by which each term is multiplied, that of queries and keys included. */
  readonly scoreScale: number;
}

/** The vectors of distances, [R, hidden], which the model's graph has ahead of its layers. */
export const DISTANCE_VECTORS = 'distance_vectors';

const BIAS = 'score_bias';

/** Of each kind of term: whose number it is, whose projections those of distances are, and where the number stands. */
const TERMS = {
  c2p: { of: 'q', distances: 'k', places: QUERY_PLACES },
  p2c: { of: 'k', distances: 'q', places: KEY_PLACES },
} as const;

/** For each kind of term the checkpoint's name of the projection of distances, and whether it has a bias. */
export type DistanceProjections = Readonly<
  Record<DistanceTerm, { readonly name: string; readonly hasBias: boolean }>
>;

/**
 * Attention that knows distances by vectors of their own (arXiv:2006.03654, section 3.1): to the score of a query and a
 * key it adds the products of the query with the distance's key, and of the key with the distance's query.
 */
export class DisentangledAttention extends PositionFreeAttention {
  /** Projections of distances where these have their own, in the order of the terms. */
  private readonly projections: readonly Linear[];
  private readonly disentangled: DisentangledConfig;

  /** Throws what `BaseAttention` throws. */
  constructor(
    layerId: number,
    config: DisentangledConfig,
    weights: Weights,
    options: AttentionOptions & { readonly distances: Weights; readonly projections: DistanceProjections },
  ) {
    const { distanceTerms, sharesProjections, scoreScale: scale } = config;
    super(layerId, config, weights, {
      ...options,
      scale,
      ...(distanceTerms.length > 0 && { scoreBias: BIAS }),
    });
    this.disentangled = config;
    const { hiddenSize: inFeatures, numAttentionHeads, headDim } = config;
    this.projections = sharesProjections
      ? []
      : distanceTerms.map((term) =>
          Linear.load(options.distances, {
            parts: [{ ...options.projections[term], outFeatures: numAttentionHeads * headDim }],
            inFeatures,
          }),
        );
  }

  override buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { q, k, v } = this.buildQkvGraph(graph, input);
    if (this.disentangled.distanceTerms.length > 0) this.buildBiasGraph(graph, { q, k });
    return this.buildDenseGraph(graph, kind, this.buildAttentionGraph(graph, kind, { q, k, v }));
  }

  /** Queries and keys [tokens, heads * headDim] -> `score_bias` [batch, heads, context, context]. */
  private buildBiasGraph(graph: AtbGraph, rows: Readonly<Record<'q' | 'k', string>>): void {
    const { distanceTerms, scoreScale } = this.disentangled;
    const distances = this.buildDistancesGraph(graph);
    const terms = distanceTerms.map((term, index) => {
      const { of, places } = TERMS[term];
      return this.buildTermGraph(graph, term, rows[of], distances[index] as string, places);
    });
    const [first, second] = terms as [string, string?];
    const sum = second === undefined ? first : addResidual(graph, first, second, 'distance_terms');
    const scaled = addScaled(graph, sum, scoreScale, 'scaled_distance_terms');
    graph.addOperation(new BaseOperation('Transpose', { perm: [1, 0, 2, 3] }, BIAS), [scaled], [BIAS]);
  }

  /** For each term what is multiplied with its rows: [R, heads * headDim] each. */
  private buildDistancesGraph(graph: AtbGraph): string[] {
    const { distanceTerms, sharesProjections } = this.disentangled;
    if (!sharesProjections)
      return distanceTerms.map((term, index) =>
        buildLinear(graph, this.projections[index] as Linear, DISTANCE_VECTORS, `${term}_distances_out`),
      );
    const mixed = buildLinear(graph, this.qkv, DISTANCE_VECTORS, 'distances_out');
    const outs = { q: 'distance_q', k: 'distance_k', v: 'distance_v' };
    const split = new BaseOperation('Split', { splitDim: 1, splitNum: 3 }, 'distances_split');
    graph.addOperation(split, [mixed], Object.values(outs));
    return distanceTerms.map((term) => outs[TERMS[term].distances]);
  }

  /** A number for each token and distance, and of these the one of each query and key: -> [heads, batch, context, context]. */
  private buildTermGraph(
    graph: AtbGraph,
    term: DistanceTerm,
    rows: string,
    distances: string,
    places: string,
  ): string {
    const byHead = (input: string, name: string): string => {
      const { numAttentionHeads, headDim } = this.disentangled;
      graph.addReshape(input, `${name}_heads`, [dim(0), numAttentionHeads, headDim]);
      const transpose = new BaseOperation('Transpose', { perm: [1, 0, 2] }, `${name}_transpose`);
      graph.addOperation(transpose, [`${name}_heads`], [name]);
      return name;
    };
    const factors = [byHead(rows, `${term}_rows`), byHead(distances, `${term}_columns`)];
    const linear = new BaseOperation('Linear', { transposeB: true, hasBias: false }, `${term}_products`);
    graph.addOperation(linear, factors, [`${term}_products`]);
    graph.addReshape(`${term}_products`, `${term}_list`, [dim(0), dim(1, 2)]);
    const gather = new BaseOperation('Gather', { axis: 1 }, `${term}_scores`);
    graph.addOperation(gather, [`${term}_list`, places], [`${term}_scores`]);
    return `${term}_scores`;
  }
}
