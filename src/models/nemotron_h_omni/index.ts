import { DECODER_KINDS, ENCODE, ENCODE_SECOND, type GraphKind } from '../../graph/graph-kind.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { headNamesWithin } from '../base/text-within.js';
import { NEMOTRON_H_OMNI_CONFIG, type NemotronHOmniConfig } from './config.js';
import { NemotronOmniProcessor } from './processor.js';
import { RadioTower } from './vision-tower.js';

const TEXT = 'language_model';

/** Nemotron 3 Nano Omni, of which pictures and frames are seen. */
export class FlashNemotronHOmniForCausalLMATB extends FlashInsertingATB<NemotronHOmniConfig> {
  readonly name = 'nemotron_h_omni';
  override readonly graphKinds: readonly GraphKind[] = [...DECODER_KINDS, ENCODE, ENCODE_SECOND];
  protected readonly encoderModule: RadioTower;
  /** The same layers for frames, several of which are in one patch. */
  protected override readonly secondModule: RadioTower;

  constructor(config: NemotronHOmniConfig, weights: Weights) {
    super(config, weights, TEXT);
    this.encoderModule = new RadioTower(config, weights, 1);
    this.secondModule = new RadioTower(config, weights, config.framesOfPatch);
  }
}

export const NemotronHOmniRouter = routerOf(NEMOTRON_H_OMNI_CONFIG, FlashNemotronHOmniForCausalLMATB, {
  headNames: ({ textKind }) => headNamesWithin(textKind, TEXT),
  mediaProcessor: (folder, config, encode) => NemotronOmniProcessor.read(folder, config, encode),
  harmlessTensors: [
    // Sound, what pixels are normed by, and layers that guess further tokens.
    /^(sound_encoder|sound_projection)\./,
    /^vision_model\.radio_model\.(summary_idxs|input_conditioner\..*)$/,
    /^language_model\.mtp\./,
  ],
  about: {
    kind: 'media',
    features: ['pictures of any shape', 'frames, two in a patch', 'RADIO', 'text of nemotron_h'],
    reference: 'transformers',
  },
});
registerModel('nemotron_h_omni', NemotronHOmniRouter);
