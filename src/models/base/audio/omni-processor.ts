import type { MediaFiles, MediaPiece, MediaProcessor } from '../../../media/index.js';

/** What sees and what hears, of one model. */
export class OmniProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];
  readonly joins?: NonNullable<MediaProcessor['joins']>;

  constructor(
    private readonly seen: MediaProcessor,
    private readonly heard: MediaProcessor,
  ) {
    this.placeholders = { ...seen.placeholders, ...heard.placeholders };
    if (seen.joins) this.joins = seen.joins;
  }

  /** @throws MEDIA_*, REQUEST_INVALID for frames of several sizes */
  async process(
    media: MediaFiles,
    what: string,
    place: number,
    count: number,
  ): Promise<readonly MediaPiece[]> {
    if (media.kind !== 'audio') return this.seen.process(media, what, place, count);
    const pieces = await this.heard.process(media, what, place, count);
    return pieces.map((piece) => ('data' in piece ? { ...piece, encoder: 'second' } : piece));
  }
}

/** What is seen or heard, between words. */
export class SurroundedSound implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];
  readonly joins?: NonNullable<MediaProcessor['joins']>;

  constructor(
    private readonly shown: MediaProcessor,
    private readonly before: readonly number[],
    private readonly behind: readonly number[],
    joins?: MediaProcessor['joins'],
  ) {
    this.placeholders = shown.placeholders;
    if (joins) this.joins = joins;
  }

  /** @throws MEDIA_* */
  async process(...args: Parameters<MediaProcessor['process']>): Promise<readonly MediaPiece[]> {
    return [this.before, ...(await this.shown.process(...args)), this.behind];
  }
}
