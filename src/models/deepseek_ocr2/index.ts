import { DECODER_KINDS, ENCODE, ENCODE_SECOND, type GraphKind } from '../../graph/graph-kind.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { headNamesWithin } from '../base/text-within.js';
import { DEEPSEEK_OCR_CHAT } from './chat-format.js';
import { DEEPSEEK_OCR2_CONFIG, type DeepseekOcr2Config } from './config.js';
import { PageProcessor } from './processor.js';
import { PageTower } from './vision-tower.js';

export * from './chat-format.js';
export type { DeepseekOcr2Config } from './config.js';
export * from './processor.js';

/** DeepSeek's layers with experts that read pages by queries, each of which sees those before (arXiv:2601.20552). */
export class FlashDeepseekOcr2ForCausalLMATB extends FlashInsertingATB<DeepseekOcr2Config> {
  readonly name = 'deepseek_ocr2';
  override readonly graphKinds: readonly GraphKind[] = [...DECODER_KINDS, ENCODE, ENCODE_SECOND];
  protected readonly encoderModule: PageTower;
  /** The same weights for tiles, which are smaller. */
  protected override readonly secondModule: PageTower;

  constructor(config: DeepseekOcr2Config, weights: Weights) {
    super(config, weights, '');
    const within = weights.at('model');
    this.encoderModule = new PageTower(config, within, 'page');
    this.secondModule = new PageTower(config, within, 'tile');
  }
}

export const DeepseekOcr2Router = routerOf(DEEPSEEK_OCR2_CONFIG, FlashDeepseekOcr2ForCausalLMATB, {
  headNames: ({ textKind }) => headNamesWithin(textKind, ''),
  chatFormat: () => DEEPSEEK_OCR_CHAT,
  mediaProcessor: (folder, config) => PageProcessor.load(folder, config),
  about: {
    kind: 'media',
    features: [
      'pages on a square, and tiles',
      "SAM's encoder, then queries in layers of Qwen2",
      'text of deepseek',
    ],
    reference: 'transformers',
  },
});
registerModel('deepseek_ocr2', DeepseekOcr2Router);
