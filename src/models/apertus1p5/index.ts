import {
  type ConfigOf,
  defineConfig,
  field,
  flag,
  keysBecause,
  required,
  text,
  within,
} from '../../layers/config/index.js';
import { headNamesUnder, registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { APERTUS_IRRELEVANT, FlashApertusForCausalLMATB, XIELU_UNREAD } from '../apertus/index.js';
import { APERTUS1P5_FIELDS } from '../apertus1p5_text/index.js';
import { besideText, dtypeBesideText, tokensBesideText } from '../base/vision/index.js';

/** Defaults of transformers 5.24, Apertus1p5Config. */
const APERTUS1P5_CONFIG = defineConfig({
  fields: {
    ...within('text_config', APERTUS1P5_FIELDS, Object.keys(APERTUS_IRRELEVANT)),
    modelType: field('model_type', text, required),
    dtype: dtypeBesideText,
    tieWordEmbeddings: besideText('tie_word_embeddings', flag, false),
    eosTokenIds: tokensBesideText('eos_token_id'),
  },
  irrelevant: {
    ...APERTUS_IRRELEVANT,
    ...keysBecause(
      'is about what makes tokens of pictures and of sound, which is not built',
      ...['vision_config', 'image_token_id', 'image_token_offset'],
      ...['audio_config', 'audio_token_id', 'audio_token_offset'],
    ),
  },
});

const ROOT = 'model.language_model';

/** The text of an Apertus 1.5 that could see and hear. */
export class FlashApertus1p5ForCausalLMATB extends FlashApertusForCausalLMATB<
  ConfigOf<typeof APERTUS1P5_CONFIG>
> {
  override readonly name: string = 'apertus1p5';

  constructor(config: ConfigOf<typeof APERTUS1P5_CONFIG>, weights: Weights) {
    super(config, weights, ROOT);
  }
}

export const Apertus1p5Router = routerOf(APERTUS1P5_CONFIG, FlashApertus1p5ForCausalLMATB, {
  headNames: headNamesUnder(ROOT),
  harmlessTensors: [...XIELU_UNREAD, /^model\.(vision|audio)_tokenizer\./],
  about: {
    kind: 'variant',
    features: ['text alone of apertus1p5_text: no pictures, no sound'],
    reference: 'transformers, as apertus1p5_text',
  },
});
registerModel('apertus1p5', Apertus1p5Router);
