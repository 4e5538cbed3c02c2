import { refuseRequest } from '../../errors.js';
import {
  type ConfigOf,
  defineConfig,
  type Field,
  field,
  integer,
  only,
  positive,
} from '../../layers/config/index.js';
import {
  beside,
  cutOut,
  decodePicture,
  type EncodeWords,
  type ExpandedPrompt,
  forPictures,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  onBlack,
  type PictureSize,
} from '../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import { BILINEAR, channels, pixelFields } from '../base/vision/index.js';
import type { FuyuConfig } from './config.js';

const SIDE = integer(1, 10_000);
const HALF = [0.5, 0.5, 0.5];

/** A number for all channels, or for each. */
const levels = (name: string): Field<readonly number[]> => ({
  read(json, config) {
    const given = json.raw(name);
    if (typeof given !== 'number') return channels(name, HALF).read(json, config);
    const level = json.check(name, given, positive(1e6, -1e6)) ?? 0.5;
    return [level, level, level];
  },
});

const within = (section: string, member: string, fallback: number): Field<number> => ({
  read: (json) => json.section(section)?.value(member, SIDE) ?? fallback,
});

/** Defaults of transformers 5.24, FuyuImageProcessor. */
const PICTURES = defineConfig({
  fields: {
    ...pixelFields({ mean: HALF, std: HALF }, BILINEAR),
    mean: levels('image_mean'),
    std: levels('image_std'),
    height: within('size', 'height', 1080),
    width: within('size', 'width', 1920),
    patchHeight: within('patch_size', 'height', 30),
    patchWidth: within('patch_size', 'width', 30),
    fills: field('do_pad', only(true), true),
    filledBy: field('padding_mode', only('constant'), 'constant'),
    // Of pixels from 0 to 255.
    grey: field('padding_value', integer(0, 255), 1),
  },
});
type Pictures = ConfigOf<typeof PICTURES>;

/** Its own size, or that of the largest with the same ratio of sides that fits. */
function sizeOf({ width, height }: PictureSize, most: Pictures): PictureSize {
  if (width <= most.width && height <= most.height) return { width, height };
  const scale = Math.min(most.height / height, most.width / width);
  const scaled = (side: number): number => Math.max(1, Math.trunc(side * scale));
  return { width: scaled(width), height: scaled(height) };
}

/** Pictures line by line, a token behind each, and behind all that with which texts begin. */
export class FuyuProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];

  private constructor(
    private readonly pictures: Pictures,
    private readonly patchSize: number,
    imageTokenId: number | undefined,
    private readonly encode: EncodeWords,
  ) {
    this.placeholders = forPictures(imageTokenId);
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for patches that are not the model's, or sizes that are no patches */
  static async load(
    folder: ModelFolder,
    { patchSize, imageTokenId }: FuyuConfig,
    encode: EncodeWords,
  ): Promise<FuyuProcessor> {
    const pictures = await readProcessorConfig(folder, PICTURES);
    const { patchHeight, patchWidth, height, width } = pictures;
    if (patchHeight !== patchSize || patchWidth !== patchSize)
      refuseRequest(
        'patch_size',
        `${patchSize} x ${patchSize}, as config.json says`,
        `${patchHeight} x ${patchWidth}`,
      );
    if (height % patchSize !== 0 || width % patchSize !== 0)
      refuseRequest('size', `whole patches of ${patchSize} pixels`, `${height} x ${width}`);
    return new FuyuProcessor(pictures, patchSize, imageTokenId, encode);
  }

  /** The space that some tokenizers have before all texts is none before a picture. */
  asOne({ tokens, inserts }: ExpandedPrompt): ExpandedPrompt {
    const [space] = tokens;
    if (inserts[0]?.start !== 1 || space === undefined || this.encode.textOf?.(space).trim() !== '')
      return { tokens, inserts };
    return {
      tokens: tokens.subarray(1),
      inserts: inserts.map((insert) => ({ ...insert, start: insert.start - 1 })),
    };
  }

  /** @throws MEDIA_* */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const { patchSize, pictures } = this;
    const [file = new Uint8Array()] = media.files;
    const decoded = await decodePicture(file, what);
    const resized = await beside('resize', decoded, sizeOf(decoded, pictures), 'bilinear');
    const [columns, rows] = [resized.width, resized.height].map((side) => Math.ceil(side / patchSize)) as [
      number,
      number,
    ];
    const width = columns * patchSize;
    const filled = onBlack(resized, { width, height: rows * patchSize }, pictures.grey);
    const newline = this.encode('|NEWLINE|').slice(-1);
    const sizes = { patchSize, temporalPatchSize: 1, mergeSize: 1, channelsLast: true };
    const pieces: MediaPiece[] = [];
    for (let row = 0; row < rows; row++) {
      const line = cutOut(filled, { left: 0, top: row * patchSize, width, height: patchSize });
      const { data, grid } = await beside('patchesOf', [line], pictures, sizes);
      pieces.push({ data, rows: columns, count: columns, shape: grid, key: mediaKey(media, row) }, newline);
    }
    return [...pieces, this.encode('<s>').slice(-1)];
  }
}
