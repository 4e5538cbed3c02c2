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
import { besideText, dtypeBesideText } from '../base/vision/index.js';
import { BORROWED, FlashGemma4ForCausalLMATB, GEMMA4_FIELDS } from '../gemma4_text/index.js';

const ROOT = 'model.language_model';

/** Defaults of transformers 5.24, Gemma4Config. */
const GEMMA4_CONFIG = defineConfig({
  fields: {
    ...within('text_config', GEMMA4_FIELDS),
    modelType: field('model_type', text, required),
    dtype: dtypeBesideText,
    tieWordEmbeddings: besideText('tie_word_embeddings', flag, true),
  },
  irrelevant: keysBecause(
    'is about what it sees and hears, which is not built',
    ...['vision_config', 'audio_config', 'image_token_id', 'video_token_id', 'audio_token_id'],
    ...['boi_token_id', 'eoi_token_id', 'boa_token_id', 'eoa_token_id', 'eoa_token_index'],
    ...['vision_soft_tokens_per_image'],
  ),
});
type Gemma4Config = ConfigOf<typeof GEMMA4_CONFIG>;

/** The text of a Gemma 4 that could see and hear. */
export class FlashGemma4TextOfAllATB extends FlashGemma4ForCausalLMATB {
  constructor(config: Gemma4Config, weights: Weights) {
    super(config, weights, ROOT);
  }
}

export const Gemma4WholeRouter = routerOf(GEMMA4_CONFIG, FlashGemma4TextOfAllATB, {
  about: {
    kind: 'gemma',
    features: ['text alone of gemma4_text: neither pictures nor sound'],
    reference: 'transformers',
  },
  headNames: headNamesUnder(ROOT),
  harmlessTensors: [...BORROWED, /^model\.(vision_tower|audio_tower|embed_vision|embed_audio)\./],
});
registerModel('gemma4', Gemma4WholeRouter);
