import {
  type ConfigReader,
  defineConfig,
  type Field,
  field,
  flag,
  integer,
  listOf,
  nested,
  oneOf,
  only,
  positive,
  required,
  text,
  tokenField,
  WIDTH,
} from '../../layers/config/index.js';
import { PEFT_IRRELEVANT, peftFields } from '../base/peft-adapter.js';
import { Q_FORMER, Q_FORMER_PASSED, Q_FORMER_SIZES } from '../base/q-former.js';
import { aroundText, textWithin } from '../base/text-within.js';
import { besideText, dtypeBesideText } from '../base/vision/index.js';

const COUNT = integer(1, 10_000);

/** Rows that see each other: for each distance between them there is a vector. */
const blockSpan: Field<number, { readonly positions: number }> = {
  read(json, { positions }) {
    const span = json.value('context_size', COUNT) ?? 200;
    if (span <= positions) return span;
    return json.fail(`context_size must be at most max_pos_emb (${positions}), found ${span}`);
  },
};

/** As wide as heads are that cut a row into equal pieces, where files do not say it. */
const speechHeadDim: Field<number, { readonly hiddenSize: number; readonly numHeads: number }> = {
  read: (json, { hiddenSize, numHeads }) =>
    json.value('dim_head', WIDTH) ?? Math.floor(hiddenSize / numHeads),
};

/** Two frames of a spectrum side by side. */
const pairOfFrames: Field<number> = {
  read(json) {
    const size = json.value(['input_dim', 'num_mel_bins'], WIDTH) ?? 160;
    return size % 2 === 0 ? size : json.fail(`input_dim must be that of two frames, found ${size}`);
  },
};

/**
 * Layers whose results queries see beside those of the last, as of Granite Speech Plus: 0 stands for what the first
 * layer reads, n for what layer n gives.
 */
const takenLayers: Field<readonly number[], { readonly numLayers: number }> = {
  read(json, { numLayers }) {
    const layers = json.value('cat_hidden_layers', listOf(integer(0, 10_000), 'layers')) ?? [];
    if (layers.every((layer) => layer < numLayers) && new Set(layers).size === layers.length)
      return layers.toSorted((a, b) => a - b);
    return json.fail(`cat_hidden_layers must be different numbers below ${numLayers}, found ${layers}`);
  },
};

/** Defaults of transformers 5.24, GraniteSpeechEncoderConfig and GraniteSpeechPlusEncoderConfig. */
const AUDIO = nested(
  'encoder_config',
  {
    inSize: pairOfFrames,
    hiddenSize: field(['hidden_dim', 'hidden_size'], WIDTH, 1024),
    numLayers: field(['num_layers', 'num_hidden_layers'], COUNT, 10),
    numHeads: field(['num_heads', 'num_attention_heads'], COUNT, 8),
    headDim: speechHeadDim,
    innerFactor: field('feedforward_mult', COUNT, 4),
    letters: field('output_dim', WIDTH, 42),
    positions: field('max_pos_emb', COUNT, 512),
    span: blockSpan,
    taps: field('conv_kernel_size', integer(1, 1000), 15),
    convFactor: field('conv_expansion_factor', COUNT, 2),
    takenLayers,
  },
  ['dropout'],
);
export type SpeechConfig = ReturnType<(typeof AUDIO)['read']>;

const PROJECTOR = nested('projector_config', { ...Q_FORMER_SIZES, ...Q_FORMER }, Q_FORMER_PASSED);
export type ProjectorConfig = ReturnType<(typeof PROJECTOR)['read']>;

/** Tokens that each window of the encoder's rows becomes. */
const windowQueries: Field<number, { readonly windowSize: number }> = {
  read(json, { windowSize }) {
    const rate = json.value('downsample_rate', COUNT) ?? 5;
    if (windowSize % rate === 0) return windowSize / rate;
    return json.fail(`downsample_rate must divide window_size (${windowSize}), found ${rate}`);
  },
};

/** What the queries look at is what the encoder gives. */
const seenByQueries: Field<number, { readonly audio: SpeechConfig; readonly projector: ProjectorConfig }> = {
  read(json, { audio: { hiddenSize, takenLayers: taken }, projector: { seenSize } }) {
    const given = hiddenSize * (taken.length + 1);
    if (seenSize === given) return seenSize;
    return json.fail(
      `projector_config.encoder_hidden_size must be that of rows of encoder_config (${given}), found ${seenSize}`,
    );
  },
};

/** What an adapter may be of, by its names in the checkpoint. */
const TARGETS = ['q_proj', 'k_proj', 'v_proj'] as const;
export type AdapterTarget = (typeof TARGETS)[number];

/** Of peft, whose file lies beside config.json. */
const ADAPTER = nested(
  'adapter_config',
  {
    ...peftFields,
    targets: {
      read: (json: ConfigReader) =>
        json.value('target_modules', listOf(oneOf(...TARGETS), 'projections')) ??
        json.missing('target_modules'),
    },
  },
  PEFT_IRRELEVANT,
);
export type AdapterConfig = ReturnType<(typeof ADAPTER)['read']>;

/** Of the text, which counts for prompts with sound alone; undefined where there is none, as of Granite 4. */
const adapterOr: Field<AdapterConfig | undefined> = {
  read(json) {
    if (json.value('has_lora_adapter', flag) === false) return undefined;
    if (json.section('adapter_config')) return ADAPTER.read(json, {});
    return json.fail(
      'has_lora_adapter must be false, or true with adapter_config.json and adapter_model.safetensors beside the ' +
        'weights: copy both from where the checkpoint comes from, or say false where it is merged into them',
    );
  },
};

/** Defaults of transformers 5.24, GraniteSpeechConfig. */
export const GRANITE_SPEECH_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', { model_type: 'granite' }),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, true),
      audioTokenId: tokenField(['audio_token_index', 'audio_token_id'], 49_155),
      adapter: adapterOr,
      windowSize: field('window_size', COUNT, 15),
      queries: windowQueries,
      audio: AUDIO,
      projector: PROJECTOR,
      seenSize: seenByQueries,
    },
  }),
);
export type GraniteSpeechConfig = ReturnType<(typeof GRANITE_SPEECH_CONFIG)['read']>;
