import { type ActivationKind, CommonOpBuilderManager } from '../../common-op-builders/index.js';
import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { BaseAttention } from '../../layers/attention/base-attention.js';
import { encoderAttention } from '../../layers/attention-config.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { gatherRows } from '../../layers/formulas/gather-rows.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { Module } from '../../layers/module.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import {
  QUERIED,
  type QueriedSquares,
  queriedMaskOf,
  queriedSquares,
  type StepInput,
} from '../../step-inputs/index.js';
import type { TensorRef, Weights } from '../../weights/weights.js';

/** What the encoder of queries is told by the configuration. */
export interface QuerySizes {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly numKeyValueHeads: number;
  readonly hiddenAct: ActivationKind;
  readonly epsilon: number;
  readonly theta: number;
}

/** Attention of a square's rows to each other, and of the queries behind them to all before, with their own. */
class QueriedAttention extends BaseAttention {
  constructor(
    layerId: number,
    sizes: QuerySizes,
    weights: Weights,
    private readonly count: number,
  ) {
    const config = {
      ...encoderAttention({ ...sizes, qkvBias: true, denseBias: false }),
      numKeyValueHeads: sizes.numKeyValueHeads,
    };
    const { cos, sin, lens: seqLen } = QUERIED;
    super(layerId, config, weights, { seqLen, rotaryRows: { cos, sin } });
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { numAttentionHeads: headNum, numKeyValueHeads: kvHeadNum, headDim } = this.config;
    const { lens: seqLen, seen } = QUERIED;
    const { q, k, v } = this.buildQkvGraph(graph, input);
    const attentionMask = queriedMaskOf(this.count);
    CommonOpBuilderManager.getBuilder({
      ...{ category: 'ATTENTION', opName: 'attention', attnType: 'PAGED_ATTENTION', kind, isCausal: true },
      ...{ headNum, kvHeadNum, headDim, scale: 1 / Math.sqrt(headDim) },
    }).build(graph, {
      ...{ ...this.buildRopeGraph(graph, q, k), v, seqLen, attentionMask, qLen: 'q_len', seen },
      attentionOut: 'attn_out',
    });
    return this.buildDenseGraph(graph, kind, 'attn_out');
  }
}

/** Rows of squares and, behind those of each, as many learned queries in layers of Qwen2: [rows, hidden] -> queries. */
export class QueriedEncoder extends Module {
  readonly stepInput: StepInput;
  readonly layers: readonly PreNormLayer[];
  readonly norm: BaseRMSNorm;
  private readonly queries: TensorRef;

  /** `first`: the number of its first layer; `queries`: [count, hidden]. Throws what `BaseAttention` throws. */
  constructor(
    sizes: QuerySizes,
    weights: Weights,
    queries: TensorRef,
    { first, area, count }: { readonly first: number } & Pick<QueriedSquares, 'area' | 'count'>,
  ) {
    super();
    const { hiddenSize, numLayers, numHeads, epsilon, theta } = sizes;
    this.stepInput = queriedSquares({ area, count, theta, headDim: hiddenSize / numHeads });
    this.queries = queries;
    this.layers = Array.from({ length: numLayers }, (_, index) => {
      const at = weights.at('layers').at(index);
      const parts = {
        inputLayernorm: new BaseRMSNorm(at.at('input_layernorm'), hiddenSize, epsilon),
        selfAttn: new QueriedAttention(first + index, sizes, at.at('self_attn'), count),
        postAttentionLayernorm: new BaseRMSNorm(at.at('post_attention_layernorm'), hiddenSize, epsilon),
        mlp: new BaseMLP({ ...sizes, mlpBias: false }, at.at('mlp')),
      };
      return new PreNormLayer(first + index, at, parts, 'queries');
    });
    this.norm = new BaseRMSNorm(weights.at('norm'), hiddenSize, epsilon);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.queries];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, rows: string): string {
    const concat = new BaseOperation('Concat', { concatDim: 0 }, 'rows_and_queries');
    graph.addOperation(concat, [rows, this.queries.name], ['rows_and_queries']);
    let hidden = gatherRows(graph, 'rows_and_queries', QUERIED.rows, 'rows_before_queries');
    for (const layer of this.layers) hidden = layer.buildGraph(graph, kind, hidden);
    return this.norm.buildGraph(graph, gatherRows(graph, hidden, QUERIED.answers, 'answers'));
  }
}
