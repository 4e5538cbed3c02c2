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

  it('give way to others, after which a picture is encoded anew to the same bits', async () => {
    const answers = async (places: number) => {
      const runner = await load(places);
      const twice = [...prompts, ...prompts];
      const { answers: found } = await greedyAnswers(runner, twice, { maxModelLen: 128, maxBatchSize: 1 });
      runner.dispose();
      return found;
    };
    expect(await answers(1)).to.deep.equal(await answers(3));
  });

  it('are part of the memory that is estimated', async () => {
    const runner = await load(2, 8);
    const sizes = { dtype: 'bf16', blockSize: 32, context: 128, batch: 2 } as const;
    const { cacheBytes } = await estimateMemory({ modelPath: checkpoint.path, ...sizes });
    expect(runner.memory().cacheBytes).to.equal(cacheBytes);
    runner.dispose();
  });

  it('are refused to a step that shows more than there are', async () => {
    const runner = await load(1);
    const entries = prompts.map(({ prompt, inserts }) => ({
      sequence: { tokens: [...prompt], promptLen: prompt.length, blockTable: { blocks: [0, 1] }, inserts },
      ...{ start: 0, count: prompt.length, sample: false },
    }));
    let message = '';
    await runner.run({ kind: ENCODE, entries }).catch((error: Error) => {
      message = error.message;
    });
    expect(message).to.match(/batch must be at most 1 different things that are shown, found 3/);
    runner.dispose();
  });

  it('are for one picture a prompt: more are refused', () => {
    const [one] = prompts;
    const inserts = [...(one?.inserts ?? []), ...(one?.inserts ?? [])];
    expect(() => processor.asOne?.({ tokens: Int32Array.of(1, 2, 3), inserts })).to.throw(
      'prompt must be at most one picture, on which mllama is trained, found 2',
    );
  });
});
