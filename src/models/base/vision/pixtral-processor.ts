import { defineConfig, type Field, integer } from '../../../layers/config/index.js';
import {
  beside,
  decodePicture,
  type EncodeWords,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  type PictureSize,
} from '../../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../processor-files.js';
import { CLIP_CHANNELS, pixelFields } from './picture-config.js';
import type { PixtralModel } from './pixtral-tower.js';

const longest: Field<number> = {
  read: (json) => json.section('size')?.value('longest_edge', integer(1, 100_000)) ?? 1024,
};

/** Defaults of transformers 5.24, PixtralImageProcessor; into which patches pictures are cut, the model says. */
const PIXTRAL_PICTURES = defineConfig({ fields: { longest, ...pixelFields(CLIP_CHANNELS) } });
type PictureConfig = ReturnType<(typeof PIXTRAL_PICTURES)['read']>;

/** What stands behind each row of a picture, and behind the last. */
const [BREAK, END] = ['[IMG_BREAK]', '[IMG_END]'];

/** Pictures of any size up to the longest, with words behind their rows. */
export class PixtralProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];

  constructor(
    private readonly pictures: PictureConfig,
    protected readonly model: PixtralModel,
    private readonly encode: EncodeWords,
  ) {
    this.placeholders = model.imageTokenId === undefined ? {} : { image: model.imageTokenId };
  }

  /** @throws CONFIG_INVALID */
  static async load(
    folder: ModelFolder,
    model: PixtralModel,
    encode: EncodeWords,
  ): Promise<PixtralProcessor> {
    return new this(await readProcessorConfig(folder, PIXTRAL_PICTURES), model, encode);
  }

  /** @throws MEDIA_* */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const {
      vision: { patchSize },
      mergeSize,
    } = this.model;
    const [file = new Uint8Array()] = media.files;
    const picture = await decodePicture(file, what);
    const resized = await beside('resize', picture, this.sizeOf(picture), 'bicubic');
    const cut = { patchSize, temporalPatchSize: 1, mergeSize };
    const { data, grid } = await beside('patchesOf', [resized], this.pictures, cut);
    const [, rows, columns] = grid;
    const tokens = this.tokensOf(rows / mergeSize, columns / mergeSize);
    return [
      {
        data,
        rows: rows * columns,
        count: tokens.length,
        shape: grid,
        tokens,
        key: mediaKey(media),
      },
    ];
  }

  /** What stands in a prompt for a picture of so many blocks. */
  protected tokensOf(lines: number, columns: number): Int32Array {
    const row = Array<number>(columns).fill(this.model.imageTokenId ?? -1);
    const tokens = Array.from({ length: lines }, (_, line) => [
      ...row,
      ...this.encode(line < lines - 1 ? BREAK : END),
    ]).flat();
    return Int32Array.from(tokens);
  }

  /** No side is longer than the longest, and each is cut into whole blocks. */
  private sizeOf({ width, height }: PictureSize): PictureSize {
    const {
      pictures: { longest },
      model: { vision, mergeSize },
    } = this;
    const ratio = Math.max(height / longest, width / longest);
    const unit = vision.patchSize * mergeSize;
    const whole = (side: number): number =>
      Math.ceil((ratio > 1 ? Math.max(1, Math.floor(side / ratio)) : side) / unit) * unit;
    return { width: whole(width), height: whole(height) };
  }
}
