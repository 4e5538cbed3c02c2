import {
  type ConfigOf,
  defineConfig,
  endlessContext,
  field,
  HEADS,
  keysBecause,
  mambaGroups,
  ORIGINAL_MAMBA2_IRRELEVANT,
  only,
  originalMamba2,
  positive,
  SIZE,
  textModel,
} from '../../layers/config/index.js';
import { type LayerStep, SingleStepLayer } from '../../layers/decoder/decoder-layers.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { Mamba2Mixer } from '../../layers/recurrent/mamba2.js';
import { type HeadNames, registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB, type ModelSizes } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';

/** Defaults of transformers 5.24, Mamba2Config. */
const MAMBA2_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: false }),
    maxPositionEmbeddings: endlessContext,
    ...originalMamba2,
    mambaHeads: field('num_heads', HEADS, 128),
    mambaGroups: mambaGroups('n_groups', 8),
    mambaHeadSize: field('head_dim', SIZE, 64),
    mambaStateSize: field('state_size', SIZE, 128),
    rmsNormEps: field('layer_norm_epsilon', positive(1), 1e-5),
    mambaAct: field('hidden_act', only('silu'), 'silu'),
  },
  irrelevant: {
    ...ORIGINAL_MAMBA2_IRRELEVANT,
    ...keysBecause('is not read by Mamba2Config', 'rms_norm', 'norm_before_gate'),
  },
});
type Mamba2ModelConfig = ConfigOf<typeof MAMBA2_CONFIG>;

/** The head of models whose layers stand in `backbone`. */
export const BACKBONE_HEAD: HeadNames = { embedding: 'backbone.embeddings', head: 'lm_head' };

/** A model each of whose layers is one step behind a norm. `kindOf` names layers whose graphs differ. */
export function singleStepModel(
  config: ModelSizes & { readonly rmsNormEps: number },
  weights: Weights,
  step: (layerId: number, at: Weights) => LayerStep,
  kindOf: (layerId: number) => string = () => '',
): BaseModelATB {
  const norm = (at: Weights) => new BaseRMSNorm(at, config.hiddenSize, config.rmsNormEps);
  const inner = weights.at('backbone');
  return new BaseModelATB(config, inner, {
    names: { embedding: 'embeddings', layers: 'layers' },
    layer: (layerId, at) =>
      new SingleStepLayer(layerId, at, norm(at.at('norm')), step(layerId, at.at('mixer')), kindOf(layerId)),
    norm: norm(inner.at('norm_f')),
  });
}

/** Mamba-2 (arXiv:2405.21060) and nothing else: no attention, so no keys and values, and no positions. */
export class FlashMamba2ForCausalLMATB extends FlashForCausalLMATB<Mamba2ModelConfig> {
  readonly name = 'mamba2';
  protected readonly model: BaseModelATB;

  constructor(config: Mamba2ModelConfig, weights: Weights) {
    super(config, weights, { names: BACKBONE_HEAD });
    this.model = singleStepModel(config, weights, (layerId, at) => new Mamba2Mixer(layerId, config, at));
  }
}

export const Mamba2Router = routerOf(MAMBA2_CONFIG, FlashMamba2ForCausalLMATB, {
  about: { kind: 'variant', features: ['mixers of Mamba-2 alone'], reference: 'transformers' },
  headNames: BACKBONE_HEAD,
});
registerModel('mamba2', Mamba2Router);
