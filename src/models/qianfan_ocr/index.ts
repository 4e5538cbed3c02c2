import type { EncodeWords, MediaProcessor } from '../../media/index.js';
import { type ModelAbout, RegisterRouter } from '../../router/index.js';
import {
  FlashInternvlChatForCausalLMATB,
  INTERNVL_CHAT_NAMES,
  type InternvlConfig,
  InternvlRouter,
  internvlConfig,
} from '../internvl/index.js';

/** Defaults of transformers 5.24, QianfanOCRConfig, and of Qwen3Config for its text. */
const QIANFAN_OCR_CONFIG = internvlConfig({
  texts: [
    {
      model_type: 'qwen3',
      vocab_size: 151_936,
      hidden_size: 4096,
      intermediate_size: 22_016,
      num_hidden_layers: 32,
      num_attention_heads: 32,
      num_key_value_heads: 32,
      head_dim: 128,
      max_position_embeddings: 32_768,
    },
  ],
  tieWordEmbeddings: false,
  qkvBias: true,
});

/** InternVL that reads documents, with the names of its published checkpoints. */
export class FlashQianfanOcrForCausalLMATB extends FlashInternvlChatForCausalLMATB {
  override readonly name = 'qianfan_ocr';
}

/** Its configuration is transformers', its tensors are as published. */
@RegisterRouter('qianfan_ocr')
export class QianfanOcrRouter extends InternvlRouter {
  protected override readonly names = INTERNVL_CHAT_NAMES;

  override get about(): ModelAbout {
    return { kind: 'media', features: ['as internvl, pictures alone'], reference: 'transformers' };
  }

  /** InternVL's, for pictures alone. */
  override async getMediaProcessor(encode: EncodeWords) {
    const tiles = await super.getMediaProcessor(encode);
    const { image } = tiles.placeholders;
    const processor: MediaProcessor & Pick<typeof tiles, 'partTexts'> = {
      placeholders: image === undefined ? {} : { image },
      // What its chat template prints for a picture is no token.
      templateTexts: { '<image>': tiles.partTexts.image },
      partTexts: tiles.partTexts,
      process: (media, what, place, count) => tiles.process(media, what, place, count),
    };
    return processor;
  }

  protected override getConfig(): InternvlConfig {
    return QIANFAN_OCR_CONFIG.read(this.configDict);
  }

  protected override getModelClass(): typeof FlashQianfanOcrForCausalLMATB {
    return FlashQianfanOcrForCausalLMATB;
  }
}
