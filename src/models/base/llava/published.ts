import { defineConfig, field, keysBecause, oneOf, only, required } from '../../../layers/config/index.js';
import {
  beside,
  decodePicture,
  type EncoderInput,
  type EncodeWords,
  type MediaFiles,
  type MediaProcessor,
  mediaKey,
  tokenOf,
} from '../../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../processor-files.js';
import { pixelFields, requireSide, squareInput, squareSide } from '../vision/index.js';

/** Keys of files of LLaVA's first code that are about pictures, or about training what sees them, beside those of text. */
export const isOfPictures = (key: string): boolean =>
  /^(mm_|use_mm_|tune_mm_|freeze_mm_|unfreeze_mm_|image_|tokenizer_|vision_config$|model_type$)/.test(key);

/** What these files have in common of what brings rows to the size of words. */
export const publishedFields = {
  projector: field('mm_projector_type', only('mlp2x_gelu'), required),
  projectorAct: { read: () => 'gelu' as const },
  projectorBias: { read: () => true },
  begins: field('mm_use_im_start_end', only(false), false),
};

/** How such files say that pictures become squares. */
export const squareAspect = oneOf('pad', 'square');

/** Keys of theirs that change nothing. */
export const PUBLISHED_IRRELEVANT: Readonly<Record<string, string>> = {
  ...keysBecause(
    'is about training',
    ...[
      'tune_mm_mlp_adapter',
      'freeze_mm_mlp_adapter',
      'unfreeze_mm_vision_tower',
      'tune_mm_vision_resampler',
    ],
    ...['mm_projector_lr', 'mm_vision_tower_lr', 'tokenizer_padding_side', 'freeze_mm_vision_resampler'],
  ),
  use_mm_proj: 'is true of every such file',
  mm_use_im_patch_token: 'is for tokens that stand in no prompt',
  tokenizer_model_max_length: 'is as long as texts of training were',
  image_crop_resolution: 'is for pictures that are cropped in training',
  image_split_resolution: 'is for pictures that are cropped in training',
};

/** What stands for a picture in texts, where it is a token. */
const PICTURE = '<image>';

/**
 * What stands for a picture in dialogues of models whose tokenizers may lack a token for it, as the published code cuts
 * texts there: then `other`, which dialogues do not have.
 */
export function standIn(
  encode: EncodeWords,
  other: string,
): Pick<MediaProcessor, 'placeholders'> & Required<Pick<MediaProcessor, 'partTexts'>> {
  const picture = tokenOf(PICTURE, encode);
  const placeholder = picture ?? tokenOf(other, encode);
  return {
    placeholders: placeholder === undefined ? {} : { image: placeholder },
    partTexts: { image: picture === undefined ? other : PICTURE },
  };
}

/** What squares of pictures are told. */
export interface PublishedSquares {
  /** Pixels along a side of what the encoder sees, and of a patch. */
  readonly side: number;
  readonly patchSize: number;
  /** Whether pictures are drawn into the middle of a square, or cut to their middle. */
  readonly isPadded: boolean;
  /** Whether the row that stands for a picture becomes a token, too; false when absent. */
  readonly keepsFirst?: boolean;
  /** How pixels become numbers where the files are silent. */
  readonly channels: { readonly mean: readonly number[]; readonly std: readonly number[] };
}

/** What files may say of it. */
const pictures = ({ side, channels }: PublishedSquares) =>
  defineConfig({
    fields: {
      resized: squareSide('size', ['shortest_edge', 'height'], side),
      crop: squareSide('crop_size', ['height', 'width'], side),
      ...pixelFields(channels),
      crops: field('do_center_crop', only(true), true),
    },
  });

/**
 * Pictures in the middle of a square of the mean colour, or the middle square of them, drawn to one size, as LLaVA's first
 * code has it. @throws CONFIG_INVALID, REQUEST_INVALID for pictures of another size than the encoder's
 */
export async function publishedSquares(
  folder: ModelFolder,
  squares: PublishedSquares,
  standing: Pick<MediaProcessor, 'placeholders' | 'partTexts' | 'rowTokens'>,
): Promise<MediaProcessor> {
  const { side, patchSize, isPadded, keepsFirst = false } = squares;
  const config = await readProcessorConfig(folder, pictures(squares));
  requireSide('crop_size', config.crop, side);
  requireSide('size', config.resized, side);
  const colour = config.mean.map((value) => Math.trunc(255 * value));
  return {
    ...standing,
    async process(media: MediaFiles, what: string): Promise<readonly EncoderInput[]> {
      const [file = new Uint8Array()] = media.files;
      const decoded = await decodePicture(file, what);
      const square = isPadded
        ? await beside('paddedSquare', decoded, side, colour)
        : await beside('middleSquare', decoded, side, side, what);
      const tokensOf = (patches: number): number => (keepsFirst ? patches + 1 : patches);
      return [await squareInput(square, config, { patchSize, tokensOf, key: mediaKey(media) })];
    },
  };
}
