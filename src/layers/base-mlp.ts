import { CommonOpBuilderManager, type Phase, SINGLE_RANK } from '../common-op-builders/index.js';
import type { AtbGraph } from '../graph/atb-graph.js';
import { Linear } from '../weights/linear.js';
import type { TensorRef, Weights } from '../weights/weights.js';
import type { BaseConfig } from './config/index.js';
import type { Module } from './module.js';

/**
 * down(act(gate(x)) * up(x)), with gate and up as one matrix product: `input` -> `mlp_out`; both [tokens, hidden].
 */
export class BaseMLP implements Module {
  readonly linearInfo: { readonly gateUp: Linear; readonly down: Linear };

  constructor(
    protected readonly config: BaseConfig,
    weights: Weights,
  ) {
    const { hiddenSize, intermediateSize, mlpBias } = config;
    this.linearInfo = {
      gateUp: Linear.load(weights, {
        name: 'gate_up_proj',
        parts: [
          { name: 'gate_proj', outFeatures: intermediateSize },
          { name: 'up_proj', outFeatures: intermediateSize },
        ],
        inFeatures: hiddenSize,
        hasBias: mlpBias,
      }),
      down: Linear.load(weights, {
        parts: [{ name: 'down_proj', outFeatures: hiddenSize }],
        inFeatures: intermediateSize,
        hasBias: mlpBias,
      }),
    };
  }

  getWeights(): TensorRef[] {
    return [...this.linearInfo.gateUp.getWeights(), ...this.linearInfo.down.getWeights()];
  }

  buildGraph(graph: AtbGraph, phase: Phase, input = 'post_attention_layernorm_out'): void {
    this.buildGateUpGraph(graph, input);
    this.buildActivationGraph(graph);
    this.buildDownGraph(graph, phase);
  }

  /** `input` -> `gate_up_out` [tokens, 2 * intermediate]. */
  buildGateUpGraph(graph: AtbGraph, input: string): void {
    const linears = [this.linearInfo.gateUp] as const;
    CommonOpBuilderManager.getBuilder({ category: 'GATE_UP', opName: 'gate_up', linears }).build(graph, {
      input,
      gateUpOut: 'gate_up_out',
    });
  }

  /** `gate_up_out` -> `mul_out` [tokens, intermediate]. */
  buildActivationGraph(graph: AtbGraph): void {
    CommonOpBuilderManager.getBuilder({
      category: 'ACTIVATION',
      opName: 'activation',
      kind: this.config.hiddenAct,
      isGated: true,
      isPack: true,
    }).build(graph, { input: 'gate_up_out', actOut: 'mul_out' });
  }

  /** `mul_out` -> `mlp_out`. */
  buildDownGraph(graph: AtbGraph, phase: Phase): void {
    CommonOpBuilderManager.getBuilder({
      category: 'LINEAR_PARALLEL',
      opName: 'down',
      linear: this.linearInfo.down,
      parallelType: 'ALL_REDUCE',
      parallelInfo: SINGLE_RANK,
      enableLcoc: phase === 'prefill',
    }).build(graph, { input: 'mul_out', linearOut: 'mlp_out' });
  }
}
