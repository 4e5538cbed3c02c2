import { defineConfig, field, flag, keysBecause, required, text, within } from '../../layers/config/index.js';
import { headNamesUnder, registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { besideText, dtypeBesideText, tokensBesideText } from '../base/vision/index.js';
import {
  EMBEDDING_GEMMA2_FIELDS,
  EMBEDDING_GEMMA2_IRRELEVANT,
  type EmbeddingGemma2Config,
  FlashEmbeddingGemma2ModelATB,
} from '../embedding_gemma2_text/index.js';

/** Defaults of transformers 5.24, EmbeddingGemma2Config. */
const EMBEDDING_GEMMA2_CONFIG = defineConfig({
  fields: {
    ...within('text_config', EMBEDDING_GEMMA2_FIELDS, Object.keys(EMBEDDING_GEMMA2_IRRELEVANT)),
    modelType: field('model_type', text, required),
    dtype: dtypeBesideText,
    tieWordEmbeddings: besideText('tie_word_embeddings', flag, true),
    eosTokenIds: tokensBesideText('eos_token_id'),
  },
  irrelevant: {
    ...EMBEDDING_GEMMA2_IRRELEVANT,
    ...keysBecause(
      'is about what it sees and hears, which is not built',
      ...['vision_config', 'image_token_id', 'video_token_id', 'boi_token_id', 'eoi_token_id'],
      ...['audio_config', 'audio_token_id', 'boa_token_id', 'eoa_token_index'],
    ),
  },
});

const ROOT = 'language_model';

/** The text of an EmbeddingGemma 2 that could see and hear. */
export class FlashEmbeddingGemma2OfAllATB extends FlashEmbeddingGemma2ModelATB {
  constructor(config: EmbeddingGemma2Config, weights: Weights) {
    super(config, weights.at(ROOT), 'embedding_gemma2');
  }
}

export const EmbeddingGemma2Router = routerOf(EMBEDDING_GEMMA2_CONFIG, FlashEmbeddingGemma2OfAllATB, {
  headNames: headNamesUnder(ROOT),
  harmlessTensors: [/^(vision_tower|embed_vision|audio_tower|embed_audio)\./],
  about: {
    kind: 'encoder',
    features: ['text alone of embedding_gemma2_text: no pictures, no sound'],
    reference: 'transformers',
  },
});
registerModel('embedding_gemma2', EmbeddingGemma2Router);
