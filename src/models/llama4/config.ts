import {
  defineConfig,
  encoderHeads,
  type Field,
  field,
  flag,
  integer,
  keysBecause,
  nested,
  only,
  positive,
  required,
  text,
  tokenField,
  WIDTH,
} from '../../layers/config/index.js';
import { aroundText, textWithin } from '../base/text-within.js';
import { besideText, dtypeBesideText, sideOfSquare } from '../base/vision/index.js';

const COUNT = integer(1, 10_000);

/** Of Llama4TextConfig in transformers 5.24, from which files differ. */
const LLAMA4_TEXT = {
  model_type: 'llama4_text',
  vocab_size: 202_048,
  hidden_size: 5120,
  intermediate_size: 8192,
  num_hidden_layers: 48,
  num_attention_heads: 40,
  max_position_embeddings: 131_072,
} as const;

/** The base of the rotary embedding of two axes, which files before transformers 5 have by itself. */
const theta: Field<number> = {
  read(json) {
    const section = json.section('rope_parameters');
    section?.value('rope_type', only('default'));
    const base = positive(1e12);
    return section?.value('rope_theta', base) ?? json.value('rope_theta', base) ?? 10_000;
  },
};

interface ShuffleNeeds {
  readonly hiddenSize: number;
  readonly imageSize: number;
  readonly patchSize: number;
}

/** Patches along a side of a block, which becomes one token. The first product of the adapter reads whole blocks. */
const mergeSize: Field<number, ShuffleNeeds> = {
  read(json, { hiddenSize, imageSize, patchSize }) {
    const ratio = json.value('pixel_shuffle_ratio', positive(1)) ?? 0.5;
    const size = 1 / ratio;
    if (!Number.isInteger(size) || Math.floor(imageSize / patchSize) % size !== 0)
      json.fail(
        `pixel_shuffle_ratio must be 1 / n and cut ${imageSize} pixels into blocks of n patches, found ${ratio}`,
      );
    const width = json.value('intermediate_size', WIDTH) ?? 5632;
    if (width !== hiddenSize * size ** 2)
      json.problem(
        `intermediate_size must be that of ${size ** 2} patches of hidden_size ${hiddenSize}, found ${width}`,
      );
    return size;
  },
};

/** The size of what the adapter gives, which three keys name. */
const outSize: Field<number> = {
  read(json) {
    const names = ['projector_input_dim', 'projector_output_dim', 'vision_output_dim'];
    const [size = 4096, ...others] = names.map(
      (name, at) => json.value(name, WIDTH) ?? (at === 2 ? 7680 : 4096),
    );
    if (others.some((other) => other !== size))
      json.problem(`${names.join(', ')} must be one number, found ${[size, ...others]}`);
    return size;
  },
};

/** Defaults of transformers 5.24, Llama4Config and Llama4VisionConfig. */
export const LLAMA4_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', LLAMA4_TEXT),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, false),
      imageTokenId: tokenField(['image_token_index', 'image_token_id'], 200_092),
      vision: nested(
        'vision_config',
        {
          hiddenSize: field('hidden_size', WIDTH, 768),
          intermediateSize: field('intermediate_size', WIDTH, 5632),
          numLayers: field('num_hidden_layers', COUNT, 34),
          numHeads: encoderHeads('num_attention_heads', 16, { multiple: 4 }),
          imageSize: sideOfSquare('image_size', 448),
          patchSize: sideOfSquare('patch_size', 14),
          channels: field('num_channels', only(3), 3),
          select: field('vision_feature_select_strategy', only('default'), 'default'),
          theta,
          mergeSize,
          outSize,
        },
        // The class does not look at them.
        [
          ...['hidden_act', 'norm_eps', 'multi_modal_projector_bias', 'vision_feature_layer'],
          ...['projector_dropout', 'torch_dtype', 'dtype'],
        ],
      ),
    },
    irrelevant: keysBecause(
      'its text is one token, which is looked up',
      ...['boi_token_index', 'boi_token_id', 'eoi_token_index', 'eoi_token_id'],
    ),
  }),
);
export type Llama4Config = ReturnType<(typeof LLAMA4_CONFIG)['read']>;
