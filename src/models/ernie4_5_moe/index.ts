import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  experts,
  type Field,
  field,
  flag,
  fullAttention,
  integer,
  LLAMA_DEFAULTS,
  positive,
  predictionLayers,
  sharedExperts,
} from '../../layers/config/index.js';
import { ExpertRouter } from '../../layers/experts/expert-router.js';
import { Experts, SparseMLP, sharedMLP } from '../../layers/experts/experts.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashSparseLlamaATB } from '../llama/index.js';

/** Of the layers from `moe_layer_start_index` to `moe_layer_end_index`, every one that ends an interval. */
const sparseByInterval: Field<readonly boolean[], { readonly numHiddenLayers: number }> = {
  read(json, { numHiddenLayers }) {
    const first = json.value('moe_layer_start_index', integer(0, 1000)) ?? 1;
    // -1 stands for the last of all.
    const end = json.value('moe_layer_end_index', integer(-1, 1000)) ?? -1;
    const every = json.value('moe_layer_interval', integer(1, 1000)) ?? 1;
    return Array.from(
      { length: numHiddenLayers },
      (_, layer) => (layer + 1) % every === 0 && layer >= first && (end === -1 || layer <= end),
    );
  },
};

/** Sizes, biases and experts. Defaults of transformers 5.24, Ernie4_5_MoeConfig. */
export const ernieText = {
  ...decoder({
    ...LLAMA_DEFAULTS,
    numKeyValueHeads: 4,
    rmsNormEps: 1e-5,
    ropeTheta: 500_000,
    tieWordEmbeddings: true,
    rotary: { interleaved: true, keepsF32: true },
  }),
  // Of everything but experts that tokens are given to: Ernie4_5_MoeExperts has none.
  ...biases({ qkv: 'use_bias', dense: 'use_bias', mlp: 'use_bias' }),
  ...experts({
    numExperts: 64,
    numExpertsPerToken: 6,
    moeIntermediateSize: 1536,
    normTopkProb: 'always',
    names: {
      numExperts: ['moe_num_experts', 'num_experts', 'num_local_experts'],
      numExpertsPerToken: ['moe_k', 'num_experts_per_tok'],
    },
  }),
  leastSum: field('moe_norm_min', positive(1), 1e-12),
  sharedExperts: sharedExperts('moe_num_shared_experts', 2),
  slidingWindows: fullAttention,
};

const ERNIE4_5_MOE_CONFIG = defineConfig({
  fields: {
    ...ernieText,
    headBias: field('use_bias', flag, false),
    sparseLayers: sparseByInterval,
    predictionLayers: predictionLayers(0),
  },
});

type Ernie45MoeConfig = ConfigOf<typeof ERNIE4_5_MOE_CONFIG>;

/** ERNIE 4.5 with experts in place of some MLPs, whose choice a bias corrects (ERNIE 4.5 Technical Report, section 2.2). */
export class FlashErnie45MoeForCausalLMATB extends FlashSparseLlamaATB<Ernie45MoeConfig> {
  readonly name = 'ernie4_5_moe';

  constructor(config: Ernie45MoeConfig, weights: Weights) {
    const names = {
      gate: 'gate.weight',
      correction: 'moe_statics.e_score_correction_bias',
      correctionRows: 1,
    };
    super(config, weights, {
      experts: (at) =>
        new SparseMLP({
          router: new ExpertRouter(
            { ...config, scoring: 'softmax', sumGuard: { least: config.leastSum } },
            at,
            names,
          ),
          experts: new Experts(config, at.at('experts')),
          shared: sharedMLP(config, at.at('shared_experts')),
        }),
      head: { hasBias: config.headBias },
    });
  }
}

export const Ernie45MoeRouter = routerOf(ERNIE4_5_MOE_CONFIG, FlashErnie45MoeForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['interleaved rotary', 'corrected choice', 'shared experts', 'MLPs beside experts'],
    reference: 'transformers',
  },
});
registerModel('ernie4_5_moe', Ernie45MoeRouter);
