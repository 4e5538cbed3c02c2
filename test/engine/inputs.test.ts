import { join } from 'node:path';
import { expect } from 'chai';
import { type PAInputs, PARunner } from '../../src/engine/pa-runner.js';
import { perplexity } from '../../src/engine/perplexity.js';
import { AtbError, type ErrorCode } from '../../src/errors.js';
import type { ForwardInputs } from '../../src/runner/steps.js';
import { failure } from '../weights/safetensors-writer.js';

const TINY_STORIES = join(import.meta.dirname, '../../../examples/models/tiny-stories');

/** What a caller's mistake may look like, with what is said about it. */
const BAD: readonly (readonly [ids: unknown, field: string])[] = [
  [[1, 2 ** 32 + 2, 3], '[1]'],
  [[1.9, 2.2, 3], '[0]'],
  [[1, 2, Number.NaN], '[2]'],
  [[1, undefined], '[1]'],
  [[1, '2'], '[1]'],
  [[-1], '[0]'],
  [[0, 1e9], '[1]'],
  [[Number.POSITIVE_INFINITY], '[0]'],
  [[1n], '[0]'],
  [[null], '[0]'],
  [[[1]], '[0]'],
  [[{}], '[0]'],
  [Float32Array.of(1, 0.5), '[1]'],
  [BigInt64Array.of(1n), '[0]'],
  [Int32Array.of(4, -7), '[1]'],
  ['123', ''],
  [{ length: 1e9 }, ''],
  [{ length: 2, 0: 1, 1: 2 }, ''],
  [new Set([1, 2]), ''],
  [new DataView(new ArrayBuffer(8)), ''],
  [5, ''],
  [null, ''],
  [undefined, ''],
  [() => [1], ''],
];

describe('what callers give', function () {
  this.timeout(60_000);
  let runner: PARunner;
  before(async () => {
    runner = await PARunner.load({
      modelPath: TINY_STORIES,
      threads: 1,
      maxInputLength: 64,
      maxBatchSize: 2,
    });
  });
  after(() => runner.dispose());

  /** Memory that an action takes, in MiB, buffers included. */
  async function grown(action: () => unknown): Promise<number> {
    const before = process.memoryUsage();
    await action();
    const { heapTotal, arrayBuffers, external } = process.memoryUsage();
    const growth =
      heapTotal - before.heapTotal + arrayBuffers - before.arrayBuffers + external - before.external;
    return growth / 2 ** 20;
  }
  const refusal = async (code: ErrorCode, action: () => unknown) => (await failure(code, action)).detail;
  const inferTokens = (prompts: unknown) =>
    runner.infer({ kind: 'tokens', prompts } as unknown as PAInputs, { maxTokens: 2 });

  it('as a prompt is refused by its first id that is none', async () => {
    for (const [ids, place] of BAD) {
      const detail = await refusal('REQUEST_INVALID', () => runner.engine.generate(ids as number[]));
      expect(detail, String(place)).to.include({ field: `prompt${place}` });
      if (ids === undefined) continue;
      const one = await refusal('REQUEST_INVALID', () => inferTokens([[1, 2], ids]));
      expect(one).to.include({ field: `prompts[1]${place}` });
      await refusal('REQUEST_INVALID', () => perplexity(runner.runner, ids as number[], { contextLen: 8 }));
    }
    const { answers } = await inferTokens([[1, 2], Uint16Array.of(3)]);
    expect(answers.map(({ promptTokens }) => promptTokens)).to.deep.equal([2, 1]);
  });

  it('is measured before it is copied', async () => {
    const long = new Int32Array(4e7);
    const holes = new Array<number>(4e9);
    const growth = await grown(async () => {
      for (const ids of [long, holes]) {
        const { neededLen } = (await refusal('REQUEST_TOO_LONG', () => runner.engine.generate(ids))) as {
          neededLen: number;
        };
        expect(neededLen).to.equal(ids.length + 20);
        expect(await refusal('REQUEST_INVALID', () => inferTokens([ids]))).to.include({
          field: 'prompts[0]',
        });
        const stopTokenIds = ids as readonly number[];
        const stops = await refusal('REQUEST_INVALID', () => runner.engine.generate([1], { stopTokenIds }));
        expect(stops).to.include({ field: 'stopTokenIds' });
      }
    });
    expect(growth).to.be.below(20);
  });

  it('fits max_input_length exactly, or is refused', async () => {
    const ids = (length: number) => new Int32Array(length).fill(5);
    const { answers } = await inferTokens([ids(64), ids(3)]);
    expect(answers.map(({ promptTokens }) => promptTokens)).to.deep.equal([64, 3]);
    expect(await refusal('REQUEST_INVALID', () => inferTokens([ids(3), ids(65)]))).to.deep.include({
      field: 'prompts[1]',
      found: 65,
    });
  });

  it('beyond the window names the option that set it', async () => {
    const { message } = await failure('REQUEST_TOO_LONG', () =>
      runner.engine.generate([1], { maxTokens: 150 }),
    );
    expect(message).to.match(/151 tokens of the model length \(maxInputLength \+ maxOutputLength\), .*84/);
  });

  it('as inputs of infer is refused by its name', async () => {
    const cases: readonly (readonly [inputs: unknown, field: string])[] = [
      [undefined, 'inputs'],
      [null, 'inputs'],
      ['Once', 'inputs'],
      [{}, 'inputs.kind'],
      [{ kind: 'text', prompts: ['Once'] }, 'inputs.kind'],
      [{ kind: 'texts' }, 'inputs.prompts'],
      [{ kind: 'texts', prompts: 'Once' }, 'inputs.prompts'],
      [{ kind: 'texts', prompts: { length: 1e9 } }, 'inputs.prompts'],
      [{ kind: 'texts', prompts: ['Once', 5] }, 'prompts[1]'],
      [{ kind: 'tokens', prompts: 5 }, 'inputs.prompts'],
      [{ kind: 'dialogues', prompts: [] }, 'inputs.dialogues'],
      [{ kind: 'dialogues', dialogues: [5] }, 'dialogues[0]'],
      [{ kind: 'dialogues', dialogues: [[]] }, 'messages'],
    ];
    for (const [inputs, field] of cases) {
      const detail = await refusal('REQUEST_INVALID', () => runner.infer(inputs as PAInputs));
      expect(detail, JSON.stringify(inputs)).to.include({ field });
    }
    await refusal('REQUEST_INVALID', () => runner.generate(5 as unknown as string));
    await refusal('REQUEST_INVALID', () => runner.generate({ length: 1e9 } as unknown as string));
  });

  it('as sampling parameters is refused by its name, by infer as by generate', async () => {
    const cases: readonly (readonly [sampling: unknown, field: string])[] = [
      [null, 'sampling parameters'],
      [5, 'sampling parameters'],
      ['x', 'sampling parameters'],
      [{ seed: 1n }, 'seed'],
      [{ seed: '5' }, 'seed'],
      [{ maxTokens: Symbol('5') }, 'maxTokens'],
      [{ maxTokens: Number.NaN }, 'maxTokens'],
      [{ maxOutputLength: 5 }, 'maxOutputLength'],
    ];
    for (const [sampling, field] of cases) {
      const inputs: PAInputs = { kind: 'tokens', prompts: [Int32Array.of(1)] };
      for (const action of [
        () => runner.infer(inputs, sampling as object),
        () => runner.generate(Int32Array.of(1), sampling as object),
      ])
        expect(await refusal('REQUEST_INVALID', action)).to.include({ field });
    }
  });

  it('as options of a request is refused by its name', async () => {
    const generate = (options: unknown) => runner.engine.generate([1], {}, options as object);
    for (const signal of [5, 'abort', {}, { aborted: false }, null, new EventTarget()]) {
      expect(await refusal('REQUEST_INVALID', () => generate({ signal }))).to.include({ field: 'signal' });
      const infer = () => runner.infer({ kind: 'tokens', prompts: [] }, {}, { signal } as object);
      expect(await refusal('REQUEST_INVALID', infer)).to.include({ field: 'signal' });
    }
    const { detail } = await failure('OPTION_UNKNOWN', () => generate({ singal: undefined }));
    expect(detail).to.include({ nearest: 'signal' });
    const infer = (options: unknown) => runner.infer({ kind: 'tokens', prompts: [] }, {}, options as object);
    expect((await failure('OPTION_UNKNOWN', () => infer({ ontext: () => 1 }))).message).to.match(/onText/);
    expect(await refusal('REQUEST_INVALID', () => infer({ onText: 5 }))).to.include({ field: 'onText' });
    for (const options of [null, 5]) await failure('REQUEST_INVALID', () => infer(options));
  });

  it('to forward is refused before anything is made as long as it says', async () => {
    const step = (changes: object): ForwardInputs => ({
      inputIds: Int32Array.of(1, 2),
      positionIds: Int32Array.of(0, 1),
      isPrefill: true,
      blockTables: [[0]],
      slots: Int32Array.of(0, 1),
      inputLengths: Int32Array.of(2),
      ...changes,
    });
    const { numBlocks, blockSize } = runner.runner;
    const cases: readonly (readonly [changes: object, field: RegExp])[] = [
      [{ inputLengths: Int32Array.of(2 ** 31 - 1) }, /^inputLengths\[0\]$/],
      [{ inputLengths: Int32Array.of(-1) }, /^inputLengths\[0\]$/],
      [{ inputLengths: Int32Array.of(1, numBlocks * blockSize + 1) }, /^inputLengths\[1\]$/],
      [{ inputLengths: { length: 1e9 } }, /^inputLengths$/],
      [{ inputLengths: [2] }, /^inputLengths$/],
      [{ inputIds: { length: 2 } }, /^inputIds$/],
      [{ inputIds: Int32Array.of(1, 1e9) }, /^inputIds\[1\]$/],
      [{ inputIds: Int32Array.of(-1, 1) }, /^inputIds\[0\]$/],
      [{ inputIds: Float32Array.of(1, 2) }, /^inputIds$/],
      [{ inputIds: new Int32Array(1e7) }, /^inputIds$/],
      [{ positionIds: Int32Array.of(0, -1) }, /^position/],
      [{ slots: null }, /^slots$/],
      [{ blockTables: { length: 1 } }, /^blockTables$/],
      [{ blockTables: [null] }, /^blockTables$/],
      [{ blockTables: [{ length: 1e9 }] }, /^blockTables$/],
      [{ blockTables: [[2 ** 40]] }, /^blockTables$/],
      [{ lmHeadIndices: [0] }, /^lmHeadIndices$/],
      [{ lmHeadIndices: new Int32Array(1e7) }, /^lmHeadIndices$/],
      [{ lmHeadIndices: Int32Array.of(0, -1) }, /^lmHeadIndices\[1\]$/],
      [{ isPrefill: 'yes' }, /^isPrefill$/],
      [{ isPrefill: false, inputLengths: new Int32Array(1e7).fill(1) }, /^inputIds$/],
    ];
    const growth = await grown(async () => {
      for (const [changes, field] of cases) {
        const detail = (await refusal('REQUEST_INVALID', () => runner.runner.forward(step(changes)))) as {
          field: string;
        };
        expect(detail.field).to.match(field);
      }
    });
    expect(growth).to.be.below(20);
    expect((await runner.runner.forward(step({}))).shape[0]).to.equal(1);
  });

  it('is shown shortly in a message, however large it is', () => {
    const { message } = new AtbError('REQUEST_INVALID', {
      field: 'it',
      expected: 'small',
      found: [new Array(1e8), new Float64Array(1e7), 'x'.repeat(1e7)],
    });
    expect(message.length).to.be.below(200);
  });
});
