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

/** Squares that queries look at who read what is asked, by a tokenizer of their own. */
export class InstructBlipProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];

  private constructor(
    private readonly squares: WholeProcessor,
    private readonly tokenizer: HfTokenizer,
    private readonly longest: number,
    private readonly encode: EncodeWords,
  ) {
    this.placeholders = squares.placeholders;
  }

  /** @throws CONFIG_INVALID, TOKENIZER_*, REQUEST_INVALID for squares of another size than the encoder's */
  static async load(
    folder: ModelFolder,
    config: InstructBlipConfig,
    encode: EncodeWords,
  ): Promise<InstructBlipProcessor> {
    const tokenizer = await HfTokenizer.load(join(folder.dir, 'qformer_tokenizer'), folder.links);
    const { positions = 0 } = config.qFormer.words ?? {};
    return new InstructBlipProcessor(await blipProcessor(folder, config), tokenizer, positions, encode);
  }

  /** @throws MEDIA_* */
  process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    return this.squares.process(media, what);
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
