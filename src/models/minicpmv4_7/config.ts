import {
  type ConfigDict,
  type ConfigOf,
  defineConfig,
  type Field,
  field,
  integer,
  required,
  within,
} from '../../layers/config/index.js';
import { tokensBesideText } from '../base/vision/index.js';
import { SLICED_IRRELEVANT, slicedFields } from '../minicpmv4_6/index.js';
import { denseFields, QWEN3_5_IRRELEVANT, sparseFields } from '../qwen3_5_text/index.js';

const mark = (name: string): Field<number> => field(name, integer(0, 10_000_000), required);

/** Defaults of transformers 5.24, MiniCPMV4_7Config. */
const BESIDE_TEXT = {
  ...slicedFields({ kind: 'minicpmv4_7_vision', mode: '16x', isTied: false }),
  eosTokenIds: tokensBesideText('eos_token_id'),
  imageStart: mark('image_start_id'),
  imageEnd: mark('image_end_id'),
  sliceStart: mark('slice_start_id'),
  sliceEnd: mark('slice_end_id'),
  newline: mark('newline_id'),
};
/** Whether embedding and head are one, the whole says. */
const OF_TEXT = [...Object.keys(QWEN3_5_IRRELEVANT), 'tie_word_embeddings'];
const DENSE = defineConfig({
  fields: { ...within('text_config', denseFields, OF_TEXT), ...BESIDE_TEXT },
  irrelevant: SLICED_IRRELEVANT,
});
const SPARSE = defineConfig({
  fields: { ...within('text_config', sparseFields, OF_TEXT), ...BESIDE_TEXT },
  irrelevant: SLICED_IRRELEVANT,
});
export type Minicpmv47Config = ConfigOf<typeof DENSE> | ConfigOf<typeof SPARSE>;

const textKindOf = ({ text_config: text }: ConfigDict): unknown =>
  (text as ConfigDict | undefined)?.model_type;
export const MINICPMV4_7_CONFIG = {
  read: (dict: ConfigDict): Minicpmv47Config =>
    (textKindOf(dict) === 'qwen3_5_moe_text' ? SPARSE : DENSE).read(dict),
};
