import type { ExpertGroups } from '../../common-op-builders/index.js';
import type { ConfigReader } from './config-reader.js';
import {
  type Default,
  type Field,
  field,
  flag,
  integer,
  listOf,
  type Names,
  positive,
  WIDTH,
} from './fields.js';

const EXPERTS = integer(1, 10_000);

/** The defaults that a family with experts must state. */
export interface ExpertDefaults {
  readonly numExperts: Default<number>;
  readonly numExpertsPerToken: Default<number>;
  readonly moeIntermediateSize: Default<number>;
  readonly normTopkProb: boolean;
}

/** The experts of a layer by transformers' names, of which `num_local_experts` is the one that its version 5 writes. */
export const experts = (defaults: ExpertDefaults) => ({
  numExperts: field(['num_experts', 'num_local_experts'], EXPERTS, defaults.numExperts),
  numExpertsPerToken: expertsPerToken('num_experts_per_tok', defaults.numExpertsPerToken),
  moeIntermediateSize: field('moe_intermediate_size', WIDTH, defaults.moeIntermediateSize),
  normTopkProb: field('norm_topk_prob', flag, defaults.normTopkProb),
});

/** How many experts each token is given to: no more than there are. */
export const expertsPerToken = (
  names: Names,
  fallback: Default<number>,
): Field<number, { readonly numExperts: number }> => {
  const count = field(names, EXPERTS, fallback);
  return {
    read(json, config) {
      const { numExperts } = config;
      const found = count.read(json, config);
      if (found > numExperts)
        json.problem(`${names} (${found}) must be at most the number of experts (${numExperts})`);
      return found;
    },
  };
};

/** `n_group` groups of neighbours, of which each token chooses experts of `topk_group`; undefined for one group. */
export const expertGroups = (defaults: {
  readonly count: number | undefined;
  readonly kept: number | undefined;
  /** A group's score is the sum of so many of its highest. */
  readonly scored: number;
}): Field<
  ExpertGroups | undefined,
  { readonly numExperts: number; readonly numExpertsPerToken: number }
> => ({
  read(json, config) {
    const count = json.value('n_group', EXPERTS) ?? defaults.count ?? 1;
    const kept = json.value('topk_group', EXPERTS) ?? defaults.kept ?? 1;
    const { numExperts, numExpertsPerToken } = config;
    const size = numExperts / count;
    if (!Number.isInteger(size) || size < defaults.scored)
      json.problem(
        `n_group (${count}) must divide ${numExperts} experts into groups of at least ${defaults.scored}`,
      );
    if (kept > count || kept * size < numExpertsPerToken)
      json.problem(
        `topk_group (${kept}) of ${count} groups must hold at least ${numExpertsPerToken} experts`,
      );
    return kept === count ? undefined : { count, kept, scored: defaults.scored };
  },
});

/** What weights of experts are multiplied by. */
export const routedScalingFactor = (fallback: Default<number>): Field<number> =>
  field('routed_scaling_factor', positive(1e6), fallback);

/** For each layer, whether its MLP is experts: those that `decoder_sparse_step` counts and `mlp_only_layers` does not name. */
export const sparseBySteps: Field<readonly boolean[], { readonly numHiddenLayers: number }> = {
  read(json: ConfigReader, { numHiddenLayers }) {
    const step = json.value('decoder_sparse_step', integer(1, 1000)) ?? 1;
    const dense = json.value('mlp_only_layers', listOf(integer(0, 1000), 'numbers of layers')) ?? [];
    return Array.from(
      { length: numHiddenLayers },
      (_, layer) => (layer + 1) % step === 0 && !dense.includes(layer),
    );
  },
};
