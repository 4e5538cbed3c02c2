import { join } from 'node:path';
import { refuseRequest } from '../../errors.js';
import {
  type EncodeWords,
  type ExpandedPrompt,
  endOf,
  joinedKey,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
} from '../../media/index.js';
import { HfTokenizer } from '../../tokenizer/hf-tokenizer.js';
import { blipProcessor } from '../base/blip/index.js';
import type { ModelFolder } from '../base/processor-files.js';
import type { WholeProcessor } from '../base/vision/index.js';
import type { InstructBlipConfig } from './config.js';

/** What a processor is told by the configuration of its model. */
type Model = Pick<InstructBlipConfig, 'vision' | 'qFormer' | 'queries' | 'hiddenSize' | 'imageTokenId'> & {
  readonly videoTokenId?: number | undefined;
};

/** Frames of a video: its class reads as many. */
const FRAMES = 4;

/** Squares that queries look at who read what is asked, by a tokenizer of their own. */
export class InstructBlipProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];
  /** Of words that queries may read. */
  private readonly longest: number;

  private constructor(
    private readonly squares: WholeProcessor,
    private readonly tokenizer: HfTokenizer,
    { qFormer, videoTokenId: video }: Model,
    private readonly encode: EncodeWords,
  ) {
    this.placeholders = { ...squares.placeholders, ...(video !== undefined && { video }) };
    this.longest = qFormer.words?.positions ?? 0;
  }

  /** @throws CONFIG_INVALID, TOKENIZER_*, REQUEST_INVALID for squares of another size than the encoder's */
  static async load(
    folder: ModelFolder,
    model: Model,
    encode: EncodeWords,
    processor: 'image_processor' | 'video_processor' = 'image_processor',
  ): Promise<InstructBlipProcessor> {
    const tokenizer = await HfTokenizer.load(join(folder.dir, 'qformer_tokenizer'), folder.links);
    return new InstructBlipProcessor(await blipProcessor(folder, model, processor), tokenizer, model, encode);
  }

  /** Of a video a square of each frame. @throws MEDIA_*, REQUEST_INVALID for another number of frames */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    if (media.kind !== 'video') return this.squares.process(media, what);
    if (media.files.length !== FRAMES) refuseRequest(what, `${FRAMES} frames`, media.files.length);
    const pieces: MediaPiece[] = [];
    for (const [frame, file] of media.files.entries())
      pieces.push(
        ...(await this.squares.process({ ...media, files: [file] }, `frame ${frame + 1} of ${what}`)),
      );
    return pieces;
  }

  /** The same, each picture beside the words of all of the prompt. @throws REQUEST_INVALID for more than queries may see */
  asOne({ tokens, inserts }: ExpandedPrompt): ExpandedPrompt {
    const isWord = (place: number): boolean =>
      inserts.every((insert) => place < insert.start || place >= endOf(insert));
    const text = this.encode.textOfWords?.([...tokens].filter((_, place) => isWord(place))) ?? '';
    const words = Int32Array.from(this.tokenizer.encode(text));
    if (words.length > this.longest)
      refuseRequest('prompt', `at most ${this.longest} tokens of qformer_tokenizer`, words.length);
    return {
      tokens,
      inserts: inserts.map((insert) => {
        const { input } = insert;
        return { ...insert, input: { ...input, words, key: joinedKey([input], words) } };
      }),
    };
  }
}
