import { isObject } from '../../is-object.js';
import {
  type ConfigDict,
  defineConfig,
  field,
  flag,
  only,
  required,
  text,
  tokenField,
} from '../../layers/config/index.js';
import { aroundText, textWithin } from '../base/text-within.js';
import { besideText, dtypeBesideText, sideOfSquare } from '../base/vision/index.js';

/** Of FuyuConfig in transformers 5.24, from which files of text differ. */
const PERSIMMON = {
  model_type: 'persimmon',
  vocab_size: 262_144,
  hidden_size: 4096,
  intermediate_size: 16_384,
  num_hidden_layers: 36,
  num_attention_heads: 64,
  max_position_embeddings: 16_384,
  partial_rotary_factor: 0.5,
} as const;

/** What the class takes for its text where all lies beside each other, as in published files. */
const OF_TEXT: ReadonlySet<string> = new Set([
  ...['vocab_size', 'max_position_embeddings', 'hidden_size', 'intermediate_size', 'num_hidden_layers'],
  ...[
    'num_attention_heads',
    'hidden_act',
    'initializer_range',
    'layer_norm_eps',
    'use_cache',
    'qk_layernorm',
  ],
  ...['hidden_dropout', 'attention_dropout', 'eos_token_id', 'rope_scaling', 'rope_theta'],
]);

/** Defaults of transformers 5.24, FuyuConfig. */
const READ = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', PERSIMMON),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, false),
      imageTokenId: tokenField('image_token_id', 71_011),
      patchSize: sideOfSquare('patch_size', 30),
      channels: field('num_channels', only(3), 3),
    },
    irrelevant: {
      image_size: 'the processor says how large pictures are',
      bos_token_id: 'the class has that of its text',
      ...Object.fromEntries([...OF_TEXT].map((key) => [key, 'repeats text_config'])),
    },
  }),
);

export const FUYU_CONFIG = {
  /** @throws CONFIG_INVALID */
  read(dict: ConfigDict) {
    if (isObject(dict.text_config)) return READ.read(dict);
    const entries = Object.entries(dict);
    const of = (isText: boolean) =>
      Object.fromEntries(entries.filter(([key]) => OF_TEXT.has(key) === isText));
    return READ.read({ ...of(false), text_config: of(true) });
  },
};
export type FuyuConfig = ReturnType<(typeof FUYU_CONFIG)['read']>;
