import { DECODER_KINDS, ENCODE, ENCODE_SECOND, type GraphKind } from '../../graph/graph-kind.js';
import { type CausalLMClass, registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { headNamesWithin } from '../base/text-within.js';
import {
  DEEPSEEK_OCR_CHAT,
  type DeepseekOcr2Config,
  FlashDeepseekOcr2ForCausalLMATB,
  PageProcessor,
} from '../deepseek_ocr2/index.js';
import { DEEPSEEK_VL_V2_CONFIG, type DeepseekOcrConfig, isSecond } from './config.js';
import { LinedPageProcessor } from './processor.js';
import { DeepEncoder } from './vision-tower.js';

/** DeepSeek's layers with experts that read pages by SAM's encoder and CLIP's behind it (arXiv:2510.18234). */
export class FlashDeepseekOcrForCausalLMATB extends FlashInsertingATB<DeepseekOcrConfig> {
  readonly name = 'deepseek_vl_v2';
  override readonly graphKinds: readonly GraphKind[] = [...DECODER_KINDS, ENCODE, ENCODE_SECOND];
  protected readonly encoderModule: DeepEncoder;
  /** The same weights for tiles, which are smaller. */
  protected override readonly secondModule: DeepEncoder;

  constructor(config: DeepseekOcrConfig, weights: Weights) {
    super(config, weights, '');
    const within = weights.at('model');
    this.encoderModule = new DeepEncoder(config, within, 'page');
    this.secondModule = new DeepEncoder(config, within, 'tile');
  }
}

/** Each is given the one of both configurations that is its own, as `isSecond` tells of both. */
type EitherClass = CausalLMClass<ReturnType<typeof DEEPSEEK_VL_V2_CONFIG.read>>;
const FIRST = FlashDeepseekOcrForCausalLMATB as unknown as EitherClass;
const SECOND = FlashDeepseekOcr2ForCausalLMATB as unknown as EitherClass;

/** DeepSeek-OCR and DeepSeek-OCR 2 as they are published, under the name of DeepSeek-VL2, which is neither. */
export const DeepseekVlV2Router = routerOf(DEEPSEEK_VL_V2_CONFIG, FIRST, {
  modelOf: (dict) => (isSecond(dict) ? SECOND : undefined),
  headNames: ({ textKind }) => headNamesWithin(textKind, ''),
  // The encoder behind SAM's reads rows in place of patches.
  harmlessTensors: [/^model\.vision_model\.embeddings\.(patch_embedding\.weight|position_ids)$/],
  chatFormat: () => DEEPSEEK_OCR_CHAT,
  mediaProcessor: (folder, config) =>
    'clip' in config.vision
      ? LinedPageProcessor.load(folder, config as DeepseekOcrConfig)
      : PageProcessor.load(folder, config as DeepseekOcr2Config),
  about: {
    kind: 'media',
    features: ['pages on a square, and tiles', "SAM's encoder, then CLIP or queries", 'text of deepseek'],
    reference: 'transformers, as unlimited_ocr',
  },
});
registerModel('deepseek_vl_v2', DeepseekVlV2Router);
