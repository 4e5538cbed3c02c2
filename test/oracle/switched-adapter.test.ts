import { expect } from 'chai';
import type { Insert } from '../../src/media/index.js';
import { getModel } from '../../src/models/get-model.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import { greedyAnswers } from './generate.js';
import { BEST_ISA } from './isas.js';
import { encodeWords, insertsOf, processedOf, visionCheckpoint, visionReferences } from './vision.js';

describe('an adapter that counts for prompts with sound alone', function () {
  this.timeout(60_000);

  it('lets them share no block of the cache with prompts of text', async () => {
    const checkpoint = visionCheckpoint('granite_speech_plus');
    const load = () =>
      ModelRunner.load({
        ...{ modelPath: checkpoint.path, dtype: 'f32', isa: BEST_ISA, threads: 2 },
        ...{ blockSize: 32, numBlocks: 24, maxPositionEmbeddings: 192 },
      });
    try {
      const processor = await (await getModel(checkpoint.path)).getMediaProcessor(encodeWords);
      const [, heard] = await visionReferences('granite_speech_plus');
      if (!processor || !heard) throw new Error('nothing is heard');
      // More words than a block has tokens, before the sound and without any.
      const words = Array.from({ length: 40 }, (_, i) => 3 + ((7 * i) % 90));
      const before = insertsOf(heard, await processedOf(heard, processor), processor);
      const text = { prompt: Int32Array.of(...words, 5), inserts: [] as readonly Insert[] };
      const sound = {
        prompt: Int32Array.of(...words, ...heard.prompt),
        inserts: before.map(({ start, input }) => ({ start: start + words.length, input })),
      };
      const run = async (prompts: readonly (typeof text)[], maxBatchSize = 1) => {
        const runner = await load();
        const found = await greedyAnswers(runner, prompts, { maxModelLen: 192, maxBatchSize });
        runner.dispose();
        return found;
      };
      const alone = [await run([text]), await run([sound])].flatMap(({ answers }) => answers);
      for (const size of [1, 4]) {
        const { answers, hits } = await run([text, sound, text, sound], size);
        expect(answers, `${size} at once`).to.deep.equal([...alone, ...alone]);
        if (size === 1) expect(hits).to.be.at.least(64);
      }
    } finally {
      checkpoint.remove();
    }
  });
});
