import type { MediaFiles, MediaPiece, MediaProcessor } from '../../media/index.js';
import type { ModelFolder } from '../base/processor-files.js';
import { SquareProcessor } from '../base/vision/index.js';
import type { VideoLlavaConfig } from './config.js';

/** The middle square of pictures, and of each frame, which the second encoder sees. */
export class VideoLlavaProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];

  private constructor(
    private readonly pictures: SquareProcessor,
    private readonly frames: SquareProcessor,
    video: number | undefined,
  ) {
    this.placeholders = { ...pictures.placeholders, ...(video !== undefined && { video }) };
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for squares that are not the encoders' */
  static async load(
    folder: ModelFolder,
    { vision, select, imageTokenId, videoTokenId }: VideoLlavaConfig,
  ): Promise<VideoLlavaProcessor> {
    const pictures = { ...vision, keepsFirst: select === 'full' };
    return new VideoLlavaProcessor(
      await SquareProcessor.load(folder, imageTokenId, pictures),
      // Of a frame the row that stands for all of it always becomes a token.
      await SquareProcessor.load(folder, undefined, { ...vision, keepsFirst: true }, 'video_processor'),
      videoTokenId,
    );
  }

  /** @throws MEDIA_* */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    if (media.kind !== 'video') return this.pictures.process(media, what);
    const pieces: MediaPiece[] = [];
    for (const [frame, file] of media.files.entries()) {
      const seen = await this.frames.process({ ...media, files: [file] }, `frame ${frame + 1} of ${what}`);
      pieces.push(
        ...seen.map((piece) => ('data' in piece ? ({ ...piece, encoder: 'second' } as const) : piece)),
      );
    }
    return pieces;
  }
}
