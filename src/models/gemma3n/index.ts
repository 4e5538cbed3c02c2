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
import { besideText, dtypeBesideText, tokensBesideText } from '../base/vision/index.js';
import {
  FlashGemma3nForCausalLMATB,
  GEMMA3N_FIELDS,
  GEMMA3N_IRRELEVANT,
  GEMMA3N_UNREAD,
} from '../gemma3n_text/index.js';

const ROOT = 'model.language_model';

/** Defaults of transformers 5.24, Gemma3nConfig. */
const GEMMA3N_WHOLE_CONFIG = defineConfig({
  fields: {
    ...within('text_config', GEMMA3N_FIELDS, Object.keys(GEMMA3N_IRRELEVANT)),
    modelType: field('model_type', text, required),
    dtype: dtypeBesideText,
    tieWordEmbeddings: besideText('tie_word_embeddings', flag, true),
    eosTokenIds: tokensBesideText('eos_token_id'),
  },
  irrelevant: {
    ...GEMMA3N_IRRELEVANT,
    ...keysBecause(
      'is about what it sees and hears, which is not built',
      ...[
        'vision_config',
        'audio_config',
        'image_token_id',
        'audio_token_id',
        'boi_token_id',
        'eoi_token_id',
      ],
      ...['boa_token_id', 'eoa_token_id', 'vision_soft_tokens_per_image', 'audio_soft_tokens_per_image'],
    ),
  },
});
type Gemma3nWholeConfig = ConfigOf<typeof GEMMA3N_WHOLE_CONFIG>;

/** The text of a Gemma 3n that could see and hear. */
export class FlashGemma3nTextOfAllATB extends FlashGemma3nForCausalLMATB {
  constructor(config: Gemma3nWholeConfig, weights: Weights) {
    super(config, weights, ROOT);
  }
}

export const Gemma3nWholeRouter = routerOf(GEMMA3N_WHOLE_CONFIG, FlashGemma3nTextOfAllATB, {
  about: {
    kind: 'gemma',
    features: ['text alone of gemma3n_text: neither pictures nor sound'],
    reference: 'transformers, as gemma3n_text',
  },
  headNames: headNamesUnder(ROOT),
  harmlessTensors: [...GEMMA3N_UNREAD, /^model\.(vision_tower|audio_tower|embed_vision|embed_audio)\./],
});
registerModel('gemma3n', Gemma3nWholeRouter);
