import {
  type ConfigOf,
  defineConfig,
  keysBecause,
  ORIGINAL_MAMBA_IRRELEVANT,
  originalMamba,
  textModel,
} from '../../layers/config/index.js';
import { MambaMixer } from '../../layers/recurrent/mamba.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import type { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { BACKBONE_HEAD, singleStepModel } from '../mamba2/index.js';

/** Defaults of transformers 5.24, MambaConfig. */
const MAMBA_CONFIG = defineConfig({
  fields: { ...textModel({ tieWordEmbeddings: true }), ...originalMamba },
  irrelevant: {
    ...ORIGINAL_MAMBA_IRRELEVANT,
    ...keysBecause(
      'is a name of the original configuration, which MambaConfig does not read',
      ...[
        'd_inner',
        'd_model',
        'n_layer',
        'fused_add_norm',
        'rms_norm',
        'ssm_cfg',
        'pad_vocab_size_multiple',
      ],
    ),
  },
});
type MambaModelConfig = ConfigOf<typeof MAMBA_CONFIG>;

/** Mamba (arXiv:2312.00752) and nothing else: no attention, so no keys and values, and no positions. */
export class FlashMambaForCausalLMATB extends FlashForCausalLMATB<MambaModelConfig> {
  readonly name = 'mamba';
  protected readonly model: BaseModelATB;

  constructor(config: MambaModelConfig, weights: Weights) {
    super(config, weights, { names: BACKBONE_HEAD });
    this.model = singleStepModel(config, weights, (layerId, at) => new MambaMixer(layerId, config, at));
  }
}

export const MambaRouter = routerOf(MAMBA_CONFIG, FlashMambaForCausalLMATB, {
  about: { kind: 'variant', features: ['mixers of Mamba alone'], reference: 'transformers' },
  headNames: BACKBONE_HEAD,
});
registerModel('mamba', MambaRouter);
