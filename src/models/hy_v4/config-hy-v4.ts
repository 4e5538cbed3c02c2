import {
  type ConfigOf,
  constant,
  defineConfig,
  expertGroups,
  type Field,
  field,
  indexer,
  integer,
  multiHeadAttention,
  only,
  positive,
  rotaryConfig,
  SIZE,
  sharedIndexers,
  sparseByType,
} from '../../layers/config/index.js';
import { DEEPSEEK_IRRELEVANT, deepseek } from '../deepseek_v2/index.js';
import { sparseDeepseek } from '../deepseek_v32/index.js';

type Layers = { readonly numHiddenLayers: number };

/** Files may leave out which layers have an indexer: the first two then, and every fourth behind them. */
const indexOwners: Field<readonly number[], Layers> = {
  read(json, config) {
    if (!json.isAbsent('indexer_types')) return sharedIndexers.read(json, config);
    return Array.from({ length: config.numHiddenLayers }, (_, layer) =>
      layer === 0 ? 0 : layer - ((layer - 1) % 4),
    );
  },
};

/** Defaults of transformers 5.24, HYV4Config. */
export const HY_V4_CONFIG = defineConfig({
  fields: {
    ...deepseek({
      ...{ qLoraRank: 1536, kvLoraRank: 512, qkNopeHeadDim: 192, qkRopeHeadDim: 64, vHeadDim: 256 },
      experts: { numExperts: 256, numExpertsPerToken: 8, moeIntermediateSize: 768, normTopkProb: true },
      ...{ sharedExperts: 1, firstDenseLayers: 1, routedScalingFactor: 2.827, mlpBias: false },
    }),
    // HYV4Config puts others in the place of what files say under num_key_value_heads and head_dim.
    numKeyValueHeads: multiHeadAttention.numKeyValueHeads,
    headDim: field('qk_rope_head_dim', SIZE, 64),
    rmsNormEps: field('rms_norm_eps', positive(1), 1e-5),
    ...sparseDeepseek(1536),
    sparseLayers: sparseByType({ dense: 1 }),
    pairs: field('rope_interleave', only(false), false),
    rope: rotaryConfig({ theta: 10_000 }),
    ...indexer({ heads: 16, interleaved: false }),
    indexTurnsLast: constant(true),
    indexNormEps: {
      read: (_, { rmsNormEps }) => rmsNormEps,
    } satisfies Field<number, { readonly rmsNormEps: number }>,
    indexOwners,
    expertGroups: expertGroups({ count: 1, kept: 1, scored: 2 }),
    streams: field('hc_mult', integer(1, 64), 4),
    hyperMagnitude: field('hc_magnitude', positive(1e6), 2),
    hyperEps: field('hc_eps', positive(1, -1e-12), 1e-6),
    swigluLimit: field('swiglu_limit', positive(1e6), 10),
    // What published files say of what all models of the family have.
    hasHyper: field('enable_ihc', only(true), true),
    hasGate: field('gated_mla', only(true), true),
    gateOf: field('gating_type', only('elementwise'), 'elementwise'),
    hasSinks: field('learnable_sink', only(true), true),
  },
  irrelevant: {
    ...DEEPSEEK_IRRELEVANT,
    head_dim: 'the model reads qk_rope_head_dim',
    learnable_sink_init: 'says what a model begins its training with',
  },
});
export type HyV4Config = ConfigOf<typeof HY_V4_CONFIG>;
