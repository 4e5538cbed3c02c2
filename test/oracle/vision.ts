import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import type {
  EncodeWords,
  Insert,
  MediaFiles,
  MediaPiece,
  MediaProcessor,
  ProcessedMedia,
} from '../../src/media/index.js';
import { picture } from '../media/pictures.js';
import { soundSamples, wavOf } from '../media/sounds.js';
import { type FamilyReference, familyReferences, seededCheckpoint } from './families.js';
import { readTensors } from './fixtures.js';

export const VISION_DIR = join(import.meta.dirname, '../../../test/fixtures/media-models');

/** The cases of tools/oracle/make_media_model_fixture.py, by the names of their folders. */
export const visionCases: readonly string[] = readdirSync(VISION_DIR).sort();

/** A case's checkpoint in a temporary folder, made of its recipe; call `remove` when done. */
export const visionCheckpoint = (name: string) => seededCheckpoint(join(VISION_DIR, name));

/** What transformers recorded for one prompt. */
export interface VisionReference extends FamilyReference {
  /** [axes][tokens]: positions in time, height and width, or on other axes of a model; of none, none. */
  readonly positions: readonly (readonly number[])[];
  /** What stands in the prompt, in order, and where. */
  readonly media: readonly { readonly files: MediaFiles; readonly start: number }[];
  /** Rows of what the encoder gives, of all that stands in the prompt one after another, and what they hold. */
  readonly encodedRows: readonly number[];
  readonly encoded: Float32Array;
}

/** The files of a picture (no frames), of a video or of a sound (-1; samples, rate), of the fixtures' own making. */
export async function mediaFiles(
  frames: number,
  width: number,
  height: number,
  seed: number,
): Promise<MediaFiles> {
  if (frames < 0) return { kind: 'audio', files: [wavOf(soundSamples(width, seed), height)] };
  const raw = { width, height, channels: 3 as const };
  const files = Array.from({ length: Math.max(frames, 1) }, (_, index) =>
    sharp(picture(width, height, seed + index).data, { raw })
      .png()
      .toBuffer(),
  );
  return { kind: frames > 0 ? 'video' : 'image', files: await Promise.all(files) };
}

export async function visionReferences(name: string): Promise<VisionReference[]> {
  const tensors = await readTensors(join(VISION_DIR, name, 'reference.safetensors'));
  const numbers = (tensor: string) =>
    Array.from((tensors.get(tensor)?.data ?? []) as ArrayLike<number | bigint>, Number);
  const references = await familyReferences(name, VISION_DIR);
  return Promise.all(
    references.map(async (reference, index) => {
      const positions = numbers(`${index}/positions`);
      const tokens = reference.prompt.length;
      const media = numbers(`${index}/media`);
      const rows = Array.from({ length: media.length / 5 }, (_, i) => media.slice(5 * i, 5 * i + 5));
      return {
        ...reference,
        positions: Array.from({ length: positions.length / tokens }, (_, axis) =>
          positions.slice(axis * tokens, (axis + 1) * tokens),
        ),
        media: await Promise.all(
          rows.map(async ([frames = 0, width = 1, height = 1, seed = 0, start = 0]) => ({
            files: await mediaFiles(frames, width, height, seed),
            start,
          })),
        ),
        encodedRows: numbers(`${index}/encoded_rows`),
        encoded: (tensors.get(`${index}/encoded`)?.data ?? new Float32Array()) as Float32Array,
      };
    }),
  );
}

/** Tokens around what is seen and for it, as make_media_model_fixture.py has them. */
const AROUND: Readonly<Record<string, number>> = {
  '<im_start>': 122,
  '<im_end>': 123,
  '<patch_start>': 124,
  '<patch_end>': 125,
  '<patch_newline>': 126,
  '|NEWLINE|': 123,
  '<s>': 1,
  '<IMG_CONTEXT>': 120,
  '<IMG_START>': 122,
  '<IMG_GRID>': 123,
  '<IMG_COL>': 124,
  '<IMG_ROW>': 126,
  '<IMG_END>': 119,
  '<img>': 122,
  '</img>': 123,
  '<video>': 121,
  '<|image|>': 121,
  '<|image_start|>': 122,
  '<|image_end|>': 123,
  '<|tile_x_separator|>': 124,
  '<|tile_y_separator|>': 125,
  '<|img_thumbnail|>': 121,
  '<|media_begin|>': 122,
  '<|media_content|>': 124,
  '<|media_end|>': 123,
  '<|START_OF_IMG|>': 122,
  '<|END_OF_IMG|>': 123,
  '<|IMG_LINE_BREAK|>': 124,
  '[IMG_BREAK]': 122,
  '[IMG_END]': 123,
  '<begin_of_image>': 122,
  '<end_of_image>': 123,
  '[STREAMING_PAD]': 121,
  '<fake_token_around_image>': 122,
  '<global-img>': 123,
  '<|vision_start|>': 122,
  '<|vision_end|>': 123,
  ']<]start of image[>[': 122,
  ']<]end of image[>[': 123,
  // As make_minicpmv_fixture.py has them.
  '<unk>': 124,
  '<image>': 125,
  '</image>': 126,
  '<slice>': 127,
  '</slice>': 128,
  '<image_id>': 129,
  '</image_id>': 130,
};

/**
 * Ids of words in the cases, which have no tokenizer: one for each character. Their text, as media/instructblip.py has it:
 * a letter each, some of which end a word.
 */
export const encodeWords: EncodeWords = Object.assign(
  (text: string) => (text.match(SPECIAL) ?? []).map(tokenOfPart),
  {
    textOfWords: (ids: readonly number[]) =>
      ids.map((id) => String.fromCodePoint(97 + (id % 26)) + (id % 5 === 0 ? ' ' : '')).join(''),
  },
);

const SPECIAL =
  /\|NEWLINE\||<s>|<\/?(?:img|image|slice|image_id)>|<unk>|<video>|<IMG_[A-Z]+>|<\|(?:vision|image|tile|media|img|START|END|IMG)\w*\|>|<(?:fake|global|row|im|patch|begin|end)[-\w]+>|\[(?:IMG|STREAMING)_\w+\]|\]<\][\w ]+\[>\[|./gs;

function tokenOfPart(part: string): number {
  const [, row, column] = /row_(\d+)_col_(\d+)\|?>$/.exec(part) ?? [];
  if (row !== undefined) return 93 + ((5 * (Number(row) - 1) + Number(column) - 1) % 20);
  return AROUND[part] ?? 3 + ((part.codePointAt(0) ?? 0) % 90);
}

/** What stands in a reference's prompt, as a model's processor makes it ready. */
export function processedOf(
  { media }: VisionReference,
  processor: MediaProcessor,
): Promise<ProcessedMedia[]> {
  return Promise.all(
    media.map(async ({ files }, index) => {
      const alike = media.filter((other) => other.files.kind === files.kind);
      const before = alike.filter((other) => media.indexOf(other) < index);
      return { kind: files.kind, pieces: await processor.process(files, 'it', before.length, alike.length) };
    }),
  );
}

/** Tokens of a prompt that a piece becomes. */
const tokensOf = (piece: MediaPiece): number =>
  'data' in piece ? piece.count - (piece.ahead ?? 0) : piece.length;

/** Where what encoders read stands in a reference's prompt. */
export const insertsOf = (
  { media, prompt }: VisionReference,
  processed: readonly ProcessedMedia[],
  processor: Pick<MediaProcessor, 'asOne' | 'placed'> = {},
): readonly Insert[] => {
  const inserts = processed.flatMap(({ pieces }, index) => {
    let at = media[index]?.start ?? 0;
    return pieces.flatMap((piece) => {
      const start = at;
      at += tokensOf(piece);
      return 'data' in piece ? [{ start, input: piece }] : [];
    });
  });
  if (inserts.length === 0) return inserts;
  const whole = processor.asOne?.({ tokens: prompt, inserts }) ?? { tokens: prompt, inserts };
  return (processor.placed?.(whole) ?? whole).inserts;
};

/** A reference's prompt with one placeholder in place of all that each thing becomes, and what templates have about it. */
export function shortPrompt(
  { prompt, media }: VisionReference,
  processed: readonly ProcessedMedia[],
  { placeholders, around = {} }: MediaProcessor,
): number[] {
  const short: number[] = [];
  let at = 0;
  for (const [index, { kind, pieces }] of processed.entries()) {
    const start = media[index]?.start ?? 0;
    const [before, behind] = around[kind]?.map((token) => [token]) ?? [];
    short.push(...prompt.subarray(at, start), ...(before ?? []), placeholders[kind] ?? 0, ...(behind ?? []));
    at = pieces.reduce((sum, piece) => sum + tokensOf(piece), start);
  }
  return [...short, ...prompt.subarray(at)];
}
