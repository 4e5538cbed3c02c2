import {
  activation,
  type ConfigReader,
  defineConfig,
  encoderHeads,
  type Field,
  field,
  integer,
  listOf,
  nested,
  only,
  positive,
  required,
  text,
  tokenField,
  WIDTH,
} from '../../layers/config/index.js';
import { canvasesOf } from '../../step-inputs/index.js';
import { aroundText, textWithout } from '../base/text-within.js';
import { besideText, dtypeBesideText, sideOfSquare } from '../base/vision/index.js';

const COUNT = integer(1, 10_000);
const INDICES = listOf(integer(0, 9999), 'layers, counted from 0');

/** Of MllamaTextConfig in transformers 5.24, from which files differ. */
const MLLAMA_TEXT = {
  model_type: 'llama',
  vocab_size: 128_256,
  hidden_size: 4096,
  intermediate_size: 14_336,
  num_hidden_layers: 40,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  max_position_embeddings: 131_072,
  rms_norm_eps: 1e-5,
  rope_theta: 500_000,
} as const;

/** Rows of the embedding behind those that the head has: `<|image|>` is the first of them. */
const MORE_TOKENS = 8;

/** Ascending layers among so many, each once. */
function layersAmong(
  json: ConfigReader,
  name: string,
  fallback: readonly number[],
  count: number,
): readonly number[] {
  const found = json.value(name, INDICES) ?? fallback;
  const isAscending = found.every((layer, at) => layer < count && (at === 0 || layer > (found[at - 1] ?? 0)));
  return isAscending ? found : json.fail(`${name} must be ascending layers below ${count}, found ${found}`);
}

/** The layers of text that attend to a picture in place of words. */
const crossLayers: Field<readonly number[], { readonly text: { readonly numHiddenLayers: number } }> = {
  read(json, { text: { numHiddenLayers } }) {
    const section = json.section('text_config') ?? json;
    return layersAmong(section, 'cross_attention_layers', [3, 8, 13, 18, 23, 28, 33, 38], numHiddenLayers);
  },
};

const taken: Field<readonly number[], { readonly numLayers: number }> = {
  read: (json, { numLayers }) =>
    layersAmong(json, 'intermediate_layers_indices', [3, 7, 15, 23, 30], numLayers),
};

/** The class of transformers numbers canvases by this list, its processor by all that so many tiles make. */
const canvases: Field<number, { readonly maxTiles: number }> = {
  read(json, { maxTiles }) {
    const all = canvasesOf(maxTiles);
    const check = listOf(listOf(COUNT, 'rows and columns'), 'canvases');
    const found = json.value('supported_aspect_ratios', check) ?? all;
    if (JSON.stringify(found) === JSON.stringify(all)) return all.length;
    const [wanted, said] = [all, found].map((list) => JSON.stringify(list));
    return json.fail(
      `supported_aspect_ratios must be all of at most ${maxTiles} tiles, in order: ${wanted}, found ${said}`,
    );
  },
};

/** How wide what the projector reads is: the last layer's rows, and those of layers that are taken. */
const outSize: Field<number, { readonly hiddenSize: number; readonly taken: readonly number[] }> = {
  read(json, { hiddenSize, taken: { length } }) {
    const width = hiddenSize * (1 + length);
    const found = json.value('vision_output_dim', WIDTH) ?? 7680;
    if (found === width) return width;
    return json.fail(
      `vision_output_dim must be hidden_size * (1 + ${length} layers) = ${width}, found ${found}`,
    );
  },
};

/** Defaults of transformers 5.24, MllamaConfig and MllamaVisionConfig. */
const READ = aroundText(
  defineConfig({
    fields: {
      text: textWithout(['cross_attention_layers', 'dropout'], 'text_config', MLLAMA_TEXT),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      // The embedding has rows that the head has not.
      tieWordEmbeddings: besideText('tie_word_embeddings', only(false), false),
      imageTokenId: tokenField(['image_token_index', 'image_token_id'], 128_256),
      crossLayers,
      vision: nested('vision_config', {
        hiddenSize: field('hidden_size', WIDTH, 1280),
        intermediateSize: field('intermediate_size', WIDTH, 5120),
        numLayers: field('num_hidden_layers', COUNT, 32),
        numGlobalLayers: field('num_global_layers', COUNT, 8),
        numHeads: encoderHeads(['attention_heads', 'num_attention_heads'], 16),
        channels: field('num_channels', only(3), 3),
        imageSize: sideOfSquare('image_size', 448),
        patchSize: sideOfSquare('patch_size', 14),
        hiddenAct: activation('hidden_act', 'gelu'),
        epsilon: field('norm_eps', positive(1), 1e-5),
        maxTiles: field('max_num_tiles', integer(1, 64), 4),
        canvases,
        taken,
        outSize,
      }),
    },
    irrelevant: {},
  }),
);

export const MLLAMA_CONFIG = {
  read(dict: Parameters<typeof READ.read>[0]) {
    const config = READ.read(dict);
    return { ...config, embeddingRows: config.vocabSize + MORE_TOKENS };
  },
};
export type MllamaConfig = ReturnType<(typeof MLLAMA_CONFIG)['read']>;

/** Patches of a tile. */
export const patchesOfTile = ({ imageSize, patchSize }: MllamaConfig['vision']): number =>
  Math.floor(imageSize / patchSize) ** 2;

/** Rows that the encoder gives of each picture: those of all tiles, each with a row before its patches. */
export const rowsOfPicture = (vision: MllamaConfig['vision']): number =>
  vision.maxTiles * (patchesOfTile(vision) + 1);
