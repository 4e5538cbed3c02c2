import {
  biases,
  type ConfigOf,
  defineConfig,
  experts,
  type Field,
  field,
  integer,
} from '../../layers/config/index.js';
import type { LayerStep } from '../../layers/decoder-layers.js';
import { ExpertRouter, Experts, SparseMLP } from '../../layers/experts.js';
import { BaseMLP } from '../../layers/mlp.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { GRANITE_FIELDS } from '../granite/index.js';
import { LlamaAttention, LlamaLayer, LlamaModelATB } from '../llama/index.js';

/** The width of the MLP that all tokens pass through; 0: there is none. */
const sharedWidth: Field<number> = field('shared_intermediate_size', integer(0, 2 ** 24), 0);

/** Defaults of transformers 5.24, GraniteMoeConfig and GraniteMoeSharedConfig. */
const GRANITEMOE_CONFIG = defineConfig({
  fields: {
    ...GRANITE_FIELDS,
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    ...experts({
      numExperts: 8,
      numExpertsPerToken: 2,
      moeIntermediateSize: 'intermediate_size',
      normTopkProb: 'always',
    }),
    sharedWidth,
  },
});
type GraniteMoeConfig = ConfigOf<typeof GRANITEMOE_CONFIG>;

/** Granite with experts in place of all MLPs, and in some models an MLP that all tokens pass through, too. */
export class FlashGraniteMoeForCausalLMATB extends FlashForCausalLMATB<GraniteMoeConfig> {
  readonly name: string = 'granitemoe';
  protected readonly model: LlamaModelATB;

  constructor(config: GraniteMoeConfig, weights: Weights) {
    super(config, weights, { scale: 1 / config.logitsScaling });
    const { attentionMultiplier: scale, residualMultiplier: outputScale, embeddingMultiplier } = config;
    const sparse = (layer: Weights): SparseMLP => {
      const at = layer.at('block_sparse_moe');
      const routing = { ...config, scoring: 'softmax' as const, routedScalingFactor: outputScale };
      return new SparseMLP({
        router: new ExpertRouter(routing, at, { gate: 'router.layer.weight' }),
        experts: new Experts(config, at, {
          stacked: { gateUp: 'input_linear.weight', down: 'output_linear.weight' },
        }),
        shared: config.sharedWidth === 0 ? undefined : sharedMLP(config, layer.at('shared_mlp')),
      });
    };
    this.model = new LlamaModelATB(
      config,
      weights.at('model'),
      (layerId, at) =>
        new LlamaLayer(layerId, config, at, {
          selfAttn: new LlamaAttention(layerId, config, at.at('self_attn'), { scale, outputScale }),
          mlp: sparse(at),
        }),
      embeddingMultiplier,
    );
  }
}

const sharedMLP = (config: GraniteMoeConfig, weights: Weights): LayerStep =>
  new BaseMLP({ ...config, intermediateSize: config.sharedWidth }, weights, {
    names: { gateUp: 'input_linear', down: 'output_linear' },
    outputScale: config.residualMultiplier,
  });

export const GraniteMoeRouter = routerOf(GRANITEMOE_CONFIG, FlashGraniteMoeForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['as granite', 'a shared expert'],
    reference: 'transformers',
  },
});
registerModel('granitemoe', GraniteMoeRouter);
