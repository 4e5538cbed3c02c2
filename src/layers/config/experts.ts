import type { ExpertGroups } from '../../common-op-builders/index.js';
import { type Check, flag, integer, listOf, type Names, oneOf, only, positive, WIDTH } from './checks.js';
import { type Default, type Field, field } from './fields.js';

/** How many experts a layer or a token has. */
export const EXPERTS = integer(1, 10_000);

/** What a family with experts must state: its defaults, and where its config.json has other names, these. */
export interface ExpertDefaults {
  readonly numExperts: Default<number>;
  readonly numExpertsPerToken: Default<number>;
  /** Of one expert: a number, or that of the MLPs that other families have. */
  readonly moeIntermediateSize: 'intermediate_size' | Default<number>;
  /** Whether weights of a token are divided by their sum: a default, or what holds whatever config.json says. */
  readonly normTopkProb: boolean | 'always';
  readonly names?: { readonly numExperts?: Names; readonly numExpertsPerToken?: Names };
}

/** Transformers' names, of which `num_local_experts` is the one that its version 5 writes. */
const NAMES = { numExperts: ['num_experts', 'num_local_experts'], numExpertsPerToken: 'num_experts_per_tok' };

/** The experts of a layer. */
export function experts(defaults: ExpertDefaults) {
  const names = { ...NAMES, ...defaults.names };
  return {
    numExperts: field(names.numExperts, EXPERTS, defaults.numExperts),
    numExpertsPerToken: expertsPerToken(
      names.numExpertsPerToken,
      field(names.numExpertsPerToken, EXPERTS, defaults.numExpertsPerToken),
    ),
    moeIntermediateSize: expertWidth(defaults.moeIntermediateSize),
    normTopkProb:
      defaults.normTopkProb === 'always'
        ? field('norm_topk_prob', only(true), true)
        : field('norm_topk_prob', flag, defaults.normTopkProb),
  };
}

/** Of families whose every MLP is experts, the width of these is `intermediate_size`. */
const expertWidth = (
  fallback: ExpertDefaults['moeIntermediateSize'],
): Field<number, { readonly intermediateSize: number }> =>
  fallback === 'intermediate_size'
    ? { read: (_, config) => config.intermediateSize }
    : field('moe_intermediate_size', WIDTH, fallback);

/** How many experts each token is given to: no more than there are. `count` reads it under these names. */
export const expertsPerToken = (
  names: Names,
  count: Field<number, { readonly numHiddenLayers: number }>,
): Field<number, { readonly numExperts: number; readonly numHiddenLayers: number }> => ({
  read(json, config) {
    const { numExperts } = config;
    const found = count.read(json, config);
    if (found > numExperts) {
      const [name] = [names].flat();
      json.problem(`${name} (${found}) must be at most the number of experts (${numExperts})`);
    }
    return found;
  },
});

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

/**
 * For each layer, whether its MLP is experts: those that `decoder_sparse_step` counts and `mlp_only_layers` does not name.
 * `dense`: what the latter names in files without it.
 */
export const sparseByStepsBeside = (defaults: {
  readonly dense: readonly number[];
}): Field<readonly boolean[], { readonly numHiddenLayers: number }> => ({
  read(json, { numHiddenLayers }) {
    const step = json.value('decoder_sparse_step', integer(1, 1000)) ?? 1;
    const dense =
      json.value('mlp_only_layers', listOf(integer(0, 1000), 'numbers of layers')) ?? defaults.dense;
    return Array.from(
      { length: numHiddenLayers },
      (_, layer) => (layer + 1) % step === 0 && !dense.includes(layer),
    );
  },
});

/** The same of families in which no layer is dense that the file does not name. */
export const sparseBySteps = sparseByStepsBeside({ dense: [] });

/** The same: all but the first `first_k_dense_replace`, and of these every one that `moe_layer_freq` divides. */
export const sparseBehindDense = (defaults: {
  readonly dense: number;
}): Field<readonly boolean[], { readonly numHiddenLayers: number }> => ({
  read(json, { numHiddenLayers }) {
    const first = json.value('first_k_dense_replace', integer(0, 1000)) ?? defaults.dense;
    const every = json.value('moe_layer_freq', integer(1, 1000)) ?? 1;
    return Array.from({ length: numHiddenLayers }, (_, layer) => layer >= first && layer % every === 0);
  },
});

const MLP_TYPES = listOf(oneOf('dense', 'sparse'), '"dense" and "sparse"');

/** The same: as `mlp_layer_types` says, or without that key as `sparseBehindDense` does. */
export const sparseByType = (defaults: {
  readonly dense: number;
}): Field<readonly boolean[], { readonly numHiddenLayers: number }> => ({
  read(json, config) {
    const behindFirst = sparseBehindDense(defaults).read(json, config);
    const kinds = json.optional('mlp_layer_types', MLP_TYPES);
    if (kinds === undefined) return behindFirst;
    const { numHiddenLayers: layers } = config;
    if (kinds.length !== layers)
      json.problem(
        `mlp_layer_types must have one entry for each of the ${layers} layers, found ${kinds.length}`,
      );
    return kinds.map((kind) => kind === 'sparse');
  },
});

const numbersIn = (text: string): readonly number[] =>
  text
    .split(',')
    .filter((part) => part.trim() !== '')
    .map(Number);

/** The same: as a list of layers with experts says, which may be text, or without it as `sparseByType`. */
export const sparseListed = (
  name: string,
  defaults: { readonly dense: number },
): Field<readonly boolean[], { readonly numHiddenLayers: number }> => ({
  read(json, config) {
    const listed = json.raw(name) ?? undefined;
    if (listed === undefined || !json.isAbsent('mlp_layer_types'))
      return sparseByType(defaults).read(json, config);
    const numbers = typeof listed === 'string' ? numbersIn(listed) : listed;
    const sparse =
      json.check(name, numbers, listOf(integer(0, 1000), 'numbers of layers')) ?? json.missing(name);
    return Array.from({ length: config.numHiddenLayers }, (_, layer) => sparse.includes(layer));
  },
});

/** The same: all but as many first ones as the file says under this name. */
export const sparseBehind = (
  name: string,
  fallback: number,
): Field<readonly boolean[], { readonly numHiddenLayers: number }> => ({
  read(json, { numHiddenLayers }) {
    const first = json.value(name, integer(0, 1000)) ?? fallback;
    return Array.from({ length: numHiddenLayers }, (_, layer) => layer >= first);
  },
});

/** How many experts' width the MLP has that all tokens pass through; 0: there is none. */
export const sharedExperts = (names: Names, fallback: number): Field<number> =>
  field(names, integer(0, 1000), fallback);

/** Layers behind the last that guess further tokens. They change none that is generated without them, and are left out. */
export const predictionLayers = (fallback: number): Field<number> =>
  field(['num_nextn_predict_layers', 'num_mtp_layers'], integer(0, 100), fallback);

/** A value that config.json may list for each layer, as long as all are the same. */
export const inEveryLayer = <T>(
  name: string,
  check: Check<T>,
  fallback: Default<T>,
): Field<T, { readonly numHiddenLayers: number }> => ({
  read(json, { numHiddenLayers }) {
    const found = json.raw(name);
    if (!Array.isArray(found)) return field(name, check, fallback).read(json, {});
    const [first] = found;
    if (found.length < numHiddenLayers || found.some((value) => value !== first))
      json.fail(`${name} must be the same in each of the ${numHiddenLayers} layers`);
    return json.check(name, first, check) ?? json.missing(name);
  },
});
