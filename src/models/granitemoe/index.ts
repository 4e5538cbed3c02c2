import {
  biases,
  type ConfigOf,
  defineConfig,
  experts,
  type Field,
  field,
  integer,
} from '../../layers/config/index.js';
import type { LayerStep } from '../../layers/decoder/decoder-layers.js';
import { ExpertRouter, type RouterConfig } from '../../layers/experts/expert-router.js';
import { Experts, SparseMLP } from '../../layers/experts/experts.js';
import { BaseMLP, type MLPConfig } from '../../layers/mlp/mlp.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { GRANITE_FIELDS } from '../granite/index.js';
import { LlamaAttention, LlamaLayer, LlamaModelATB } from '../llama/index.js';

/** The width of the MLP that all tokens pass through; 0: there is none. */
export const sharedWidth = (fallback: number): Field<number> =>
  field('shared_intermediate_size', integer(0, 2 ** 24), fallback);

/** Defaults of transformers 5.24, GraniteMoeConfig, GraniteMoeSharedConfig and GraniteMoeHybridConfig. */
export const GRANITEMOE_FIELDS = {
  ...GRANITE_FIELDS,
  ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
  ...experts({
    numExperts: 8,
    numExpertsPerToken: 2,
    moeIntermediateSize: 'intermediate_size',
    normTopkProb: 'always',
  }),
};

const GRANITEMOE_CONFIG = defineConfig({ fields: { ...GRANITEMOE_FIELDS, sharedWidth: sharedWidth(0) } });
type GraniteMoeConfig = ConfigOf<typeof GRANITEMOE_CONFIG>;

/** Granite with experts in place of all MLPs, and in some models an MLP that all tokens pass through, too. */
export class FlashGraniteMoeForCausalLMATB extends FlashForCausalLMATB<GraniteMoeConfig> {
  readonly name: string = 'granitemoe';
  protected readonly model: LlamaModelATB;

  constructor(config: GraniteMoeConfig, weights: Weights) {
    super(config, weights, { scale: 1 / config.logitsScaling });
    const { attentionMultiplier: scale, residualMultiplier: outputScale, embeddingMultiplier } = config;
    this.model = new LlamaModelATB(
      config,
      weights.at('model'),
      (layerId, at) =>
        new LlamaLayer(layerId, config, at, {
          selfAttn: new LlamaAttention(layerId, config, at.at('self_attn'), { scale, outputScale }),
          mlp: graniteMLP(config, at),
        }),
      embeddingMultiplier,
    );
  }
}

/** What the MLP of a layer is told. */
type GraniteMLPConfig = MLPConfig &
  Omit<RouterConfig, 'scoring' | 'routedScalingFactor'> &
  ConstructorParameters<typeof Experts>[0] & {
    readonly residualMultiplier: number;
    readonly sharedWidth: number;
  };

/** What checkpoints call the experts of a layer and their router: as published first, and as transformers has them. */
const NAMES = {
  published: {
    gate: 'router.layer.weight',
    stacked: { gateUp: 'input_linear.weight', down: 'output_linear.weight' },
  },
  inMemory: { gate: 'router.weight', stacked: { gateUp: 'experts.gate_up_proj', down: 'experts.down_proj' } },
} as const;

/** Experts, an MLP that all tokens pass through, or both. `layer` is the layer's cursor. */
export function graniteMLP(
  config: GraniteMLPConfig,
  layer: Weights,
  naming: keyof typeof NAMES = 'published',
): LayerStep {
  const at = layer.at('block_sparse_moe');
  const { residualMultiplier: outputScale, sharedWidth: intermediateSize } = config;
  const shared = () =>
    new BaseMLP({ ...config, intermediateSize }, layer.at('shared_mlp'), {
      names: { gateUp: 'input_linear', down: 'output_linear' },
      outputScale,
    });
  if (config.numExperts === 0) return shared();
  const routing = { ...config, scoring: 'softmax' as const, routedScalingFactor: outputScale };
  const { gate, stacked } = NAMES[naming];
  return new SparseMLP({
    router: new ExpertRouter(routing, at, { gate }),
    experts: new Experts(config, at, { stacked }),
    shared: intermediateSize === 0 ? undefined : shared(),
  });
}

export const GraniteMoeRouter = routerOf(GRANITEMOE_CONFIG, FlashGraniteMoeForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['as granite', 'a shared expert'],
    reference: 'transformers',
  },
});
registerModel('granitemoe', GraniteMoeRouter);
