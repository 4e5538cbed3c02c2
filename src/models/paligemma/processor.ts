import {
  type ExpandedPrompt,
  joinedKey,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
} from '../../media/index.js';
import type { ModelFolder } from '../base/processor-files.js';
import { WholeProcessor } from '../base/vision/index.js';
import type { PaligemmaConfig } from './config.js';

/**
 * Pictures drawn out to squares, which are one thing with the words of their prompt: all of its tokens see each
 * other.
 */
export class PaligemmaProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];

  constructor(private readonly squares: WholeProcessor) {
    this.placeholders = squares.placeholders;
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for pictures of another size than the encoder's */
  static async load(
    folder: ModelFolder,
    { imageTokenId, vision }: PaligemmaConfig,
  ): Promise<PaligemmaProcessor> {
    return new PaligemmaProcessor(await WholeProcessor.load(folder, imageTokenId, vision));
  }

  /** @throws MEDIA_* */
  process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    return this.squares.process(media, what);
  }

  /** Patches of all pictures, and the ids of all tokens. */
  asOne({ tokens, inserts }: ExpandedPrompt): ExpandedPrompt {
    const inputs = inserts.map(({ input }) => input);
    const data = new Float32Array(inputs.reduce((sum, input) => sum + input.data.length, 0));
    let at = 0;
    for (const input of inputs) {
      data.set(input.data, at);
      at += input.data.length;
    }
    const [, rows = 0, columns = 0] = inputs[0]?.shape ?? [];
    const input = {
      data,
      rows: inputs.reduce((sum, { rows }) => sum + rows, 0),
      count: tokens.length,
      shape: [inputs.length, rows, columns] as const,
      tokens,
      isWhole: true,
      key: joinedKey(inputs, tokens),
    };
    return { tokens, inserts: [{ start: 0, input }] };
  }
}
