import { refuseRequest } from '../../errors.js';
import { defineConfig, field, flag, integer, only } from '../../layers/config/index.js';
import {
  beside,
  DEFAULT_FPS,
  type EncoderInput,
  type EncodeWords,
  joinedWords,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  type Picture,
  pythonTenths,
  RowPacker,
  type RowShares,
  smartResize,
} from '../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import { commonSize, type PictureDefaults, patchFields, picturesOf } from '../base/vision/index.js';
import type { VideoLlama3Config } from './config.js';

const HALF = [0.5, 0.5, 0.5];

/** What a processor does; `mergeSize`: patches along a side of a block, where the file says nothing. */
const pictures = (mergeSize: number, pixels: Pick<PictureDefaults, 'minPixels' | 'maxPixels'>) =>
  defineConfig({
    fields: {
      ...patchFields({ patchSize: 14, ...pixels, mean: HALF, std: HALF }),
      temporalPatchSize: field('temporal_patch_size', only(1), 1),
      mergeSize: field('merge_size', integer(1, 1000), mergeSize),
      compresses: field('use_token_compression', flag, true),
    },
  });
/** Defaults of transformers 5.24, VideoLlama3ImageProcessor and VideoLlama3VideoProcessor. */
const PICTURES = pictures(1, { minPixels: 56 * 56, maxPixels: 28 * 28 * 1280 });
const FRAMES = pictures(2, { minPixels: 28 * 28 * 128, maxPixels: 28 * 28 * 768 });
type SeenConfig = ReturnType<(typeof PICTURES)['read']>;

/**
 * Pictures whose patches are tokens, and frames whose blocks of patches are, each frame behind its second. Of a frame
 * only blocks that differ from those of the frame before it become tokens (arXiv:2501.13106, section 2.2).
 */
export class VideoLlama3Processor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];

  private constructor(
    private readonly pictures: SeenConfig,
    private readonly frames: SeenConfig,
    { imageTokenId: image, videoTokenId: video }: VideoLlama3Config,
    private readonly encode: EncodeWords,
  ) {
    this.placeholders = { ...(image !== undefined && { image }), ...(video !== undefined && { video }) };
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for patches that are not the encoder's */
  static async load(
    folder: ModelFolder,
    model: VideoLlama3Config,
    encode: EncodeWords,
  ): Promise<VideoLlama3Processor> {
    const ofPictures = await readProcessorConfig(folder, PICTURES);
    const ofFrames = await readProcessorConfig(folder, FRAMES, 'video_processor');
    const { patchSize } = model.vision;
    for (const found of [ofPictures, ofFrames])
      if (found.patchSize !== patchSize)
        refuseRequest('patch_size', `${patchSize}, as vision_config says`, found.patchSize);
    return new VideoLlama3Processor(ofPictures, ofFrames, model, encode);
  }

  /** The words about a video are one text with those that stand beside it. */
  joins(left: number, right: number): readonly number[] | undefined {
    return joinedWords(left, right, this.encode);
  }

  /** @throws MEDIA_*, REQUEST_INVALID for frames of several sizes */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const shown = await picturesOf(media, what);
    const isVideo = media.kind === 'video';
    const config = isVideo ? this.frames : this.pictures;
    const { patchSize, mergeSize, minPixels } = config;
    const unit = patchSize * mergeSize;
    const maxPixels = Math.floor(config.maxPixels / shown.length);
    const size = smartResize(commonSize(shown, what), { factor: unit, minPixels, maxPixels }, what);
    const { fps = DEFAULT_FPS } = media;
    const pieces: MediaPiece[] = [];
    let before: Picture | undefined;
    for (const [frame, picture] of shown.entries()) {
      const resized = await beside('resize', picture, size, 'bicubic');
      const kept =
        before && config.compresses
          ? await beside('changedBlocks', before, resized, config, unit)
          : undefined;
      if (isVideo) pieces.push(this.encode(`${before ? ',' : ''}Time ${pythonTenths(frame / fps)}s:`));
      pieces.push(await inputOf(resized, config, mediaKey(media, frame), kept));
      before = resized;
    }
    return pieces;
  }
}

/** What the encoder reads of a frame. `kept`: 1 for blocks that become tokens, which all do when absent. */
async function inputOf(
  frame: Picture,
  config: SeenConfig,
  key: Int32Array,
  kept: Uint8Array | undefined,
): Promise<EncoderInput> {
  // The encoder has no order of its own: patches come row by row, and shares say which are a block's.
  const cut = { patchSize: config.patchSize, temporalPatchSize: 1, mergeSize: 1 };
  const { data, grid } = await beside('patchesOf', [frame], config, cut);
  const [, rows, columns] = grid;
  const packer = new RowPacker();
  const blocks = { rows: rows / config.mergeSize, columns: columns / config.mergeSize };
  packer.addWindow((y, x) => y * columns + x, { top: 0, left: 0, rows, columns }, blocks, false);
  const shares = kept ? sharesOf(packer.finish(), kept) : packer.finish();
  return { data, rows: rows * columns, count: shares.rows[0]?.length ?? 0, shape: grid, shares, key };
}

/** Those of the tokens that are kept. */
const sharesOf = ({ rows, shares }: RowShares, kept: Uint8Array): RowShares => ({
  rows: rows.map((all) => all.filter((_, token) => kept[token] === 1)),
  shares: shares.map((all) => all.filter((_, token) => kept[token] === 1)),
});
