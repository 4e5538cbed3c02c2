import { defineConfig, field, flag, nested, required, text, tokenField } from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { aroundText, besideHead, textWithin } from '../base/text-within.js';
import {
  besideText,
  dividingHeads,
  dtypeBesideText,
  PatchProcessor,
  TOKENS_OF_TEMPLATES,
} from '../base/vision/index.js';
import { Qwen25vlVisionTower, windowedVision } from '../qwen2_5_vl/index.js';

/** Defaults of transformers 5.24, Exaone4_5_Config. */
export const EXAONE4_5_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', { model_type: 'exaone4' }),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, false),
      imageTokenId: tokenField('image_token_id', 67),
      videoTokenId: tokenField('video_token_id', 68),
      vision: nested(
        'vision_config',
        { ...windowedVision, numKeyValueHeads: dividingHeads('num_heads', 8) },
        // What patch_size says; positions in time are those of text.
        ['spatial_patch_size', 'tokens_per_second'],
      ),
    },
    irrelevant: TOKENS_OF_TEMPLATES,
  }),
);
export type Exaone45Config = ReturnType<(typeof EXAONE4_5_CONFIG)['read']>;

const TEXT = 'model.language_model';

/** EXAONE 4 that sees by the tower of Qwen2.5-VL with fewer heads of keys; a picture's tokens stand in a line like words. */
export class FlashExaone45ForCausalLMATB extends FlashInsertingATB<Exaone45Config> {
  readonly name = 'exaone4_5';
  protected readonly encoderModule: Qwen25vlVisionTower;

  constructor(config: Exaone45Config, weights: Weights) {
    super(config, besideHead(weights, TEXT), TEXT);
    this.encoderModule = new Qwen25vlVisionTower(config.vision, weights.at('model.visual'));
  }
}

export const Exaone45Router = routerOf(EXAONE4_5_CONFIG, FlashExaone45ForCausalLMATB, {
  headNames: { embedding: `${TEXT}.embed_tokens`, head: 'lm_head' },
  mediaProcessor: (folder, config) => PatchProcessor.load(folder, config),
  about: {
    kind: 'media',
    features: ['pictures and frames as qwen2_5_vl', 'positions as text', 'text of exaone4'],
    reference: 'transformers',
  },
});
registerModel('exaone4_5', Exaone45Router);
