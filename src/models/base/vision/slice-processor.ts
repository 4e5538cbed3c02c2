import {
  beside,
  type EncodeWords,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  type Picture,
  type PixelValues,
  type SliceLimits,
} from '../../../media/index.js';
import { picturesOf } from './patch-processor.js';

/** What stands around a picture, around each of its slices and around its number. */
export interface SliceWords {
  readonly imageStart: string;
  readonly imageEnd: string;
  readonly sliceStart: string;
  readonly sliceEnd: string;
  readonly numberStart: string;
  readonly numberEnd: string;
}

/** How pictures are seen, or frames: `patchSize` of `SliceLimits` are the pixels by which sizes are rounded. */
export interface SlicedKind extends SliceLimits, PixelValues {
  /** Whether its number stands before each. */
  readonly hasNumbers: boolean;
}

/** In what families differ that see pictures in slices. */
export interface SliceParts extends Pick<MediaProcessor, 'placeholders' | 'partTexts'> {
  readonly image: SlicedKind;
  readonly video: SlicedKind;
  readonly words: SliceWords;
  /** What stands between frames. */
  readonly frameBreak: string;
  /** Pixels along a side of a patch. */
  readonly patchSize: number;
  /** Patches along a side of the blocks in which they come. */
  readonly mergeSize: number;
  /** Tokens of so many patches. */
  tokensOf(patches: number): number;
}

/**
 * Pictures as a whole and in slices, between texts that number them and mark where each begins and ends; so are the
 * frames of a video, of which all have one number.
 */
export class SliceProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];
  readonly partTexts: NonNullable<MediaProcessor['partTexts']>;

  /** Ids of what stands around pictures and slices, between rows of slices and between frames. */
  private readonly marks: Readonly<
    Record<'begin' | 'end' | 'beginSlice' | 'endSlice' | 'line' | 'frame', readonly number[]>
  >;

  constructor(
    private readonly parts: SliceParts,
    private readonly encode: EncodeWords,
  ) {
    const { words, placeholders, partTexts = {}, frameBreak } = parts;
    this.placeholders = placeholders;
    this.partTexts = partTexts;
    this.marks = {
      begin: encode(words.imageStart),
      end: encode(words.imageEnd),
      beginSlice: encode(words.sliceStart),
      endSlice: encode(words.sliceEnd),
      line: encode('\n'),
      frame: encode(frameBreak),
    };
  }

  /** @throws MEDIA_* */
  async process(media: MediaFiles, what: string, place: number): Promise<readonly MediaPiece[]> {
    const kind = media.kind === 'video' ? this.parts.video : this.parts.image;
    const pieces: MediaPiece[] = [];
    for (const picture of await picturesOf(media, what)) {
      const before = pieces.filter((piece) => 'data' in piece).length;
      const keyOf = (part: number): Int32Array => mediaKey(media, before + part);
      if (before > 0) pieces.push(this.marks.frame);
      pieces.push(...(await this.slicesOf(picture, kind, keyOf, what)));
    }
    const { numberStart, numberEnd } = this.parts.words;
    return kind.hasNumbers ? [this.encode(`${numberStart}${place}${numberEnd}`), ...pieces] : pieces;
  }

  private async slicesOf(
    picture: Picture,
    kind: SlicedKind,
    keyOf: (part: number) => Int32Array,
    what: string,
  ): Promise<MediaPiece[]> {
    const { marks, parts } = this;
    const { patchSize, mergeSize } = parts;
    const { pictures, grid } = await beside('slicesOf', picture, kind, what);
    const sizes = { patchSize, temporalPatchSize: 1, mergeSize };
    const cut = await Promise.all(pictures.map((each) => beside('patchesOf', [each], kind, sizes)));
    return cut.flatMap(({ data, grid: shape }, part): MediaPiece[] => {
      const rows = data.length / (3 * patchSize * patchSize);
      const input = { data, rows, count: parts.tokensOf(rows), shape, key: keyOf(part) };
      if (part === 0) return [marks.begin, input, marks.end];
      // Slices stand as in the picture.
      const isBelow = part > 1 && (part - 1) % (grid?.columns ?? 1) === 0;
      return [isBelow ? marks.line : [], marks.beginSlice, input, marks.endSlice];
    });
  }
}
