import { DECODER_KINDS, ENCODE, ENCODE_SECOND, type GraphKind } from '../../graph/graph-kind.js';
import { headNamesUnder, registerModel, routerOf } from '../../router/index.js';
import type { StepInput } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import type { SoundTower } from '../base/audio/index.js';
import { FlashWithEncoderATB } from '../base/flash-with-encoder-atb.js';
import { InsertingModelATB, insertInputs } from '../base/inserting-text-atb.js';
import {
  BORROWED,
  FlashGemma4ForCausalLMATB,
  type Gemma4Config,
  Gemma4ModelATB,
} from '../gemma4_text/index.js';
import { GEMMA4_WHOLE_CONFIG, type Gemma4WholeConfig } from './config.js';
import { gemma4Processor } from './processor.js';
import { gemma4SoundTower } from './sound-tower.js';
import { Gemma4Tower } from './vision-tower.js';

export { GEMMA4_BESIDE_TEXT, GEMMA4_WHOLE_IRRELEVANT } from './config.js';
export { Gemma4Processor, gemma4Sound } from './processor.js';

const ROOT = 'model.language_model';

/** The text of a Gemma 4, whose file says nothing of an encoder. */
export class FlashGemma4TextOfAllATB extends FlashGemma4ForCausalLMATB {
  constructor(config: Gemma4WholeConfig, weights: Weights) {
    super(config, weights, ROOT);
  }
}

/** What a model is told of its text and of what stands in it that is no word. */
export type SeeingGemma4Config = Gemma4Config &
  Pick<Gemma4WholeConfig, 'imageTokenId' | 'videoTokenId' | 'audioTokenId'>;

/** Gemma 4's text among whose embeddings are rows of encoders; tokens of a picture see each other where the file says so. */
export abstract class FlashSeeingGemma4ATB<C extends SeeingGemma4Config> extends FlashWithEncoderATB<C> {
  override readonly graphKinds: readonly GraphKind[];
  protected readonly model: InsertingModelATB;

  constructor(config: C, weights: Weights, hears: boolean) {
    super(config, weights, { softcap: config.logitSoftcap, names: headNamesUnder(ROOT) });
    const { imageTokenId, videoTokenId, audioTokenId } = config;
    const padded = [imageTokenId, videoTokenId, audioTokenId].filter((id) => id !== undefined);
    const seeing = { ...config, padded, seesInserts: this.seesInserts };
    this.model = new InsertingModelATB(new Gemma4ModelATB(seeing, weights.at(ROOT)));
    this.graphKinds = [...DECODER_KINDS, ENCODE, ...(hears ? [ENCODE_SECOND] : [])];
  }

  private get seesInserts(): boolean {
    return this.config.bidirectional !== undefined;
  }

  protected override get decoderInputs(): readonly StepInput[] {
    return [...super.decoderInputs, ...insertInputs({ ...this.config, seesInserts: this.seesInserts })];
  }
}

/** Gemma 4 that sees pictures of any shape, and hears where it has what hears. */
export class FlashGemma4VisionForCausalLMATB extends FlashSeeingGemma4ATB<Gemma4WholeConfig> {
  readonly name = 'gemma4';
  protected readonly encoderModule: Gemma4Tower;
  protected override readonly secondModule: SoundTower | undefined;

  constructor(config: Gemma4WholeConfig, weights: Weights) {
    const { vision, audio, hiddenSize } = config;
    super(config, weights, audio !== undefined);
    if (!vision) throw new TypeError('a model without an encoder is text alone');
    const inner = weights.at('model');
    this.encoderModule = new Gemma4Tower(
      vision,
      inner.at('vision_tower'),
      inner.at('embed_vision'),
      hiddenSize,
    );
    this.secondModule =
      audio && gemma4SoundTower(audio, inner.at('audio_tower'), inner.at('embed_audio'), hiddenSize);
  }
}

export const Gemma4WholeRouter = routerOf(GEMMA4_WHOLE_CONFIG, FlashGemma4VisionForCausalLMATB, {
  // A file that says nothing at all is that of no model.
  modelOf: ({ vision_config: vision, text_config: text, hidden_size: size }) =>
    vision || !(text || size) ? undefined : FlashGemma4TextOfAllATB,
  headNames: headNamesUnder(ROOT),
  harmlessTensors: BORROWED,
  mediaProcessor: async (folder, config, encode) =>
    config.vision && gemma4Processor(folder, config, config.vision, encode),
  about: {
    kind: 'media',
    features: [
      'pictures of any shape, within a budget of tokens',
      'frames behind their times',
      'text of gemma4_text',
      'sound, the first 30 s',
    ],
    reference: 'transformers',
  },
});

registerModel('gemma4', Gemma4WholeRouter);
