import { registerModel, routerOf } from '../../router/index.js';
import {
  FlashMinicpmv46ForCausalLMATB,
  SLICED,
  slicedConfig,
  slicedProcessor,
} from '../minicpmv4_6/index.js';

/** MiniCPM-V 4.6 that reads pages: four patches a token. */
export class FlashMinicpmocrForCausalLMATB extends FlashMinicpmv46ForCausalLMATB {
  override readonly name = 'minicpm_ocr';
}

export const MinicpmocrRouter = routerOf(
  slicedConfig({ kind: 'minicpm_ocr_vision', mode: '4x', isTied: true }),
  FlashMinicpmocrForCausalLMATB,
  {
    ...SLICED,
    mediaProcessor: (folder, config, encode) => slicedProcessor(folder, config, encode, '4x'),
    about: { kind: 'media', features: ['as minicpmv4_6', 'four patches a token'], reference: 'transformers' },
  },
);
registerModel('minicpm_ocr', MinicpmocrRouter);
