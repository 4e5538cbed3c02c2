import { DECODER_KINDS, ENCODE, ENCODE_SECOND, type GraphKind } from '../../graph/graph-kind.js';
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
import { Gemma3nTower } from './vision-tower.js';

const ROOT = 'model.language_model';

/** The text of a Gemma 3n, whose file says nothing of what sees. */
export class FlashGemma3nTextOfAllATB extends FlashGemma3nForCausalLMATB {
  constructor(config: Gemma3nWholeConfig, weights: Weights) {
    super(config, weights, ROOT);
  }
}

/** Gemma 3n that sees, and hears where it has what hears. */
export class FlashGemma3nVisionForCausalLMATB extends FlashWithEncoderATB<Gemma3nWholeConfig> {
  readonly name = 'gemma3n';
  override readonly graphKinds: readonly GraphKind[];
  protected readonly model: InsertingModelATB;
  protected readonly encoderModule: Gemma3nTower;
  protected override readonly secondModule: SoundTower | undefined;

  constructor(config: Gemma3nWholeConfig, weights: Weights) {
    super(config, weights, { softcap: config.logitSoftcap, names: headNamesUnder(ROOT) });
    const { audio, vision } = config;
    if (!vision) throw new TypeError('a model without an encoder of pictures is text alone');
    this.graphKinds = [...DECODER_KINDS, ENCODE, ...(audio ? [ENCODE_SECOND] : [])];
    this.model = new InsertingModelATB(new Gemma3nModelATB(config, weights.at(ROOT)));
    const inner = weights.at('model');
    const tower = inner.at('vision_tower').at('timm_model');
    this.encoderModule = new Gemma3nTower(config, vision, tower, inner.at('embed_vision'));
    this.secondModule =
      audio && gemma3nSoundTower(config, audio, inner.at('audio_tower'), inner.at('embed_audio'));
  }

  protected override get decoderInputs(): readonly StepInput[] {
    return [...super.decoderInputs, ...insertInputs(this.config)];
  }
}

export const Gemma3nWholeRouter = routerOf(GEMMA3N_WHOLE_CONFIG, FlashGemma3nVisionForCausalLMATB, {
  // A file that says nothing at all is that of no model.
  modelOf: ({ vision_config: vision, text_config: text, hidden_size: size }) =>
    vision || !(text || size) ? undefined : FlashGemma3nTextOfAllATB,
  headNames: headNamesUnder(ROOT),
  // Words of what sees and hears, of which texts have few alone.
  harmlessTensors: [...GEMMA3N_UNREAD, /^model\.embed_(audio|vision)\.embedding\.weight$/],
  mediaProcessor: async (folder, config, encode) =>
    config.vision && gemma3nProcessor(folder, config, config.vision, encode),
  about: {
    kind: 'media',
    features: [
      'pictures as squares, by MobileNet V5',
      'sound, the first 30 s, as 188 tokens',
      'text of gemma3n_text',
    ],
    reference: 'transformers, as gemma3n_text',
  },
});
registerModel('gemma3n', Gemma3nWholeRouter);
