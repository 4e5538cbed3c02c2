import {
  activation,
  defineConfig,
  encoderHeads,
  type Field,
  field,
  flag,
  integer,
  nested,
  only,
  positive,
  required,
  text,
  tokenField,
  tokensField,
  WIDTH,
} from '../../layers/config/index.js';
import { LLAMA_7B, QWEN2_7B } from '../base/llava/index.js';
import { aroundText, type TextWithin, textWithin } from '../base/text-within.js';
import { besideText, dtypeBesideText, sideOfSquare } from '../base/vision/index.js';

const COUNT = integer(1, 10_000);
const WORDS = integer(2, 1_000_000);

/** Patches along a side of a block, which becomes one token: those of a tile are cut into whole ones. */
const mergeSize: Field<number, { readonly imageSize: number; readonly patchSize: number }> = {
  read(json, { imageSize, patchSize }) {
    const found = json.value('hidden_stride', COUNT) ?? 1;
    const side = Math.floor(imageSize / patchSize);
    return side % found === 0
      ? found
      : json.fail(`hidden_stride must cut ${side} patches a side into whole blocks, found ${found}`);
  },
};

/** Defaults of transformers 5.24, Ovis2VisionConfig. */
const vision = nested('vision_config', {
  kind: field('model_type', only('ovis2_vision'), 'ovis2_vision'),
  hiddenSize: field('hidden_size', WIDTH, 1024),
  intermediateSize: field('intermediate_size', WIDTH, 2816),
  numLayers: field('num_hidden_layers', COUNT, 24),
  numHeads: encoderHeads('num_attention_heads', 8),
  channels: field('num_channels', only(3), 3),
  imageSize: sideOfSquare('image_size', 224),
  patchSize: sideOfSquare('patch_size', 14),
  epsilon: field('rms_norm_eps', positive(1), 1e-5),
  qkvBias: field('qkv_bias', flag, false),
  mlpBias: field('mlp_bias', flag, false),
  hiddenAct: activation('hidden_act', 'silu'),
  /** Words that a token of a picture is a mixture of, and behind them those that stand around tiles. */
  vocabSize: field('vocab_size', WORDS, 16_384),
  indicators: field('num_visual_indicator_tokens', COUNT, 5),
  tokenizes: field('tokenize_function', only('softmax'), 'softmax'),
  mergeSize,
});

/** Before a picture, behind the whole of it, beside and below a tile, behind all: the token of each. */
const INDICATORS = [151_666, 151_667, 151_668, 151_669, 151_670];

const indicatorIds: Field<
  readonly number[],
  { readonly vision: { readonly indicators: number }; readonly text: TextWithin }
> = {
  read(json, { vision: { indicators }, text: { vocabSize } }) {
    const found = tokensField('visual_indicator_token_ids', INDICATORS).read(json, { vocabSize });
    if (found.length === indicators) return found;
    return json.fail(`visual_indicator_token_ids must be ${indicators} tokens, found ${found.length}`);
  },
};

/** Defaults of transformers 5.24, Ovis2Config. */
export const OVIS2_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', QWEN2_7B, LLAMA_7B),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, true),
      imageTokenId: tokenField('image_token_id', 151_665),
      vision,
      indicatorIds,
    },
    irrelevant: { vocab_size: 'repeats that of text_config', hidden_size: 'repeats that of text_config' },
  }),
);
export type Ovis2Config = ReturnType<(typeof OVIS2_CONFIG)['read']>;
