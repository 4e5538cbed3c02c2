import {
  type ConfigOf,
  defineConfig,
  field,
  keysBecause,
  ORIGINAL_MAMBA_IRRELEVANT,
  originalMamba,
  positive,
  textModel,
} from '../../layers/config/index.js';
import { UnscaledRMSNorm } from '../../layers/norms/norms.js';
import { MambaMixer } from '../../layers/recurrent/mamba.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import type { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { BACKBONE_HEAD, singleStepModel } from '../mamba2/index.js';

/** Defaults of transformers 5.24, FalconMambaConfig. */
const FALCON_MAMBA_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: true }),
    ...originalMamba,
    scanNormEps: field('mixer_rms_eps', positive(1), 1e-6),
  },
  irrelevant: {
    ...ORIGINAL_MAMBA_IRRELEVANT,
    ...keysBecause('says which kernels another program takes', 'use_falcon_mambapy'),
  },
});
type FalconMambaConfig = ConfigOf<typeof FALCON_MAMBA_CONFIG>;

/** Falcon Mamba (arXiv:2410.05355): Mamba, with norms without weights of what steps are made of, of B and of C. */
export class FlashFalconMambaForCausalLMATB extends FlashForCausalLMATB<FalconMambaConfig> {
  readonly name = 'falcon_mamba';
  protected readonly model: BaseModelATB;

  constructor(config: FalconMambaConfig, weights: Weights) {
    super(config, weights, { names: BACKBONE_HEAD });
    const norm = (at: Weights, size: number) => new UnscaledRMSNorm(at, size, config.scanNormEps);
    this.model = singleStepModel(config, weights, (layerId, at) => new MambaMixer(layerId, config, at, norm));
  }
}

export const FalconMambaRouter = routerOf(FALCON_MAMBA_CONFIG, FlashFalconMambaForCausalLMATB, {
  about: {
    kind: 'variant',
    features: ['as mamba', 'norms of steps, B and C'],
    reference: 'transformers',
  },
  headNames: BACKBONE_HEAD,
});
registerModel('falcon_mamba', FalconMambaRouter);
