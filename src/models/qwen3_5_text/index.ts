import {
  axesTakeTurns,
  type ConfigOf,
  constant,
  defineConfig,
  field,
  keysBecause,
  only,
  sectionsOr,
} from '../../layers/config/index.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import type { DeltaNetConfig, DeltaNetParts } from '../../layers/recurrent/gated-delta-net.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import type { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import {
  type DeltaHybridParts,
  GUESSING_LAYERS,
  type HybridConfig,
  hybridExperts,
  hybridFields,
  hybridModel,
  type SharedSparseConfig,
  sharedSparseMLP,
} from '../qwen3_next/index.js';

/** A tensor for each projection. */
const deltaNetParts = ({ keyHeads, valueHeads, keySize, valueSize }: DeltaNetConfig): DeltaNetParts => {
  const values = valueHeads * valueSize;
  return {
    qkvz: [
      { name: 'in_proj_qkv', outFeatures: 2 * keyHeads * keySize + values },
      { name: 'in_proj_z', outFeatures: values },
    ],
    gates: [
      { name: 'in_proj_b', outFeatures: valueHeads },
      { name: 'in_proj_a', outFeatures: valueHeads },
    ],
  };
};

/** What the layers of Qwen3.5 are made of: MLPs, or experts in all of them. */
export const denseParts = (config: HybridConfig): DeltaHybridParts => ({
  deltaNet: deltaNetParts(config),
  mlp: (_, at) => new BaseMLP(config, at),
});
export const sparseParts = (config: HybridConfig & SharedSparseConfig): DeltaHybridParts => ({
  deltaNet: deltaNetParts(config),
  mlp: (_, at) => sharedSparseMLP(config, at),
});

/** What text is told; positions have three axes, which are one where all is text. Defaults of transformers 5.24. */
const others = {
  sections: sectionsOr([11, 11, 10]),
  isInterleaved: axesTakeTurns,
  hasGates: field('attn_output_gate', only(true), true),
};
export const denseFields = { ...hybridFields(4), ...others };
export const sparseFields = {
  ...hybridFields(2),
  intermediateSize: constant(0),
  ...hybridExperts(256, 8),
  ...others,
};

/** Keys of text that change nothing here. */
export const QWEN3_5_IRRELEVANT = {
  mamba_ssm_dtype: 'is f32, in which states are held here',
  ...keysBecause(
    'is about layers that guess further tokens',
    'mtp_num_hidden_layers',
    'mtp_use_dedicated_embeddings',
  ),
};
const QWEN3_5_CONFIG = defineConfig({ fields: denseFields, irrelevant: QWEN3_5_IRRELEVANT });
const QWEN3_5_MOE_CONFIG = defineConfig({ fields: sparseFields, irrelevant: QWEN3_5_IRRELEVANT });
type Qwen35Config = ConfigOf<typeof QWEN3_5_CONFIG>;
type Qwen35MoeConfig = ConfigOf<typeof QWEN3_5_MOE_CONFIG>;

/** The text model of Qwen3.5: Qwen3-Next, its projections in tensors of their own. */
export class FlashQwen35ForCausalLMATB extends FlashForCausalLMATB<Qwen35Config> {
  readonly name = 'qwen3_5';
  protected readonly model: BaseModelATB;

  constructor(config: Qwen35Config, weights: Weights) {
    super(config, weights);
    this.model = hybridModel(config, weights.at('model'), denseParts(config));
  }
}

/** The same with experts. */
export class FlashQwen35MoeForCausalLMATB extends FlashForCausalLMATB<Qwen35MoeConfig> {
  readonly name = 'qwen3_5_moe';
  protected readonly model: BaseModelATB;

  constructor(config: Qwen35MoeConfig, weights: Weights) {
    super(config, weights);
    this.model = hybridModel(config, weights.at('model'), sparseParts(config));
  }
}

const FEATURES = ['gated delta rule', 'gated attention', 'norms of q and k'];

export const Qwen35Router = routerOf(QWEN3_5_CONFIG, FlashQwen35ForCausalLMATB, {
  about: { kind: 'variant', features: FEATURES, reference: 'transformers' },
  harmlessTensors: GUESSING_LAYERS,
});
registerModel('qwen3_5_text', Qwen35Router);

export const Qwen35MoeRouter = routerOf(QWEN3_5_MOE_CONFIG, FlashQwen35MoeForCausalLMATB, {
  about: { kind: 'experts', features: [...FEATURES, 'a gated shared expert'], reference: 'transformers' },
  harmlessTensors: GUESSING_LAYERS,
});
registerModel('qwen3_5_moe_text', Qwen35MoeRouter);
