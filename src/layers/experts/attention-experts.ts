import { CommonOpBuilderManager, sortByExperts } from '../../common-op-builders/index.js';
import type { FloatDType } from '../../dtype.js';
import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { GMM_QUANT, type GroupedMatmulParam } from '../../graph/ops/grouped-matmul.js';
import { ACL_OF_DTYPE } from '../../graph/ops/inputs.js';
import { FULL_MASK } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { ROTARY_ROWS } from '../attention/rotary-rows.js';
import { type CacheRef, layerCache } from '../cache-ref.js';
import type { LayerStep } from '../decoder/decoder-layers.js';
import { addResidual } from '../formulas/residual.js';
import { addColumns } from '../linear/gate.js';
import { buildLinear } from '../linear/linear-steps.js';
import { Module } from '../module.js';
import { type Choice, ExpertRouter, type RouterConfig } from './expert-router.js';

/** What it is told by the configuration. */
export interface AttentionExpertsConfig extends RouterConfig {
  /** Heads of keys and values: each expert has as many heads of queries. */
  readonly numKeyValueHeads: number;
  readonly headDim: number;
}

/** One of a token's choices: which expert it is, i32 [tokens, 1], and with which weight, f32 [tokens, 1]. */
interface OneChoice extends Choice {
  /** Of names in the graph. */
  readonly of: string;
}

/**
 * A mixture of attention heads (arXiv:2404.07413, section 2.2): experts make queries and take what was attended to, and all
 * share keys and values. Each token chooses some of them. The matrices of experts stay floats, whatever becomes of others.
 */
export class AttentionExperts extends Module implements LayerStep {
  readonly router: ExpertRouter;
  readonly keyValue: Linear;
  /** [experts, heads * headDim, hidden]. */
  private readonly queries: TensorRef;
  /** [experts, hidden, heads * headDim]. */
  private readonly outputs: TensorRef;
  /** [hidden]. */
  private readonly bias: TensorRef;
  private readonly cache: CacheRef & { readonly value: string };
  private readonly dtype: FloatDType;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(
    layerId: number,
    private readonly config: AttentionExpertsConfig,
    weights: Weights,
  ) {
    super();
    const { hiddenSize, numExperts, numKeyValueHeads: heads, headDim } = config;
    const width = heads * headDim;
    const at = weights.at('experts');
    this.router = new ExpertRouter(config, at, { gate: 'router.layer.weight', inGraph: 'attention_router' });
    this.keyValue = Linear.load(weights, {
      parts: [{ name: 'kv_proj', outFeatures: 2 * width }],
      inFeatures: hiddenSize,
    });
    const stack = (name: string, rows: number, columns: number): TensorRef => {
      at.requireFloats(name);
      return at.get(`${name}.weight`, [numExperts, rows, columns]);
    };
    this.queries = stack('input_linear', width, hiddenSize);
    this.outputs = stack('output_linear', hiddenSize, width);
    this.bias = at.get('bias', [hiddenSize]);
    this.cache = layerCache(layerId, { heads, keySize: headDim, valueSize: headDim });
    this.dtype = weights.dtype ?? 'bf16';
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.queries, this.outputs, this.bias];
  }

  override caches(): CacheRef[] {
    return [this.cache];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { numKeyValueHeads: heads, headDim } = this.config;
    const width = heads * headDim;
    const choices = this.choicesOf(graph, this.router.buildGraph(graph, input));
    const keyValue = buildLinear(graph, this.keyValue, input, 'key_value_out');
    const q = this.addQueries(graph, input, choices);
    const k = addColumns(graph, keyValue, 0, width, 'k');
    CommonOpBuilderManager.getBuilder({ category: 'ROPE', opName: 'rope', rotaryCoeff: 2 }).build(graph, {
      ...{ q, k, qOut: 'q_rope', kOut: 'k_rope', seqLen: 'seq_len' },
      ...{ cosEmbedding: ROTARY_ROWS.cos, sinEmbedding: ROTARY_ROWS.sin },
    });
    this.addAttention(graph, kind, addColumns(graph, keyValue, width, width, 'v'));
    return this.addOutputs(graph, choices);
  }

  /** The choices of each token, one after the other. */
  private choicesOf(graph: AtbGraph, { chosen, probs }: Choice): OneChoice[] {
    return Array.from({ length: this.config.numExpertsPerToken }, (_, at) => ({
      of: `choice_${at}`,
      chosen: addColumns(graph, chosen, at, 1, `choice_${at}_expert`),
      probs: addColumns(graph, probs, at, 1, `choice_${at}_prob`),
    }));
  }

  /** Each row of `input` times the matrix of its expert: the rows sorted by experts, and the place of each. */
  private addProducts(graph: AtbGraph, input: string, chosen: string, matrices: TensorRef, of: string) {
    const routing = { topkNum: 1, expertNum: this.config.numExperts };
    const { rows, places, ends } = sortByExperts(graph, of, routing, { input, chosen });
    const product: GroupedMatmulParam = {
      ...{ transposeB: true, hasBias: false, quantType: GMM_QUANT.NONE },
      outDataType: ACL_OF_DTYPE[this.dtype],
    };
    const sorted = `${of}_sorted`;
    graph.addOperation(
      new BaseOperation('GroupedMatmul', product, of),
      [rows, matrices.name, ends],
      [sorted],
    );
    return { sorted, places };
  }

  /** `input` [tokens, hidden] -> queries [tokens, heads * choices * headDim]: of each head those of all choices. */
  private addQueries(graph: AtbGraph, input: string, choices: readonly OneChoice[]): string {
    const { numKeyValueHeads: heads, headDim } = this.config;
    const all = choices
      .map(({ of, chosen }) => {
        const { sorted, places } = this.addProducts(graph, input, chosen, this.queries, `${of}_queries`);
        const gather = new BaseOperation('Gather', { axis: 0 }, `${of}_gather`);
        graph.addOperation(gather, [sorted, places], [`${of}_q`]);
        graph.addReshape(`${of}_q`, `${of}_q_heads`, [dim(0), heads, headDim]);
        return `${of}_q_heads`;
      })
      .reduce((before, next, at) => {
        const concat = new BaseOperation('Concat', { concatDim: 2 }, `q_concat_${at}`);
        graph.addOperation(concat, [before, next], [`q_heads_${at}`]);
        return `q_heads_${at}`;
      });
    graph.addReshape(all, 'q', [dim(0), dim(1, 2)]);
    return 'q';
  }

  /** Queries of all choices attend to the same keys and values: `attn_out`, of the shape of queries. */
  private addAttention(graph: AtbGraph, kind: GraphKind, v: string): void {
    const { numKeyValueHeads, headDim, numExpertsPerToken } = this.config;
    const { key, value } = this.cache;
    const cache = { key, value, slots: 'slots_mapping', blockTables: 'block_tables' };
    CommonOpBuilderManager.getBuilder({
      ...{ category: 'ATTENTION', opName: 'attention', attnType: 'PAGED_ATTENTION', kind, headDim },
      ...{ headNum: numKeyValueHeads * numExpertsPerToken, kvHeadNum: numKeyValueHeads },
      ...{ scale: 1 / Math.sqrt(headDim), isCausal: true },
    }).build(graph, {
      ...{ q: 'q_rope', k: 'k_rope', v, seqLen: 'seq_len', qLen: 'q_len' },
      ...{ attentionMask: FULL_MASK, attentionOut: 'attn_out' },
      ...(kind.fillsCache && { cache }),
    });
  }

  /** The weighted sum of what the chosen experts make of `attn_out`, and a bias: [tokens, hidden]. */
  private addOutputs(graph: AtbGraph, choices: readonly OneChoice[]): string {
    const { numKeyValueHeads: heads, headDim } = this.config;
    graph.addReshape('attn_out', 'attn_heads', [dim(0), heads, choices.length * headDim]);
    const sum = choices
      .map(({ of, chosen, probs }, at) => {
        const box = { offsets: [0, 0, at * headDim], size: [-1, -1, headDim] };
        const own = `${of}_attn`;
        graph.addOperation(new BaseOperation('Slice', box, `${own}_slice`), ['attn_heads'], [own]);
        graph.addReshape(own, `${own}_flat`, [dim(0), dim(1, 2)]);
        const { sorted, places } = this.addProducts(
          graph,
          `${own}_flat`,
          chosen,
          this.outputs,
          `${of}_dense`,
        );
        const unpermute = new BaseOperation('MoeTokenUnpermute', {}, `${of}_unpermute`);
        graph.addOperation(unpermute, [sorted, places, probs], [`${of}_out`]);
        return `${of}_out`;
      })
      .reduce((before, next, at) => addResidual(graph, before, next, `choices_${at}`));
    return addResidual(graph, sum, this.bias.name, 'dense_out');
  }
}
