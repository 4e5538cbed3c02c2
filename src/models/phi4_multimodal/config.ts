import { isObject } from '../../is-object.js';
import {
  activation,
  type ConfigDict,
  type ConfigReader,
  defineConfig,
  encoderHeads,
  type Field,
  field,
  flag,
  integer,
  keysBecause,
  listOf,
  nested,
  oneOf,
  only,
  tokenField,
  WIDTH,
} from '../../layers/config/index.js';
import { PEFT_IRRELEVANT, peftFields } from '../base/peft-adapter.js';
import { layersUpTo, sideOfSquare, siglipFields } from '../base/vision/index.js';
import { PHI3_FIELDS, PHI3_IRRELEVANT } from '../phi3/index.js';

const COUNT = integer(1, 10_000);

/** What each adapter is of, by names in the checkpoint. */
const TARGETS = ['qkv_proj', 'o_proj', 'gate_up_proj', 'down_proj'] as const;
export type AdapterTarget = (typeof TARGETS)[number];

/** A list of projections; or, as published, a pattern, of which those are known that mean all of them. */
const targets: Field<readonly AdapterTarget[]> = {
  read(json) {
    const given = json.raw('target_modules') ?? json.raw('layer') ?? TARGETS;
    if (typeof given !== 'string')
      return json.check('target_modules', given, listOf(oneOf(...TARGETS), 'projections')) ?? TARGETS;
    const named = [/self_attn/, /mlp/, /qkv/, /\bo_proj|\|o\)/, /gate_up/, /down/];
    if (named.every((pattern) => pattern.test(given))) return TARGETS;
    return json.fail(
      `target_modules must be a list of ${TARGETS.join(', ')}, or a pattern that names all of them, found ${given}`,
    );
  },
};

/** An adapter, as the published config.json or peft's file tells of it. */
const adapter = (section: string) => nested(section, { ...peftFields, targets }, [...PEFT_IRRELEVANT, 'dp']);
const VISION_LORA = adapter('vision_lora');
const SPEECH_LORA = adapter('speech_lora');
export type PhiAdapter = ReturnType<(typeof VISION_LORA)['read']>;

const adapterOr = (section: string, of: Field<PhiAdapter>): Field<PhiAdapter | undefined> => ({
  read: (json: ConfigReader) => (json.section(section) ? of.read(json, {}) : undefined),
});

/** Convolutions that each leave half of all frames. */
const halvings: Field<number> = {
  read(json) {
    const reduction = json.value('time_reduction', COUNT) ?? 8;
    const count = Math.log2(reduction);
    return Number.isInteger(count) && count > 0
      ? count
      : json.fail(`time_reduction must be a power of two, found ${reduction}`);
  },
};

/** Residuals and convolutions of each channel leave no other. */
const asWideAsRows = (name: string): Field<number, { readonly hiddenSize: number }> => ({
  read(json, { hiddenSize }) {
    const width = json.value(name, WIDTH) ?? 1024;
    return width === hiddenSize
      ? width
      : json.fail(`${name} must be hidden_size (${hiddenSize}), found ${width}`);
  },
});

/** What published files say beside what transformers' do, and nothing else is built. */
const ofPublished = (values: Readonly<Record<string, string | number | boolean>>) =>
  Object.fromEntries(
    Object.entries(values).map(([name, value]) => [`published_${name}`, field(name, only(value), value)]),
  );

/** Defaults of transformers 5.24, Phi4MultimodalAudioConfig. */
const AUDIO = nested(
  'audio_config',
  {
    bins: field('input_size', COUNT, 80),
    hiddenSize: field('hidden_size', WIDTH, 1024),
    intermediateSize: field('intermediate_size', WIDTH, 1536),
    numLayers: field('num_blocks', COUNT, 24),
    numHeads: encoderHeads('num_attention_heads', 16),
    hiddenAct: activation('activation', 'silu'),
    convAct: activation('conv_activation', 'silu'),
    gateAct: activation('conv_glu_type', 'silu'),
    frontAct: activation('nemo_activation', 'relu'),
    channels: field('nemo_conv_channels', WIDTH, 1024),
    halvings,
    taps: field('kernel_size', integer(1, 1000), 3),
    pointChannels: asWideAsRows('depthwise_separable_out_channel'),
    outChannels: asWideAsRows('ext_pw_out_channel'),
    perChannel: field('depthwise_multiplier', only(1), 1),
    // With others the class adds a number to scores of what is not seen.
    chunk: field('chunk_size', only(-1), -1),
    farthest: field('bias_max_distance', integer(1, 1_000_000), 1000),
    isSymmetric: field('bias_symmetric', flag, false),
    rowsOfToken: field('downsample_rate', only(1), 1),
    tokenId: tokenField('audio_token_id', 200_011),
    ...ofPublished({
      bias_type: 't5',
      bias_in_glu: true,
      batch_norm: false,
      causal: true,
      cnn_layer_norm: true,
      ext_pw_kernel_size: 1,
      input_layer: 'nemo_conv',
    }),
  },
  ['left_chunk', 'nemo_final_size', 'dropout_rate', 'feature_layer'],
);
export type PhiAudio = ReturnType<(typeof AUDIO)['read']>;

/** Defaults of transformers 5.24, Phi4MultimodalVisionConfig. */
const VISION = nested('vision_config', {
  ...siglipFields({
    kinds: ['phi4_multimodal_vision'],
    hiddenSize: 1152,
    intermediateSize: 4304,
    numLayers: 27,
    numHeads: 16,
    patchSize: 14,
  }),
  patchSize: sideOfSquare('patch_size', 14),
  imageSize: sideOfSquare('image_size', 448),
  crop: {
    read(json: ConfigReader, { imageSize }: { readonly imageSize: number }) {
      const crop = json.value('crop_size', COUNT) ?? 448;
      return crop === imageSize
        ? crop
        : json.fail(`crop_size must be image_size (${imageSize}), found ${crop}`);
    },
  },
  /** Of a tile, in patches, whose blocks of 2 x 2 become tokens. */
  side: {
    read(json: ConfigReader, sizes: { readonly imageSize: number; readonly patchSize: number }) {
      const side = sizes.imageSize / sizes.patchSize;
      return side % 2 === 0
        ? side
        : json.fail(
            `image_size must be an even number of patches of ${sizes.patchSize}, found ${sizes.imageSize}`,
          );
    },
  },
  tokenId: tokenField('image_token_id', 200_010),
});

/** How many layers of the encoder are computed. */
const usedLayers: Field<number, { readonly vision: { readonly numLayers: number } }> = {
  read: (json, config) => layersUpTo('feature_layer', -2).read(json.section('vision_config') ?? json, config),
};

/** How rows come to the size of words, as published files say it. */
const EMBEDDERS = nested(
  'embd_layer',
  {
    pictures: nested(
      'image_embd_layer',
      ofPublished({
        hd_transform_order: 'sub_glb',
        image_token_compression_cls: 'avg_pool_2d',
        projection_cls: 'mlp',
        use_hd_transform: true,
        with_learnable_separator: true,
      }),
      ['crop_size', 'embedding_cls', 'enable_gradient_checkpointing'],
    ),
    sound: nested(
      'audio_embd_layer',
      ofPublished({ projection_cls: 'mlp', use_conv_downsample: false, use_qformer: false }),
      ['compression_rate', 'downsample_rate', 'embedding_cls', 'enable_gradient_checkpointing'],
    ),
  },
  ['embedding_cls'],
);

const DEFINITION = defineConfig({
  fields: {
    ...PHI3_FIELDS,
    embedders: {
      read: (json: ConfigReader) => (json.section('embd_layer') ? EMBEDDERS.read(json, {}) : undefined),
    },
    vision: VISION,
    usedLayers,
    audio: AUDIO,
    pictureAdapter: adapterOr('vision_lora', VISION_LORA),
    soundAdapter: adapterOr('speech_lora', SPEECH_LORA),
  },
  irrelevant: {
    ...PHI3_IRRELEVANT,
    ...keysBecause('the class has no biases', 'mlp_bias', 'lm_head_bias'),
    full_attn_mod: 'nothing in the published code reads it',
    interpolate_factor: 'nothing in the published code reads it',
  },
});
export type Phi4Config = ReturnType<(typeof DEFINITION)['read']>;

const objectOr = (value: unknown): ConfigDict => (isObject(value) ? value : {});

/** Keys of the published config of sound, in transformers' words, as its converter has them. */
const AUDIO_NAMES: Readonly<Record<string, string>> = {
  attention_dim: 'hidden_size',
  attention_heads: 'num_attention_heads',
  linear_units: 'intermediate_size',
  depthwise_seperable_out_channel: 'depthwise_separable_out_channel',
};

/** Objects of which others are made, or of training alone. */
const AUDIO_LEFT_OUT = [
  ...['activation_checkpointing', 'encoder_embedding_config', 'nemo_conv_settings'],
  'relative_attention_bias_args',
];

/** What `phi4mm` says, which is as it was published, as transformers 5.24 would write it. */
function withTransformersNames({ audio_processor, ...rest }: ConfigDict): ConfigDict {
  const [embedding, sound] = [objectOr(rest.embd_layer), objectOr(objectOr(audio_processor).config)];
  const { crop_size } = objectOr(embedding.image_embd_layer);
  const { downsample_rate } = objectOr(embedding.audio_embd_layer);
  const { conv_channels } = objectOr(sound.nemo_conv_settings);
  const { type, t5_bias_max_distance, t5_bias_symmetric } = objectOr(sound.relative_attention_bias_args);
  const kept = Object.entries(sound).filter(([key]) => !AUDIO_LEFT_OUT.includes(key));
  return {
    ...rest,
    vision_config: { ...objectOr(rest.vision_config), crop_size },
    audio_config: {
      ...Object.fromEntries(kept.map(([key, value]) => [AUDIO_NAMES[key] ?? key, value])),
      downsample_rate,
      nemo_conv_channels: conv_channels,
      bias_max_distance: t5_bias_max_distance,
      bias_symmetric: t5_bias_symmetric,
      bias_type: type,
    },
  };
}

/** Both forms: as transformers writes it, and as it is published, which is called `phi4mm`. */
export const PHI4_CONFIG = {
  read: (dict: ConfigDict): Phi4Config =>
    DEFINITION.read(dict.model_type === 'phi4mm' ? withTransformersNames(dict) : dict),
};
