import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  experts,
  field,
  flag,
  integer,
  LLAMA_DEFAULTS,
  slidingByLayer,
  sparseBySteps,
  WIDTH,
} from '../../layers/config/index.js';
import type { LayerStep } from '../../layers/decoder/decoder-layers.js';
import { ExpertRouter } from '../../layers/experts/expert-router.js';
import { Experts, SparseMLP } from '../../layers/experts/experts.js';
import { BaseMLP, type MLPConfig } from '../../layers/mlp/mlp.js';
import { Module } from '../../layers/module.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { FlashSparseLlamaATB } from '../llama/index.js';

/** Defaults of transformers 5.24, Qwen2MoeConfig. */
const QWEN2_MOE_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 16 }),
    ...biases({ qkv: field('qkv_bias', flag, true), dense: false, mlp: false }),
    ...experts({ numExperts: 60, numExpertsPerToken: 4, moeIntermediateSize: 1408, normTopkProb: false }),
    sharedIntermediateSize: field('shared_expert_intermediate_size', WIDTH, 5632),
    sparseLayers: sparseBySteps,
    maxWindowLayers: field('max_window_layers', integer(0, 1000), 28),
    slidingWindows: slidingByLayer<{
      readonly numHiddenLayers: number;
      readonly maxWindowLayers: number;
    }>({
      useSlidingWindow: false,
      window: 4096,
      slides: (layer, { maxWindowLayers }) => layer % 2 === 0 && layer < maxWindowLayers,
    }),
  },
});

type Qwen2MoeConfig = ConfigOf<typeof QWEN2_MOE_CONFIG>;

/** The MLP that all tokens pass through, whose result each token weighs: sigmoid(gate(x)) * mlp(x). */
export class GatedSharedExpert extends Module implements LayerStep {
  readonly mlp: BaseMLP;
  private readonly gate: TensorRef;

  constructor(
    config: Omit<MLPConfig, 'intermediateSize'> & { readonly sharedIntermediateSize: number },
    weights: Weights,
  ) {
    super();
    const { hiddenSize, sharedIntermediateSize: intermediateSize } = config;
    this.mlp = new BaseMLP({ ...config, intermediateSize }, weights.at('shared_expert'));
    this.gate = weights.get('shared_expert_gate.weight', [1, hiddenSize]);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.gate];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const shared = this.mlp.buildGraph(graph, kind, input);
    const linear = new BaseOperation('Linear', { transposeB: true, hasBias: false }, 'shared_gate');
    graph.addOperation(linear, [input, this.gate.name], ['shared_gate_out']);
    graph.addOperation(
      new BaseOperation('Sigmoid', {}, 'shared_sigmoid'),
      ['shared_gate_out'],
      ['shared_share'],
    );
    const multiply = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_MUL' }, 'shared_weigh');
    graph.addOperation(multiply, [shared, 'shared_share'], ['shared_out']);
    return 'shared_out';
  }
}

/** Qwen 2 with experts in place of MLPs, and one that all tokens share (arXiv:2407.10671, section 2.2.2). */
export class FlashQwen2MoeForCausalLMATB extends FlashSparseLlamaATB<Qwen2MoeConfig> {
  readonly name = 'qwen2_moe';

  constructor(config: Qwen2MoeConfig, weights: Weights) {
    super(config, weights, {
      experts: (at) =>
        new SparseMLP({
          router: new ExpertRouter({ ...config, scoring: 'softmax' }, at),
          experts: new Experts(config, at.at('experts')),
          shared: new GatedSharedExpert(config, at),
        }),
    });
  }
}

export const Qwen2MoeRouter = routerOf(QWEN2_MOE_CONFIG, FlashQwen2MoeForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['biases of q, k and v', 'a gated shared expert', 'MLPs beside experts', 'windows by layer'],
    reference: 'transformers',
  },
});
registerModel('qwen2_moe', Qwen2MoeRouter);
