import {
  defineConfig,
  type Field,
  field,
  flag,
  integer,
  listOf,
  nested,
  oneOf,
  only,
  required,
  text,
  tokenField,
} from '../../layers/config/index.js';
import { aroundText, textWithin } from '../base/text-within.js';
import { dtypeBesideText, endsBesideText, siglipFields } from '../base/vision/index.js';

/** Sides of a block, of which the class knows one alone. */
const twoByTwo = (name: string): Field<2> => ({
  read(json) {
    const found = json.value(name, listOf(integer(1, 100), 'two sizes')) ?? [2, 2];
    return found.length === 2 && found.every((side) => side === 2)
      ? 2
      : json.fail(`${name} must be [2, 2], the blocks that the projector is made for, found [${found}]`);
  },
});

/** How many of the encoder's layers lie before patches become fewer. */
const layersOfPatches: Field<
  number,
  { readonly vision: { readonly numLayers: number }; readonly mode: string }
> = {
  read(json, { vision: { numLayers }, mode }) {
    const found = json.value('insert_layer_id', integer(-1000, 1000)) ?? 6;
    if (mode === '4x') return numLayers;
    return found >= 0 && found < numLayers
      ? found + 1
      : json.fail(
          `insert_layer_id must be that of one of ${numLayers} layers of vision_config, found ${found}`,
        );
  },
};

/** In what classes of this kind differ: how many patches become a token, and whether embedding and head are one. */
interface SlicedDefaults {
  readonly kind: string;
  readonly mode: '16x' | '4x';
  readonly isTied: boolean;
}

/** Defaults of transformers 5.24, MiniCPMV4_6Config and its kin, but for text. */
export const slicedFields = ({ kind, mode, isTied }: SlicedDefaults) => ({
  modelType: field('model_type', text, required),
  dtype: dtypeBesideText,
  tieWordEmbeddings: field('tie_word_embeddings', flag, isTied),
  imageTokenId: tokenField('image_token_id', undefined),
  videoTokenId: tokenField('video_token_id', undefined),
  /** Of 16 patches comes a token, or of 4. */
  mode: field('downsample_mode', oneOf('16x', '4x'), mode),
  block: twoByTwo('merge_kernel_size'),
  mergers: field('merger_times', only(1), 1),
  vision: nested(
    'vision_config',
    { ...siglipFields({ kinds: [kind] }), window: twoByTwo('window_kernel_size') },
    // Those of the whole count.
    ['insert_layer_id', 'dtype'],
  ),
  layersOfPatches,
});
export const SLICED_IRRELEVANT = {
  drop_vision_last_layer: 'is read by no class',
  image_size: 'is what the processor says',
  patch_size: 'repeats that of vision_config',
};

export const slicedConfig = (defaults: SlicedDefaults) =>
  aroundText(
    defineConfig({
      fields: {
        text: textWithin('text_config', { model_type: 'qwen3_5_text' }),
        ...slicedFields(defaults),
        eosTokenIds: endsBesideText,
      },
      irrelevant: SLICED_IRRELEVANT,
    }),
  );
export type SlicedConfig = ReturnType<ReturnType<typeof slicedConfig>['read']>;

/** What the tower and processors are told. */
export type SlicedVision = Pick<
  SlicedConfig,
  'vision' | 'mode' | 'block' | 'layersOfPatches' | 'hiddenSize' | 'imageTokenId' | 'videoTokenId'
>;
