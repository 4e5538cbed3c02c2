import { expect } from 'chai';
import { AtbError } from '../../src/errors.js';
import type { MediaProcessor } from '../../src/media/index.js';
import { getModel } from '../../src/models/get-model.js';
import { encodeWords, mediaFiles, visionCheckpoint } from '../oracle/vision.js';

describe('sounds of Gemma 3n and Gemma 4', () => {
  const heardBy = async (name: string, samples: number) => {
    const checkpoint = visionCheckpoint(name);
    try {
      const processor = (await (
        await getModel(checkpoint.path)
      ).getMediaProcessor(encodeWords)) as MediaProcessor;
      return await processor.process(await mediaFiles(-1, samples, 16_000, 1), 'it', 0, 1);
    } finally {
      checkpoint.remove();
    }
  };
  const refusalOf = async (name: string, samples: number): Promise<string> => {
    try {
      await heardBy(name, samples);
    } catch (error) {
      if (error instanceof AtbError) return error.message;
    }
    return 'nothing';
  };

  it('have as many tokens as frames that lie wholly within them make, or as all have', async () => {
    const countOf = async (name: string, samples: number) => {
      const [, heard] = await heardBy(name, samples);
      return heard && 'data' in heard ? heard.count : 0;
    };
    // 4 frames make a token; the last one begins 160 samples before the end, and needs one more.
    expect(await countOf('gemma4', 641)).to.equal(1);
    expect(await countOf('gemma4', 801)).to.equal(2);
    expect(await countOf('gemma3n', 700)).to.equal(11);
    expect(await countOf('gemma3n', 25_000)).to.equal(11);
  });

  it('are refused where no token, or more than there may be, come of them', async () => {
    expect(await refusalOf('gemma4', 160)).to.match(
      /^MEDIA_UNSUPPORTED: it .*at least 10.0625 ms .*found 10 ms/,
    );
    expect(await refusalOf('gemma3n', 384)).to.match(
      /^MEDIA_UNSUPPORTED: it .*at least 32.0625 ms .*found 24 ms/,
    );
    expect(await refusalOf('gemma3n', 3 * 16_000)).to.match(/at most 10 tokens, as audio_soft_tokens/);
  });
});
