import { type HeadNames, registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { OPT_CONFIG, type OptConfig } from './config-opt.js';
import { OptModelATB } from './modeling-opt-atb.js';

const HEAD: HeadNames = { embedding: 'model.decoder.embed_tokens', head: 'lm_head' };

/** A decoder with learned positions, of which two stand before the first (arXiv:2205.01068, section 2). */
export class FlashOptForCausalLMATB extends FlashForCausalLMATB<OptConfig> {
  readonly name = 'opt';
  protected readonly model: OptModelATB;

  constructor(config: OptConfig, weights: Weights) {
    super(config, weights, { names: HEAD, inFeatures: config.embeddingSize });
    this.model = new OptModelATB(config, weights.at('model').at('decoder'));
  }
}

// The rows of padding, before that of position 0.
const harmlessTensors = [/\.embed_positions\.weight$/];

export const OptRouter = routerOf(OPT_CONFIG, FlashOptForCausalLMATB, {
  headNames: HEAD,
  harmlessTensors,
  about: {
    kind: 'positions',
    features: ['learned positions', 'MLP without a gate'],
    reference: 'transformers',
  },
});
registerModel('opt', OptRouter);
