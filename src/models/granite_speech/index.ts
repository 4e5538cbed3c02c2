import { registerModel, routerOf } from '../../router/index.js';
import { type StepInput, switchedAdapter } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { adapterScale } from '../base/peft-adapter.js';
import { headNamesWithin } from '../base/text-within.js';
import { GRANITE_SPEECH_CONFIG, type GraniteSpeechConfig } from './config.js';
import { graniteSpeechProcessor } from './processor.js';
import { GraniteSpeechTower } from './sound-tower.js';
import { SwitchedGraniteATB, withAdapterNames } from './switched-attention.js';

const TEXT = 'language_model';

/** Granite that hears by conformers, of windows of whose rows learned queries make tokens. */
export class FlashGraniteSpeechForCausalLMATB extends FlashInsertingATB<GraniteSpeechConfig> {
  readonly name = 'granite_speech';
  protected readonly encoderModule: GraniteSpeechTower;

  constructor(config: GraniteSpeechConfig, weights: Weights) {
    const given = withAdapterNames(weights);
    super(config, given, TEXT, {}, config.adapter && SwitchedGraniteATB);
    this.encoderModule = new GraniteSpeechTower(config, weights.at('encoder'), weights.at('projector'));
  }

  protected override get decoderInputs(): readonly StepInput[] {
    const { adapter } = this.config;
    return [...super.decoderInputs, ...(adapter ? [switchedAdapter(adapterScale(adapter))] : [])];
  }
}

export const GraniteSpeechRouter = routerOf(GRANITE_SPEECH_CONFIG, FlashGraniteSpeechForCausalLMATB, {
  headNames: ({ textKind }) => headNamesWithin(textKind, TEXT),
  // How many batches of training a norm has seen; letters that are heard in the middle, which one layer does not have.
  harmlessTensors: ({ audio }) => [
    /\.batch_norm\.num_batches_tracked$/,
    ...(audio.numLayers === 1 ? [/^encoder\.(out|out_mid)\./] : []),
  ],
  mediaProcessor: graniteSpeechProcessor,
  about: {
    kind: 'media',
    features: ['sound of up to 40 minutes', 'an adapter for prompts with sound', 'text of granite'],
    reference: 'transformers',
  },
});
registerModel('granite_speech', GraniteSpeechRouter);
