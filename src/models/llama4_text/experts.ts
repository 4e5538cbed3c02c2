import { Experts } from '../../layers/experts/experts.js';
import { HighestLogitRouter, WeightedTokenExperts } from '../../layers/experts/weighted-experts.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import type { ExpertStacks } from '../../weights/expert-stacks.js';
import { rowsOf, transposed } from '../../weights/weight-changes.js';
import type { Weights } from '../../weights/weights.js';
import type { Llama4TextConfig } from './config.js';

/** `gate_up_proj` [experts, hidden, 2 * width], gates first; `down_proj` [experts, width, hidden]. */
const stacksOf = (width: number): ExpertStacks => ({
  'gate_proj.weight': { tensor: 'gate_up_proj', part: (own) => rowsOf(transposed(own), 0, width) },
  'up_proj.weight': { tensor: 'gate_up_proj', part: (own) => rowsOf(transposed(own), width, width) },
  'down_proj.weight': { tensor: 'down_proj', part: transposed },
});

/** One expert for each token, and one that all tokens share. Throws what `ExpertRouter` and `Experts` throw. */
export function llama4Experts(config: Llama4TextConfig, weights: Weights): WeightedTokenExperts {
  const { intermediateSize: moeIntermediateSize } = config;
  const parts = {
    router: new HighestLogitRouter(config, weights, { gate: 'router.weight' }),
    experts: new Experts({ ...config, moeIntermediateSize }, weights.at('experts'), {
      stacks: stacksOf(moeIntermediateSize),
    }),
    shared: new BaseMLP(config, weights.at('shared_expert')),
  };
  return new WeightedTokenExperts(parts, weights);
}
