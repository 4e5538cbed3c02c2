import { PositionFreeAttention } from '../../layers/attention/attention-orders.js';
import type { LayerStep } from '../../layers/decoder/decoder-layers.js';
import { ExpertRouter } from '../../layers/experts/expert-router.js';
import { Experts, SparseMLP } from '../../layers/experts/experts.js';
import { LatentSparseMLP } from '../../layers/experts/latent-experts.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { Mamba2Mixer } from '../../layers/recurrent/mamba2.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import type { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { BACKBONE_HEAD, singleStepModel } from '../mamba2/index.js';
import { type Mixer, NEMOTRON_H_CONFIG, type NemotronHConfig } from './config-nemotron-h.js';

export * from './config-nemotron-h.js';

/** Experts without gates, chosen as in DeepSeek-V3, beside an MLP that all tokens pass through. */
function sparseMLP(config: NemotronHConfig, at: Weights): SparseMLP {
  const { hiddenSize, latentSize } = config;
  const names = { gate: 'gate.weight', correction: 'gate.e_score_correction_bias' };
  const sizes = { ...config, hiddenSize: latentSize ?? hiddenSize, isGated: false };
  const parts = {
    router: new ExpertRouter({ ...config, scoring: 'sigmoid', sumGuard: { added: 1e-20 } }, at, names),
    experts: new Experts(sizes, at.at('experts')),
    shared: new UngatedMLP(
      { ...config, intermediateSize: config.sharedIntermediateSize },
      at.at('shared_experts'),
    ),
  };
  return latentSize === undefined
    ? new SparseMLP(parts)
    : new LatentSparseMLP({ ...config, latentSize }, at, parts);
}

const STEPS: Readonly<Record<Mixer, (layerId: number, config: NemotronHConfig, at: Weights) => LayerStep>> = {
  mamba: (layerId, config, at) => new Mamba2Mixer(layerId, config, at),
  attention: (layerId, config, at) => new PositionFreeAttention(layerId, config, at),
  mlp: (_, config, at) => new UngatedMLP(config, at),
  moe: (_, config, at) => sparseMLP(config, at),
};

/**
 * Nemotron-H (arXiv:2504.03624), and Nemotron Nano 2 and 3: each layer is one step, most of them mixers of Mamba-2, MLPs or
 * experts, and a few attention, which knows no positions. Steps of time are limited by `time_step_limit`, as in NVIDIA's
 * own code; transformers 5.24 makes those of prompts, but not of what it generates, at least `time_step_min`.
 */
export class FlashNemotronHForCausalLMATB extends FlashForCausalLMATB<NemotronHConfig> {
  readonly name = 'nemotron_h';
  protected readonly model: BaseModelATB;

  constructor(config: NemotronHConfig, weights: Weights) {
    super(config, weights, { names: BACKBONE_HEAD });
    const kindOf = (layerId: number): Mixer => config.mixers[layerId] ?? 'mamba';
    const step = (layerId: number, at: Weights) => STEPS[kindOf(layerId)](layerId, config, at);
    this.model = singleStepModel(config, weights, step, kindOf);
  }
}

export const NemotronHRouter = routerOf(NEMOTRON_H_CONFIG, FlashNemotronHForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['mixers of Mamba-2', 'one step a layer', 'relu²', 'experts without gates', 'no rotary'],
    reference: 'transformers',
  },
  headNames: BACKBONE_HEAD,
  harmlessTensors: [/^mtp\./],
});
registerModel('nemotron_h', NemotronHRouter);
