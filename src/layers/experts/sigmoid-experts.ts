import type { SwigluClamp } from '../../graph/ops/activation.js';
import type { Weights } from '../../weights/weights.js';
import type { MLPConfig } from '../mlp/mlp.js';
import { ExpertRouter, type RouterConfig } from './expert-router.js';
import { Experts, type ExpertsConfig, SparseMLP, sharedMLP } from './experts.js';

/** What such experts are told. */
export type SigmoidExpertsConfig = Omit<RouterConfig, 'scoring'> &
  ExpertsConfig &
  MLPConfig & {
    readonly sharedExperts: number;
    /** How the MLP clamps that all tokens pass through; not at all when absent. */
    readonly sharedClamp?: SwigluClamp | undefined;
  };

/** The checkpoint's names of what is not an expert's own. */
export interface SigmoidExpertNames {
  /** What is added to scores for the choice alone; nothing when absent. */
  readonly correction?: string | undefined;
  /** `gate.weight` when absent. */
  readonly gate?: string;
  /** The MLP that all tokens pass through: `shared_experts` when absent. */
  readonly shared?: string;
}

/**
 * Experts that corrected sigmoids choose, beside an MLP that all tokens pass through (arXiv:2412.19437, section 2.1.2).
 * `weights` is the cursor of the MLP. Throws what `ExpertRouter` and `Experts` throw.
 */
export const sigmoidExperts = (
  config: SigmoidExpertsConfig,
  weights: Weights,
  { correction, gate = 'gate.weight', shared = 'shared_experts' }: SigmoidExpertNames,
): SparseMLP =>
  new SparseMLP({
    router: new ExpertRouter({ sumGuard: { added: 1e-20 }, ...config, scoring: 'sigmoid' }, weights, {
      gate,
      ...(correction !== undefined && { correction }),
    }),
    experts: new Experts(config, weights.at('experts')),
    shared: sharedMLP(config, weights.at(shared), { clamp: config.sharedClamp }),
  });
