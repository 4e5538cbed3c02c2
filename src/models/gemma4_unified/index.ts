import { headNamesUnder, registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashSeeingGemma4ATB } from '../gemma4/index.js';
import { BORROWED } from '../gemma4_text/index.js';
import { GEMMA4_UNIFIED_CONFIG, type Gemma4UnifiedConfig } from './config.js';
import { PatchEmbedder, SampleEmbedder } from './embedders.js';
import { gemma4UnifiedProcessor } from './processor.js';

export { PatchEmbedder, SampleEmbedder } from './embedders.js';

/** Gemma 4 that sees and hears without encoders: patches and samples become tokens as they are. */
export class FlashGemma4UnifiedForCausalLMATB extends FlashSeeingGemma4ATB<Gemma4UnifiedConfig> {
  readonly name = 'gemma4_unified';
  protected readonly encoderModule: PatchEmbedder;
  protected override readonly secondModule: SampleEmbedder | undefined;

  constructor(config: Gemma4UnifiedConfig, weights: Weights) {
    const { vision, audio, hiddenSize } = config;
    super(config, weights, audio !== undefined);
    const inner = weights.at('model');
    this.encoderModule = new PatchEmbedder(
      vision,
      inner.at('vision_embedder'),
      inner.at('embed_vision'),
      hiddenSize,
    );
    this.secondModule = audio && new SampleEmbedder(audio, inner.at('embed_audio'), hiddenSize);
  }
}

export const Gemma4UnifiedRouter = routerOf(GEMMA4_UNIFIED_CONFIG, FlashGemma4UnifiedForCausalLMATB, {
  headNames: headNamesUnder('model.language_model'),
  harmlessTensors: BORROWED,
  mediaProcessor: gemma4UnifiedProcessor,
  about: {
    kind: 'media',
    features: ['pictures and frames as gemma4', 'sound of any length', 'no encoders', 'text of gemma4_text'],
    reference: 'transformers',
  },
});
registerModel('gemma4_unified', Gemma4UnifiedRouter);
