import {
  defineConfig,
  type Field,
  field,
  integer,
  nested,
  oneOf,
  only,
  WIDTH,
} from '../../layers/config/index.js';
import { BLIP_IRRELEVANT, blipFields, OPT_125M } from '../base/blip/index.js';
import { LLAMA_7B } from '../base/llava/index.js';
import { Q_FORMER, Q_FORMER_PASSED, Q_FORMER_SIZES, type QFormerConfig } from '../base/q-former.js';
import { aroundText, type TextWithin, textWithout } from '../base/text-within.js';

/** Of files of Vicuna before transformers had it: it says what max_position_embeddings is by default. */
const OLDER_KEY = 'max_sequence_length';

/** Text of T5, of two halves, is not built. */
const decoderText: Field<TextWithin> = {
  read(json) {
    json.section('text_config')?.value('model_type', oneOf('llama', 'opt'));
    return textWithout([OLDER_KEY], 'text_config', OPT_125M, LLAMA_7B).read(json, {});
  },
};

/** Queries see words of BERT's beside each other. What they look at is as wide as the encoder's rows, whatever the file says. */
const qFormerOf = (
  kind: string,
): Field<QFormerConfig, { readonly vision: { readonly hiddenSize: number } }> => ({
  read(json, { vision }) {
    const { hiddenSize, numHeads } = Q_FORMER_SIZES;
    const { readsWords: _, kind: __, ...layers } = Q_FORMER;
    const { vocabSize, positions, ...found } = nested(
      'qformer_config',
      {
        ...{ ...layers, hiddenSize, numHeads },
        kind: field('model_type', only(kind), kind),
        vocabSize: field('vocab_size', WIDTH, 30_522),
        positions: field('max_position_embeddings', integer(1, 2 ** 20), 512),
      },
      [...Q_FORMER_PASSED, 'encoder_hidden_size', 'classifier_dropout'],
    ).read(json, {});
    return { ...found, seenSize: vision.hiddenSize, words: { vocabSize, positions } };
  },
});

/** What models of pictures and of frames have. `name`: with which the kinds of their parts begin. */
export const instructBlipFields = (name: string) => ({
  text: decoderText,
  ...blipFields(`${name}_vision_model`),
  qFormer: qFormerOf(`${name}_qformer`),
});

/** Defaults of transformers 5.24, InstructBlipConfig, InstructBlipVisionConfig and InstructBlipQFormerConfig. */
export const INSTRUCTBLIP_CONFIG = aroundText(
  defineConfig({
    fields: instructBlipFields('instructblip'),
    irrelevant: BLIP_IRRELEVANT,
  }),
);
export type InstructBlipConfig = ReturnType<(typeof INSTRUCTBLIP_CONFIG)['read']>;
