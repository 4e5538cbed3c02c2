import {
  type ConfigDict,
  type ConfigOf,
  defineConfig,
  type Field,
  field,
  flag,
  keysBecause,
  required,
  text,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { type TextWithin, textWithin } from '../base/text-within.js';
import { besideText, dtypeBesideText, tokensBesideText } from '../base/vision/index.js';
import { FlashStep3p5ForCausalLMATB, type Step3p5Config } from '../step3p5/index.js';

/** Files may leave out what the text is called. */
const step3p5Within = textWithin('text_config', { model_type: 'step3p5' }) as Field<
  TextWithin & Step3p5Config
>;

/** Defaults of transformers 5.24, Step3p7Config. */
const WHOLE = defineConfig({
  fields: {
    text: step3p5Within,
    vocabSize: { read: (_, config) => config.text.vocabSize } satisfies Field<
      number,
      { readonly text: Step3p5Config }
    >,
    modelType: field('model_type', text, required),
    dtype: dtypeBesideText,
    tieWordEmbeddings: besideText('tie_word_embeddings', flag, false),
    eosTokenIds: tokensBesideText('eos_token_id'),
  },
  irrelevant: {
    ...keysBecause(
      'is about what it sees, which is not built',
      ...['vision_config', 'image_token_id', 'image_token_len', 'patch_token_len', 'projector_bias'],
      'understand_projector_stride',
    ),
    ...keysBecause('is read of text_config', 'bos_token_id', 'pad_token_id'),
  },
});
type Whole = ConfigOf<typeof WHOLE>;

const STEP3P7_CONFIG = {
  read(dict: ConfigDict, file?: string): Step3p5Config {
    const { text: own, ...whole }: Whole = WHOLE.read(dict, file);
    return { ...own, ...whole, unreadKeys: [...whole.unreadKeys, ...own.unreadKeys] };
  },
};

/** The text of a Step 3.7 that could see; its tensors have the names that they have without eyes. */
export class FlashStep3p7ForCausalLMATB extends FlashStep3p5ForCausalLMATB {
  override readonly name: string = 'step3p7';
}

export const Step3p7Router = routerOf(STEP3P7_CONFIG, FlashStep3p7ForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['text alone of step3p5: no pictures'],
    reference: 'transformers',
  },
  harmlessTensors: [/^(model\.)?vision_model\./, /^vit_large_projector\./, /^model\.multi_modal_projector\./],
});
registerModel('step3p7', Step3p7Router);
