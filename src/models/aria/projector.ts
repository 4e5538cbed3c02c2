import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { attendWithQueries } from '../../layers/attention/query-attention.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import { gatherRows } from '../../layers/formulas/gather-rows.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import { COUNTED_QUERIES } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import { consecutiveRows } from '../../weights/row-orders.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { RowProjector } from '../base/vision/index.js';
import type { AriaConfig } from './config.js';

/** Of its norms, which the class leaves to torch. */
const EPSILON = 1e-5;

/** Tensors of torch's attention, whose names do not end as those of linears do. */
const NAMES = {
  'multihead_attn.in_proj.weight': 'multihead_attn.in_proj_weight',
  'multihead_attn.in_proj.bias': 'multihead_attn.in_proj_bias',
};
const OF = ['q', 'k', 'v'] as const;

/**
 * Learned queries attend to a picture's patches, and become its tokens (arXiv:2410.05993, section 2.2):
 * [patches, hidden] -> [queries of all pictures, out]. Queries, keys and values each pass two products, one behind
 * the other.
 */
export class AriaProjector extends BaseLayer {
  readonly queryNorm: BaseLayerNorm;
  readonly patchNorm: BaseLayerNorm;
  /** Without biases, then with them: of queries, keys and values. */
  readonly outer: readonly Linear[];
  readonly inner: readonly Linear[];
  readonly dense: Linear;
  readonly linear: Linear;
  readonly norm: BaseLayerNorm;
  readonly projector: RowProjector;
  private readonly queries: TensorRef;
  private readonly width: number;
  private readonly heads: number;

  /** `weights`: the projector's. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor({ vision, queries, hiddenSize }: AriaConfig, weights: Weights) {
    super(vision.numLayers, weights, 'projector');
    const { hiddenSize: width, numHeads } = vision;
    const cross = weights.at('cross_attn').withNames(NAMES);
    const norm = (at: Weights, of: string, name: string) =>
      new BaseLayerNorm(at.at(of), width, EPSILON, { name });
    const linear = (at: Weights, name: string, hasBias: boolean) =>
      Linear.load(at, { parts: [{ name, outFeatures: width }], inFeatures: width, hasBias });
    const torch = cross.at('multihead_attn');
    this.width = width;
    this.heads = numHeads;
    this.queries = weights.get('query', [Math.max(...queries.values()), width]);
    this.queryNorm = norm(cross, 'layer_norm', 'query_norm');
    this.patchNorm = norm(cross, 'layer_norm_kv', 'patch_norm');
    this.outer = OF.map((of) => linear(cross, `${of}_proj`, false));
    this.inner = consecutiveRows([width, width, width]).map((rows, index) =>
      Linear.load(torch, {
        name: `in_proj.${OF[index]}`,
        parts: [{ name: 'in_proj', outFeatures: width, rows }],
        inFeatures: width,
        hasBias: true,
      }),
    );
    this.dense = linear(torch, 'out_proj', true);
    this.linear = linear(cross, 'linear', true);
    this.norm = norm(weights, 'layer_norm', 'attended_norm');
    this.projector = new RowProjector(weights.at('feed_forward'), {
      ...{ inSize: width, outSize: hiddenSize, hasBias: false, act: 'gelu_tanh' },
      names: { up: 'linear_in', down: 'linear_out' },
    });
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.queries];
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const patches = this.patchNorm.buildGraph(graph, hidden);
    const inputs = [this.queryNorm.buildGraph(graph, this.queries.name), patches, patches];
    const [queries = '', k = '', v = ''] = OF.map((of, index) => {
      const outer = buildLinear(
        graph,
        this.outer[index] as Linear,
        inputs[index] as string,
        `${of}_outer_out`,
      );
      return buildLinear(graph, this.inner[index] as Linear, outer, `${of}_out`);
    });
    const heads = { headNum: this.heads, headDim: this.width / this.heads };
    const found = attendWithQueries(graph, kind, 'attention', heads, {
      ...{ q: gatherRows(graph, queries, COUNTED_QUERIES.rows, 'q_rows'), k, v },
      seqLen: COUNTED_QUERIES.lens,
      attentionOut: 'attn_out',
    });
    const dense = buildLinear(graph, this.dense, found, 'dense_out');
    const attended = buildLinear(graph, this.linear, dense, 'linear_out');
    return this.projector.buildGraph(graph, kind, this.norm.buildGraph(graph, attended));
  }
}
