import { defineConfig, type Field, nested, only } from '../../layers/config/index.js';
import { BLIP_IRRELEVANT, blipFields, OPT_125M } from '../base/blip/index.js';
import { Q_FORMER, Q_FORMER_PASSED, Q_FORMER_SIZES, type QFormerConfig } from '../base/q-former.js';
import { aroundText, type TextWithin, textWithin } from '../base/text-within.js';

/** Text of T5, of two halves, is not built. */
const optText: Field<TextWithin> = {
  read(json) {
    json.section('text_config')?.value('model_type', only('opt'));
    return textWithin('text_config', OPT_125M).read(json, {});
  },
};

/** What queries look at is as wide as the encoder's rows, whatever the file says. */
const qFormer: Field<QFormerConfig, { readonly vision: { readonly hiddenSize: number } }> = {
  read(json, { vision }) {
    const { hiddenSize, numHeads } = Q_FORMER_SIZES;
    const passed = [...Q_FORMER_PASSED, 'encoder_hidden_size', 'classifier_dropout'];
    const found = nested('qformer_config', { ...Q_FORMER, hiddenSize, numHeads }, passed).read(json, {});
    return { ...found, seenSize: vision.hiddenSize };
  },
};

/** Defaults of transformers 5.24, Blip2Config, Blip2VisionConfig and Blip2QFormerConfig. */
export const BLIP_2_CONFIG = aroundText(
  defineConfig({
    fields: { text: optText, ...blipFields('blip_2_vision_model'), qFormer },
    irrelevant: BLIP_IRRELEVANT,
  }),
);
export type Blip2Config = ReturnType<(typeof BLIP_2_CONFIG)['read']>;
