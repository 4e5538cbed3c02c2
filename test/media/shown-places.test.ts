import { expect } from 'chai';
import { ENCODE } from '../../src/graph/graph-kind.js';
import type { Insert, MediaProcessor } from '../../src/media/index.js';
import { getModel } from '../../src/models/get-model.js';
import { estimateMemory } from '../../src/runner/estimate-memory.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import { greedyAnswers } from '../oracle/generate.js';
import {
  encodeWords,
  insertsOf,
  processedOf,
  type VisionReference,
  visionCheckpoint,
  visionReferences,
} from '../oracle/vision.js';

describe('places of what is shown beside sequences', () => {
  let checkpoint: ReturnType<typeof visionCheckpoint>;
  let processor: MediaProcessor;
  let prompts: { prompt: Int32Array; inserts: readonly Insert[] }[];
  before(async () => {
    checkpoint = visionCheckpoint('mllama');
    processor = (await (await getModel(checkpoint.path)).getMediaProcessor(encodeWords)) as MediaProcessor;
    const shown = (await visionReferences('mllama')).filter(({ media }) => media.length > 0);
    const insertsBy = async (reference: VisionReference) =>
      insertsOf(reference, await processedOf(reference, processor), processor);
    prompts = await Promise.all(
      shown.map(async (reference) => ({ prompt: reference.prompt, inserts: await insertsBy(reference) })),
    );
  });
  after(() => checkpoint.remove());

  const load = (shownPlaces: number, numBlocks = 24) =>
    ModelRunner.load({
      ...{ modelPath: checkpoint.path, dtype: 'bf16', threads: 2, blockSize: 32, numBlocks, shownPlaces },
      maxPositionEmbeddings: 128,
    });

  it('encode a picture once, however many tokens follow and whoever shows it', async () => {
    const runner = await load(3);
    let runs = 0;
    const onStep = () => {
      runs = runner.graphStats(ENCODE).runs;
    };
    await greedyAnswers(runner, [...prompts, ...prompts], { maxModelLen: 128, maxBatchSize: 4, onStep });
    runner.dispose();
    expect(runs).to.equal(prompts.length);
  });

  it('give way to others, also within a step, after which a picture is encoded anew to the same bits', async () => {
    const answers = async (places: number, maxBatchSize = 1) => {
      const runner = await load(places);
      const twice = [...prompts, ...prompts];
      const { answers: found } = await greedyAnswers(runner, twice, {
        ...{ maxModelLen: 128, maxBatchSize },
      });
      runner.dispose();
      return found;
    };
    const expected = await answers(3);
    expect(await answers(1)).to.deep.equal(expected);
    expect(await answers(1, 4), 'a step in parts').to.deep.equal(expected);
  });

  it('are part of the memory that is estimated', async () => {
    const runner = await load(4, 8);
    const sizes = { dtype: 'bf16', blockSize: 32, context: 128, batch: 2 } as const;
    const { cacheBytes } = await estimateMemory({ modelPath: checkpoint.path, ...sizes });
    expect(runner.memory().cacheBytes).to.equal(cacheBytes);
    runner.dispose();
  });

  it('are as many as a prompt needs: one that shows more is refused before it begins', async () => {
    const runner = await load(3);
    const shown = prompts.flatMap(({ inserts }) => inserts).slice(0, 2);
    const between = (gap: number) =>
      shown.map(({ input }, at) => ({ start: 2 + gap * at, input: { ...input, count: 1 } }));
    const together = (gap: number) =>
      processor.asOne?.({ tokens: new Int32Array(9), inserts: between(gap) }).inserts ?? [];
    // Two that are seen together, and two that are also seen each by itself.
    runner.checkShown(together(1), 9);
    expect(() => runner.checkShown(together(2), 9)).to.throw(
      /prompt must be pictures that take at most 3 places.*a larger maxBatchSize gives more.*found "?4 places/,
    );
    runner.dispose();
  });
});
