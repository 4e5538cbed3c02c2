import { CommonOpBuilderManager, type Phase, SINGLE_RANK } from '../../common-op-builders/index.js';
import { AtbGraph, type GraphSpec } from '../../graph/atb-graph.js';
import type { BaseConfig } from '../../layers/config/index.js';
import { Linear } from '../../weights/linear.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import type { BaseModelATB } from './base-model-atb.js';
import { maskInputs } from './layer-inputs.js';

/** A causal language model as three graphs that differ only where `phase` is read. */
export abstract class FlashForCausalLMATB {
  /** Names the graphs: `llama_prefill_graph`. */
  abstract readonly name: string;
  protected abstract readonly model: BaseModelATB;
  readonly lmHead: Linear;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(
    readonly config: BaseConfig,
    weights: Weights,
  ) {
    const { tieWordEmbeddings, vocabSize, hiddenSize } = config;
    this.lmHead = Linear.load(weights, {
      name: 'lm_head',
      parts: [{ name: tieWordEmbeddings ? 'model.embed_tokens' : 'lm_head', outFeatures: vocabSize }],
      inFeatures: hiddenSize,
      role: 'head',
    });
  }

  /** Every weight once, in graph order. */
  getWeights(): TensorRef[] {
    const all = [...this.model.getWeights(), ...this.lmHead.getWeights()];
    return [...new Map(all.map((weight) => [weight.name, weight])).values()];
  }

  /** KV caches in graph order: `layer_0_k_cache`, `layer_0_v_cache`, … */
  cacheNames(): string[] {
    return this.model.layers.flatMap(({ layerId }) => [
      `layer_${layerId}_k_cache`,
      `layer_${layerId}_v_cache`,
    ]);
  }

  /** What each step brings, besides weights and caches. */
  inTensorNames(phase: Phase): string[] {
    return [
      'input_ids',
      'position_ids',
      'cos_table',
      'sin_table',
      'slots_mapping',
      'seq_len',
      ...(phase === 'prefill' ? [] : ['block_tables']),
      ...(phase === 'splitfuse' ? ['q_len'] : []),
      ...maskInputs(phase, this.config),
      ...(phase === 'decode' ? [] : ['lm_head_indices']),
    ];
  }

  /** The portable graph: legal ATB. Output: `model_out` [sequences, vocab], the logits of each sequence's last token. */
  buildGraph(phase: Phase): GraphSpec {
    const graph = new AtbGraph(`${this.name}_${phase}_graph`);
    const weights = this.getWeights().map((weight) => weight.name);
    graph.addInputOutput({
      input: [...weights, ...this.cacheNames(), ...this.inTensorNames(phase)],
      output: ['model_out'],
    });
    this.model.buildGraph(graph, phase);
    CommonOpBuilderManager.getBuilder({
      category: 'LM_HEAD',
      opName: 'lm_head',
      linear: this.lmHead,
      gatherAhead: phase !== 'decode',
      parallelInfo: SINGLE_RANK,
    }).build(graph, { input: 'norm_out', indices: 'lm_head_indices', linearOut: 'model_out' });
    return graph.build();
  }
}
