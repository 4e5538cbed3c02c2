import {
  type ConfigOf,
  defineConfig,
  experts,
  type Field,
  field,
  groupedQueryAttention,
  integer,
  LLAMA_DEFAULTS,
  oneOf,
  only,
  positive,
  rotaryConfig,
  sharedExperts,
  slidingByLayer,
  sparseByType,
  WIDTH,
} from '../../layers/config/index.js';
import { COMMAND_FIELDS } from '../cohere/index.js';

const scoring: Field<'softmax' | 'sigmoid'> = field(
  'expert_selection_fn',
  oneOf('softmax', 'sigmoid'),
  'softmax',
);
const EVERY = integer(1, 1000);

/** How often a layer sees all keys, counted apart in the first layers, which have an MLP. */
interface Patterns {
  readonly firstDenseLayers: number;
  readonly firstPattern: number;
  readonly pattern: number;
  readonly numHiddenLayers: number;
}

/** Defaults of transformers 5.24, Cohere2MoeConfig. */
export const COHERE2_MOE_CONFIG = defineConfig({
  fields: {
    ...COMMAND_FIELDS,
    ...groupedQueryAttention({ ...LLAMA_DEFAULTS, headDim: 128 }),
    /** Of norms without a mean; LayerNorm takes their place where it is absent. */
    rmsNormEps: field('rms_norm_eps', positive(1), undefined),
    rope: rotaryConfig({ theta: 10_000, interleaved: true }),
    ...experts({
      numExperts: 8,
      numExpertsPerToken: 2,
      moeIntermediateSize: 'intermediate_size',
      normTopkProb: true,
    }),
    scoring,
    sharedExperts: sharedExperts('num_shared_experts', 0),
    combination: field('shared_expert_combination_strategy', oneOf('average', 'sum'), 'average'),
    firstDenseLayers: field('first_k_dense_replace', integer(0, 1000), 0),
    sparseLayers: sparseByType({ dense: 0 }),
    denseIntermediateSize: field(
      'prefix_dense_intermediate_size',
      WIDTH,
      ({ intermediateSize }: { readonly intermediateSize: number }) => intermediateSize,
    ),
    firstPattern: field('prefix_dense_sliding_window_pattern', EVERY, 1),
    pattern: field('sliding_window_pattern', EVERY, 4),
    slidingWindows: slidingByLayer({
      window: 4096,
      slides: (layer, { firstDenseLayers: dense, firstPattern, pattern }: Patterns) =>
        layer < dense ? (layer + 1) % firstPattern !== 0 : (layer - dense + 1) % pattern !== 0,
    }),
    isParallel: field('use_parallel_block', only(true), true),
    normsHeads: field('use_qk_norm', only(false), false),
    positions: field('position_embedding_type', only('rope_gptj'), 'rope_gptj'),
  },
});
export type Cohere2MoeConfig = ConfigOf<typeof COHERE2_MOE_CONFIG>;
