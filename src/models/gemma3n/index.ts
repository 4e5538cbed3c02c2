import { headNamesUnder, registerModel, routerOf } from '../../router/index.js';
import type { StepInput } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import type { SoundTower } from '../base/audio/index.js';
import { FlashWithEncoderATB } from '../base/flash-with-encoder-atb.js';
import { InsertingModelATB, insertInputs } from '../base/inserting-text-atb.js';
import { FlashGemma3nForCausalLMATB, GEMMA3N_UNREAD, Gemma3nModelATB } from '../gemma3n_text/index.js';
import { GEMMA3N_WHOLE_CONFIG, type Gemma3nWholeConfig } from './config.js';
import { gemma3nProcessor } from './processor.js';
import { gemma3nSoundTower } from './sound-tower.js';

const ROOT = 'model.language_model';

/** The text of a Gemma 3n, whose file says nothing of what hears. */
export class FlashGemma3nTextOfAllATB extends FlashGemma3nForCausalLMATB {
  constructor(config: Gemma3nWholeConfig, weights: Weights) {
    super(config, weights, ROOT);
  }
}

/** Gemma 3n that hears, and could see. */
export class FlashGemma3nSoundForCausalLMATB extends FlashWithEncoderATB<Gemma3nWholeConfig> {
  readonly name = 'gemma3n';
  protected readonly model: InsertingModelATB;
  protected readonly encoderModule: SoundTower;

  constructor(config: Gemma3nWholeConfig, weights: Weights) {
    super(config, weights, { softcap: config.logitSoftcap, names: headNamesUnder(ROOT) });
    const { audio } = config;
    if (!audio) throw new TypeError('a model without an encoder is text alone');
    this.model = new InsertingModelATB(new Gemma3nModelATB(config, weights.at(ROOT)));
    const inner = weights.at('model');
    this.encoderModule = gemma3nSoundTower(config, audio, inner.at('audio_tower'), inner.at('embed_audio'));
  }

  protected override get decoderInputs(): readonly StepInput[] {
    return [...super.decoderInputs, ...insertInputs(this.config)];
  }
}

export const Gemma3nWholeRouter = routerOf(GEMMA3N_WHOLE_CONFIG, FlashGemma3nSoundForCausalLMATB, {
  // A file that says nothing at all is that of no model.
  modelOf: ({ audio_config: audio, text_config: text, hidden_size: size }) =>
    audio || !(text || size) ? undefined : FlashGemma3nTextOfAllATB,
  headNames: headNamesUnder(ROOT),
  // What sees, which is not built; words of sound, of which texts have two alone.
  harmlessTensors: [
    ...GEMMA3N_UNREAD,
    /^model\.(vision_tower|embed_vision)\./,
    /^model\.embed_audio\.embedding\.weight$/,
  ],
  mediaProcessor: async (folder, config, encode) =>
    config.audio && gemma3nProcessor(folder, config, config.audio, encode),
  about: {
    kind: 'media',
    features: ['sound, the first 30 s, as 188 tokens', 'text of gemma3n_text', 'no pictures'],
    reference: 'transformers, as gemma3n_text',
  },
});
registerModel('gemma3n', Gemma3nWholeRouter);
