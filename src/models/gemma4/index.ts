import { DECODER_KINDS, ENCODE, ENCODE_SOUND, type GraphKind } from '../../graph/graph-kind.js';
import { headNamesUnder, registerModel, routerOf } from '../../router/index.js';
import type { StepInput } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import type { SoundTower } from '../base/audio/index.js';
import { FlashWithEncoderATB } from '../base/flash-with-encoder-atb.js';
import { InsertingModelATB, insertInputs } from '../base/inserting-text-atb.js';
import { BORROWED, FlashGemma4ForCausalLMATB, Gemma4ModelATB } from '../gemma4_text/index.js';
import { GEMMA4_WHOLE_CONFIG, type Gemma4WholeConfig } from './config.js';
import { gemma4Processor } from './processor.js';
import { gemma4SoundTower } from './sound-tower.js';
import { Gemma4Tower } from './vision-tower.js';

const ROOT = 'model.language_model';

/** The text of a Gemma 4, whose file says nothing of an encoder. */
export class FlashGemma4TextOfAllATB extends FlashGemma4ForCausalLMATB {
  constructor(config: Gemma4WholeConfig, weights: Weights) {
    super(config, weights, ROOT);
  }
}

/** Whether tokens of a picture see each other. */
const seesInserts = ({ bidirectional }: Gemma4WholeConfig): boolean => bidirectional !== undefined;

/**
 * Gemma 4 that sees pictures of any shape, whose tokens see each other in layers with a window where the file says so, and
 * hears where it has what hears.
 */
export class FlashGemma4VisionForCausalLMATB extends FlashWithEncoderATB<Gemma4WholeConfig> {
  readonly name = 'gemma4';
  override readonly graphKinds: readonly GraphKind[];
  protected readonly model: InsertingModelATB;
  protected readonly encoderModule: Gemma4Tower;
  protected override readonly soundModule: SoundTower | undefined;

  constructor(config: Gemma4WholeConfig, weights: Weights) {
    super(config, weights, { softcap: config.logitSoftcap, names: headNamesUnder(ROOT) });
    const { vision, audio, imageTokenId, videoTokenId, audioTokenId } = config;
    if (!vision) throw new TypeError('a model without an encoder is text alone');
    const padded = [imageTokenId, videoTokenId, audioTokenId].filter((id) => id !== undefined);
    const seeing = { ...config, padded, seesInserts: seesInserts(config) };
    this.model = new InsertingModelATB(new Gemma4ModelATB(seeing, weights.at(ROOT)));
    const inner = weights.at('model');
    this.encoderModule = new Gemma4Tower(
      vision,
      inner.at('vision_tower'),
      inner.at('embed_vision'),
      config.hiddenSize,
    );
    this.soundModule =
      audio && gemma4SoundTower(audio, inner.at('audio_tower'), inner.at('embed_audio'), config.hiddenSize);
    this.graphKinds = [...DECODER_KINDS, ENCODE, ...(audio ? [ENCODE_SOUND] : [])];
  }

  protected override get decoderInputs(): readonly StepInput[] {
    const { config } = this;
    return [...super.decoderInputs, ...insertInputs({ ...config, seesInserts: seesInserts(config) })];
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
