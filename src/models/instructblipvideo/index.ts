import { constant, defineConfig, tokenField } from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { BLIP_CHAT, BLIP_IRRELEVANT } from '../base/blip/index.js';
import { aroundText, headNamesWithin } from '../base/text-within.js';
import {
  FlashInstructBlipForCausalLMATB,
  InstructBlipProcessor,
  instructBlipFields,
} from '../instructblip/index.js';

/** Defaults of transformers 5.24, InstructBlipVideoConfig and the classes of its parts. */
const INSTRUCTBLIPVIDEO_CONFIG = aroundText(
  defineConfig({
    fields: {
      ...instructBlipFields('instructblipvideo'),
      imageTokenId: constant<number | undefined>(undefined),
      videoTokenId: tokenField(['video_token_index', 'video_token_id'], undefined),
    },
    irrelevant: BLIP_IRRELEVANT,
  }),
);

/** InstructBLIP that sees frames, each as a picture. */
export class FlashInstructBlipVideoForCausalLMATB extends FlashInstructBlipForCausalLMATB {
  override readonly name: string = 'instructblipvideo';
}

export const InstructBlipVideoRouter = routerOf(
  INSTRUCTBLIPVIDEO_CONFIG,
  FlashInstructBlipVideoForCausalLMATB,
  {
    headNames: ({ textKind }) => headNamesWithin(textKind, 'language_model'),
    harmlessTensors: [/\.embed_positions\.weight$/, /^qformer\.embeddings\.position_ids$/],
    chatFormat: () => BLIP_CHAT,
    mediaProcessor: (folder, config, encode) =>
      InstructBlipProcessor.load(folder, config, encode, 'video_processor'),
    about: { kind: 'media', features: ['as instructblip, four frames'], reference: 'transformers' },
  },
);
registerModel('instructblipvideo', InstructBlipVideoRouter);
