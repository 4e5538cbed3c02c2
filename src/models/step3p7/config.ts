import {
  activation,
  type ConfigDict,
  type ConfigOf,
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
import { type TextWithin, textWithin } from '../base/text-within.js';
import {
  axialTheta,
  besideText,
  dtypeBesideText,
  sideOfSquare,
  tokensBesideText,
} from '../base/vision/index.js';
import type { Step3p5Config } from '../step3p5/index.js';

const COUNT = integer(1, 10_000);

/** Files may leave out what the text is called. */
const step3p5Within = textWithin('text_config', { model_type: 'step3p5' }) as Field<
  TextWithin & Step3p5Config
>;

/** As wide as the class makes its MLPs, whatever `intermediate_size` says. */
const mlpWidth: Field<number, { readonly hiddenSize: number }> = {
  read: (json, { hiddenSize }) =>
    Math.trunc(hiddenSize * (json.value('mlp_ratio', positive(100)) ?? 8960 / 1536)),
};

/** Defaults of transformers 5.24, Step3p7VisionConfig, and the names of published files. */
const VISION = nested(
  'vision_config',
  {
    hiddenSize: field(['width', 'hidden_size'], WIDTH, 1536),
    intermediateSize: mlpWidth,
    numLayers: field(['layers', 'num_hidden_layers'], COUNT, 47),
    numHeads: encoderHeads(['heads', 'num_attention_heads'], 16, { width: 'hidden_size', multiple: 4 }),
    channels: field('num_channels', only(3), 3),
    imageSize: sideOfSquare('image_size', 728),
    patchSize: sideOfSquare('patch_size', 14),
    layerNormEps: field('layer_norm_eps', positive(1), 1e-5),
    hiddenAct: activation('hidden_act', 'quick_gelu'),
    theta: axialTheta,
  },
  ['model_type', 'intermediate_size', 'layer_scale_init_value', 'ls_init_value', 'max_position_embeddings'],
);
export type Step3p7Vision = ReturnType<(typeof VISION)['read']>;

/** What it sees by; undefined where files do not speak of it. */
const visionOr: Field<Step3p7Vision | undefined> = {
  read: (json) => (json.section('vision_config') ? VISION.read(json, {}) : undefined),
};

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
    imageTokenId: tokenField('image_token_id', 151_679),
    projectorBias: field('projector_bias', flag, false),
    vision: visionOr,
  },
  irrelevant: {
    ...keysBecause(
      'follows from sizes of pictures',
      ...['image_token_len', 'patch_token_len', 'understand_projector_stride'],
    ),
    ...keysBecause('is read of text_config', 'bos_token_id', 'pad_token_id'),
  },
});
type Whole = ConfigOf<typeof WHOLE>;
export type Step3p7Config = TextWithin & Step3p5Config & Omit<Whole, 'text'>;

export const STEP3P7_CONFIG = {
  read(dict: ConfigDict, file?: string): Step3p7Config {
    const { text: own, ...whole }: Whole = WHOLE.read(dict, file);
    return { ...own, ...whole, unreadKeys: [...whole.unreadKeys, ...own.unreadKeys] };
  },
};
