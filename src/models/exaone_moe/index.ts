import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  expertGroups,
  experts,
  type Field,
  field,
  flag,
  LLAMA_DEFAULTS,
  listOf,
  only,
  predictionLayers,
  routedScalingFactor,
  sharedExperts,
  sparseByType,
} from '../../layers/config/index.js';
import { sigmoidExperts } from '../../layers/experts/sigmoid-experts.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { exaone4Attention, exaone4Windows } from '../exaone4/index.js';
import { FlashSparseLlamaATB } from '../llama/index.js';

/** Published files say it twice, the second time in a list that transformers does not read: both must mean the same. */
const sparseLayers: Field<readonly boolean[], { readonly numHiddenLayers: number }> = {
  read(json, config) {
    const sparse = sparseByType({ dense: 1 }).read(json, config);
    const listed = json.optional('is_moe_layer', listOf(flag, 'true and false'));
    if (listed !== undefined && listed.join() !== sparse.join())
      json.problem(
        `is_moe_layer must be [${sparse.join(', ')}], as mlp_layer_types or first_k_dense_replace says`,
      );
    return sparse;
  },
};

/** Defaults of transformers 5.24, ExaoneMoeConfig. */
const EXAONE_MOE_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 32, rmsNormEps: 1e-5 }),
    ...biases({ qkv: false, dense: false, mlp: false }),
    ...exaone4Windows,
    ...experts({ numExperts: 64, numExpertsPerToken: 8, moeIntermediateSize: 1024, normTopkProb: true }),
    expertGroups: expertGroups({ count: 1, kept: 1, scored: 2 }),
    routedScalingFactor: routedScalingFactor(2.5),
    sharedExperts: sharedExperts('num_shared_experts', 1),
    sparseLayers,
    scoring: field('scoring_func', only('sigmoid'), 'sigmoid'),
    choice: field('topk_method', only('noaux_tc'), 'noaux_tc'),
    predictionLayers: predictionLayers(0),
  },
  irrelevant: { first_last_k_dense_replace: 'is what is_moe_layer lists' },
});
type ExaoneMoeConfig = ConfigOf<typeof EXAONE_MOE_CONFIG>;

/** K-EXAONE: Llama's layers with EXAONE 4's attention, and with experts that are chosen as in DeepSeek-V3. */
export class FlashExaoneMoeForCausalLMATB extends FlashSparseLlamaATB<ExaoneMoeConfig> {
  readonly name = 'exaone_moe';

  constructor(config: ExaoneMoeConfig, weights: Weights) {
    super(config, weights, {
      selfAttn: (layerId, at) => exaone4Attention(layerId, config, at),
      experts: (at) => sigmoidExperts(config, at, { correction: 'e_score_correction_bias' }),
    });
  }
}

export const ExaoneMoeRouter = routerOf(EXAONE_MOE_CONFIG, FlashExaoneMoeForCausalLMATB, {
  about: {
    kind: 'experts',
    features: [
      ...['norms of q and k', 'windows by layer', 'layers without rotary'],
      ...['corrected choice in groups', 'a shared expert'],
    ],
    reference: 'transformers',
  },
});
registerModel('exaone_moe', ExaoneMoeRouter);
