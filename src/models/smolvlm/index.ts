import { registerModel, routerOf } from '../../router/index.js';
import { FlashIdefics3ForCausalLMATB, IDEFICS3_CONFIG, IDEFICS3_PARTS } from '../idefics3/index.js';
import { SmolvlmProcessor } from './processor.js';

/** Idefics 3, made small, that sees frames as well (arXiv:2504.05299). */
export class FlashSmolvlmForCausalLMATB extends FlashIdefics3ForCausalLMATB {}

export const SmolvlmRouter = routerOf(IDEFICS3_CONFIG, FlashSmolvlmForCausalLMATB, {
  ...IDEFICS3_PARTS,
  mediaProcessor: (folder, config, encode) => SmolvlmProcessor.read(folder, config, encode),
  about: {
    kind: 'media',
    features: ['as idefics3', 'frames as one square each, behind their times'],
    reference: 'transformers',
  },
});
registerModel('smolvlm', SmolvlmRouter);
