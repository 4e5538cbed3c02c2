import {
  DEFAULT_FPS,
  type EncoderInput,
  type MediaFiles,
  type MediaPiece,
  mediaKey,
  type Picture,
  smartResizeFrames,
} from '../../../media/index.js';
import { commonSize, PatchProcessor, patchInput, picturesOf } from './patch-processor.js';

/** When the first and the last of frames that share their patches are, in seconds. */
export interface PairTimes {
  readonly first: number;
  readonly last: number;
}

/**
 * Pictures as Qwen2-VL has them; of a video each pair of frames is seen by itself, beside words that say when it is. Pixels
 * of its files are those of all frames together.
 */
export abstract class PairProcessor extends PatchProcessor {
  override async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    if (media.kind !== 'video') return super.process(media, what);
    const config = this.configs.frames;
    const { patchSize, mergeSize, minPixels, maxPixels, temporalPatchSize: pairSize } = config;
    const pictures = await picturesOf(media, what);
    const size = smartResizeFrames(
      commonSize(pictures, what),
      { frames: pictures.length, pairSize },
      { factor: patchSize * mergeSize, minPixels, maxPixels },
      what,
    );
    const { fps = DEFAULT_FPS } = media;
    const pieces: MediaPiece[] = [];
    for (let from = 0; from < pictures.length; from += pairSize) {
      const to = Math.min(from + pairSize, pictures.length);
      const shown = pictures.slice(from, to) as [Picture, ...Picture[]];
      const input = await patchInput(shown, size, config, mediaKey(media, from / pairSize));
      pieces.push(...this.piecesOf(input, { first: from / fps, last: (to - 1) / fps }));
    }
    return pieces;
  }

  /** What stands in a prompt for a pair of frames. */
  protected abstract piecesOf(input: EncoderInput, times: PairTimes): readonly MediaPiece[];
}
