import { expect } from 'chai';
import type { Insert } from '../../src/media/index.js';
import { getModel } from '../../src/models/get-model.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import { greedyAnswers } from './generate.js';
import { BEST_ISA } from './isas.js';
import { encodeWords, insertsOf, processedOf, visionCheckpoint, visionReferences } from './vision.js';

describe('adapters that count for prompts that show something', function () {
  this.timeout(60_000);

  for (const [name, pictureBehind] of [
    ['granite_speech_plus', false],
    // Of sound alone, and of sound before a picture, which has an adapter of its own.
    ['phi4_multimodal-published', true],
  ] as const)
    it(`let them share no block of the cache with other prompts: ${name}`, () =>
      checkPrefixes(name, pictureBehind));
});

/** `seesMore`: whether the sound stands before a picture, too. */
async function checkPrefixes(name: string, seesMore: boolean): Promise<void> {
  const checkpoint = visionCheckpoint(name);
  const load = () =>
    ModelRunner.load({
      ...{ modelPath: checkpoint.path, dtype: 'f32', isa: BEST_ISA, threads: 2 },
      ...{ blockSize: 32, numBlocks: 24, maxPositionEmbeddings: 192 },
    });
  try {
    const processor = await (await getModel(checkpoint.path)).getMediaProcessor(encodeWords);
    const references = await visionReferences(name);
    const heard = references.find(({ media: [first] }) => first?.files.kind === 'audio');
    const shown = references.find(({ media: [first] }) => first?.files.kind === 'image');
    if (!processor || !heard) throw new Error('nothing is heard');
    // More words than a block has tokens, before the sound and without any.
    const words = Array.from({ length: 40 }, (_, i) => 3 + ((7 * i) % 90));
    const before = insertsOf(heard, await processedOf(heard, processor), processor);
    const text = { prompt: Int32Array.of(...words, 5), inserts: [] as readonly Insert[] };
    const sound = {
      prompt: Int32Array.of(...words, ...heard.prompt),
      inserts: before.map(({ start, input }) => ({ start: start + words.length, input })),
    };
    const behind = seesMore && shown ? insertsOf(shown, await processedOf(shown, processor), processor) : [];
    const length = sound.prompt.length;
    const both = {
      prompt: Int32Array.of(...sound.prompt, ...(shown?.prompt ?? [])),
      inserts: [...sound.inserts, ...behind.map(({ start, input }) => ({ start: start + length, input }))],
    };
    // Prompts with pictures are made ready as wholes.
    const last = seesMore ? [{ ...both, ...processor.asOne?.({ ...both, tokens: both.prompt }) }] : [];
    const run = async (prompts: readonly (typeof text)[], maxBatchSize = 1) => {
      const runner = await load();
      const found = await greedyAnswers(runner, prompts, { maxModelLen: 192, maxBatchSize });
      runner.dispose();
      return found;
    };
    const all = [text, sound, ...last];
    const alone = [];
    for (const one of all) alone.push(...(await run([one])).answers);
    for (const size of [1, 4]) {
      const { answers, hits } = await run([...all, ...all], size);
      expect(answers, `${size} at once`).to.deep.equal([...alone, ...alone]);
      if (size === 1) expect(hits).to.be.at.least(64);
    }
  } finally {
    checkpoint.remove();
  }
}
