import { defineConfig, type Field } from '../../layers/config/index.js';
import {
  beside,
  DEFAULT_FPS,
  type EncodeWords,
  joinedWords,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  numberWords,
  tokenOf,
} from '../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import { AROUND, LANCZOS, picturesOf, pixelFields, requireSide, WHOLE } from '../base/vision/index.js';
import {
  type Idefics3Config,
  Idefics3Processor,
  longestEdge,
  readIdefics3Pictures,
} from '../idefics3/index.js';

/** Of frames before they become squares: what published files say of sampling counts where they do not say it of all. */
const longest: Field<number> = {
  read(json) {
    const ofSampling = json.section('video_sampling');
    const fallback = ofSampling ? longestEdge('video_size', 4 * 364).read(ofSampling, {}) : 4 * 364;
    return longestEdge('size', fallback).read(json, {});
  },
};

const HALF = [0.5, 0.5, 0.5];
/** Defaults of transformers 5.24, SmolVLMVideoProcessor. */
const FRAMES = defineConfig({
  fields: {
    longest,
    side: longestEdge('max_image_size', 364),
    ...pixelFields({ mean: HALF, std: HALF }, LANCZOS),
  },
});
type FrameConfig = ReturnType<(typeof FRAMES)['read']>;

/** What templates print for a video. It need not be a token. */
const VIDEO = '<video>';

/** SmolVLMProcessor of transformers 5.24 writes dialogues with a video so, whatever template the files have. */
const TEMPLATE = `<|im_start|>{% for message in messages -%}
{{ message['role'] | capitalize }}
{%- if message['content'] is string %}{{ ': ' + message['content'] }}
{%- else %}{{ ':' if message['content'][0]['type'] == 'image' else ': ' }}
{%- for part in message['content'] -%}
{%- if part['type'] == 'text' %}{{ part['text'] }}
{%- elif part['type'] in ('image', 'video') %}{{ '<image>' if part['type'] == 'image' else '<video>' }}
{%- endif %}{% endfor %}{% endif %}{{ '<end_of_utterance>\\n' }}
{%- endfor %}{{ 'Assistant:' if add_generation_prompt else '' }}`;

/** As Idefics 3 has pictures; frames are squares, each behind the minute and second at which it is. */
export class SmolvlmProcessor extends Idefics3Processor {
  override readonly placeholders: MediaProcessor['placeholders'];
  readonly rowTokens: NonNullable<MediaProcessor['rowTokens']>;
  readonly templateTexts: NonNullable<MediaProcessor['templateTexts']>;
  readonly templates = { video: TEMPLATE };

  constructor(
    pictures: Awaited<ReturnType<typeof readIdefics3Pictures>>,
    private readonly frames: FrameConfig,
    model: Idefics3Config,
    encode: EncodeWords,
  ) {
    super(pictures, model, encode);
    const { imageTokenId: image } = model;
    const video = tokenOf(VIDEO, encode);
    this.placeholders = image === undefined ? {} : { image, video: video ?? image };
    this.rowTokens = image === undefined ? {} : { video: image };
    this.templateTexts = video === undefined ? { [VIDEO]: '<image>' } : {};
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for squares of another size than the encoder's */
  static async read(
    folder: ModelFolder,
    model: Idefics3Config,
    encode: EncodeWords,
  ): Promise<SmolvlmProcessor> {
    const pictures = await readIdefics3Pictures(folder, model);
    const frames = await readProcessorConfig(folder, FRAMES, 'video_processor');
    requireSide('max_image_size', frames.side, model.vision.imageSize);
    return new SmolvlmProcessor(pictures, frames, model, encode);
  }

  /** The words about a video are one text with those that stand beside it. */
  joins(left: number, right: number): readonly number[] | undefined {
    return joinedWords(left, right, this.encode);
  }

  override async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    if (media.kind !== 'video') return super.process(media, what);
    const pictures = await picturesOf(media, what);
    const { fps = DEFAULT_FPS } = media;
    const seconds = (frame: number): number => Math.floor(frame / fps);
    let before =
      `You are provided the following series of ${numberWords(pictures.length)} frames ` +
      `from a ${clock(seconds(pictures.length - 1))} [H:MM:SS] video.\n`;
    const pieces: MediaPiece[] = [];
    for (const [frame, picture] of pictures.entries()) {
      const { whole } = await beside('splitsOf', picture, { ...this.frames, splits: false }, what);
      const at = `\nFrame from ${padded(seconds(frame) / 60)}:${padded(seconds(frame) % 60)}:`;
      const input = await this.inputOf(whole, mediaKey(media, frame), this.frames);
      pieces.push(this.encode(before + at + AROUND + WHOLE), input);
      before = AROUND;
    }
    return [...pieces, this.encode(`${AROUND}\n\n`)];
  }
}

const padded = (count: number): string => `${Math.floor(count)}`.padStart(2, '0');

/** Seconds as Python writes a span of time: "0:01:30", "1 day, 0:00:00". */
function clock(seconds: number): string {
  const days = Math.floor(seconds / 86_400);
  const hours = Math.floor((seconds % 86_400) / 3600);
  const before = days === 0 ? '' : `${days} day${days === 1 ? '' : 's'}, `;
  return `${before}${hours}:${padded((seconds % 3600) / 60)}:${padded(seconds % 60)}`;
}
