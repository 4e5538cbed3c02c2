import { CommonOpBuilderManager, type Phase, SINGLE_RANK } from '../common-op-builders/index.js';
import type { AtbGraph } from '../graph/atb-graph.js';
import { Linear } from '../weights/linear.js';
import type { TensorRef, Weights } from '../weights/weights.js';
import type { BaseConfig } from './config/index.js';
import type { Module } from './module.js';

/**
 * The steps of grouped-query attention over a paged KV cache. A model composes them in `buildGraph`, so its file shows
 * its architecture. Reads hidden states [tokens, hidden], writes `dense_out` [tokens, hidden].
 */
export abstract class BaseAttention implements Module {
  readonly linearInfo: { readonly qkv: Linear; readonly dense: Linear };

  constructor(
    protected readonly layerId: number,
    protected readonly config: BaseConfig,
    weights: Weights,
  ) {
    const { hiddenSize, numAttentionHeads, numKeyValueHeads, headDim, qkvBias, denseBias } = config;
    const [q, kv] = [numAttentionHeads * headDim, numKeyValueHeads * headDim];
    this.linearInfo = {
      qkv: Linear.load(weights, {
        name: 'query_key_value',
        parts: [
          { name: 'q_proj', outFeatures: q },
          { name: 'k_proj', outFeatures: kv },
          { name: 'v_proj', outFeatures: kv },
        ],
        inFeatures: hiddenSize,
        hasBias: qkvBias,
      }),
      dense: Linear.load(weights, {
        parts: [{ name: 'o_proj', outFeatures: hiddenSize }],
        inFeatures: q,
        hasBias: denseBias,
      }),
    };
  }

  abstract buildGraph(graph: AtbGraph, phase: Phase): void;

  getWeights(): TensorRef[] {
    return [...this.linearInfo.qkv.getWeights(), ...this.linearInfo.dense.getWeights()];
  }

  /** `input` -> `q` [tokens, heads * headDim], `k` and `v` [tokens, kvHeads * headDim]. */
  buildQkvGraph(graph: AtbGraph, input = 'input_layernorm_out'): void {
    const { numAttentionHeads: headNum, numKeyValueHeads: kvHeadNum, headDim } = this.config;
    CommonOpBuilderManager.getBuilder({
      category: 'QKV',
      opName: 'qkv',
      linears: [this.linearInfo.qkv],
      headNum,
      kvHeadNum,
      headDim,
    }).build(graph, { input, qOut: 'q', kOut: 'k', vOut: 'v' });
  }

  /** `q` and `k` -> `q_rope` and `k_rope`. */
  buildRopeGraph(graph: AtbGraph, q = 'q', k = 'k'): void {
    CommonOpBuilderManager.getBuilder({ category: 'ROPE', opName: 'rope', rotaryCoeff: 2 }).build(graph, {
      q,
      k,
      cosEmbedding: 'cos_embedding',
      sinEmbedding: 'sin_embedding',
      seqLen: 'seq_len',
      qOut: 'q_rope',
      kOut: 'k_rope',
    });
  }

  /** `q_rope`, `k_rope`, `v` and the cache -> `attn_out` [tokens, heads * headDim]. */
  buildAttentionGraph(graph: AtbGraph, phase: Phase): void {
    const { numAttentionHeads: headNum, numKeyValueHeads: kvHeadNum, headDim, slidingWindows } = this.config;
    const windowSize = slidingWindows[this.layerId];
    CommonOpBuilderManager.getBuilder({
      category: 'ATTENTION',
      opName: 'attention',
      attnType: 'PAGED_ATTENTION',
      phase,
      headNum,
      kvHeadNum,
      headDim,
      ...(windowSize !== undefined && { windowSize }),
    }).build(graph, {
      q: 'q_rope',
      k: 'k_rope',
      v: 'v',
      kCache: 'k_cache',
      vCache: 'v_cache',
      slots: 'slots_mapping',
      seqLen: 'seq_len',
      attentionMask: 'attention_mask',
      blockTables: 'block_tables',
      qLen: 'q_len',
      attentionOut: 'attn_out',
    });
  }

  /** `attn_out` -> `dense_out`. */
  buildDenseGraph(graph: AtbGraph, phase: Phase): void {
    CommonOpBuilderManager.getBuilder({
      category: 'LINEAR_PARALLEL',
      opName: 'dense',
      linear: this.linearInfo.dense,
      parallelType: 'ALL_REDUCE',
      parallelInfo: SINGLE_RANK,
      enableLcoc: phase === 'prefill',
    }).build(graph, { input: 'attn_out', linearOut: 'dense_out' });
  }
}
