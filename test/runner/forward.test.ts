import { expect } from 'chai';
import { AtbError } from '../../src/errors.js';
import { DECODE, PREFILL } from '../../src/graph/graph-kind.js';
import { type ForwardInputs, ModelRunner } from '../../src/index.js';
import { Sequence } from '../../src/scheduler/sequence.js';
import { caseDirectory, type OracleCase, oracleCases } from '../oracle/fixtures.js';

const BLOCK_SIZE = 32;
const PROMPTS = [Array.from({ length: 40 }, (_, i) => (i * 7 + 3) % 61), [5, 9, 2]];
/** Blocks of each prompt, out of order. */
const TABLES = [
  [5, 1],
  [3, 7],
];

const slotsOf = (table: readonly number[], from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, i) => {
    const place = from + i;
    return (table[Math.floor(place / BLOCK_SIZE)] as number) * BLOCK_SIZE + (place % BLOCK_SIZE);
  });

/** The prompts as one packed prefill. */
const prefill = (changes: Partial<ForwardInputs> = {}): ForwardInputs => ({
  inputIds: Int32Array.from(PROMPTS.flat()),
  positionIds: Int32Array.from(PROMPTS.flatMap((prompt) => [...prompt.keys()])),
  isPrefill: true,
  blockTables: TABLES,
  slots: Int32Array.from(PROMPTS.flatMap((prompt, i) => slotsOf(TABLES[i] ?? [], 0, prompt.length))),
  inputLengths: Int32Array.from(PROMPTS, ({ length }) => length),
  ...changes,
});

/** One more token of each. */
const decode = (changes: Partial<ForwardInputs> = {}): ForwardInputs => ({
  inputIds: Int32Array.of(11, 12),
  positionIds: Int32Array.from(PROMPTS, ({ length }) => length),
  isPrefill: false,
  blockTables: TABLES,
  slots: Int32Array.from(PROMPTS.flatMap(({ length }, i) => slotsOf(TABLES[i] ?? [], length, length + 1))),
  inputLengths: Int32Array.from(PROMPTS, ({ length }) => length + 1),
  ...changes,
});

describe('ModelRunner.forward', function () {
  this.timeout(60_000);
  const [oracleCase] = oracleCases.filter(({ name }) => name === 'llama-f32') as [OracleCase];
  const { path: modelPath, remove } = caseDirectory(oracleCase);
  let runner: ModelRunner;
  before(async () => {
    runner = await ModelRunner.load({ modelPath, blockSize: BLOCK_SIZE, numBlocks: 8, threads: 2 });
  });
  after(() => {
    runner.dispose();
    remove();
  });

  /** What `run` computes for the same tokens in blocks of its own choice. */
  async function expected(kind: typeof PREFILL | typeof DECODE): Promise<number[]> {
    const entries = PROMPTS.map((prompt, i) => {
      const isDecode = kind === DECODE;
      const promptTokens = isDecode ? [...prompt, 11 + i] : prompt;
      const sequence = new Sequence({ id: i, promptTokens, maxTokens: 1 });
      sequence.blockTable.blocks.push(...(TABLES[i] ?? []));
      const start = isDecode ? prompt.length : 0;
      return { sequence, start, count: promptTokens.length - start, sample: false };
    });
    const { logits } = await runner.run({ kind, entries }, { logits: true });
    return [...(logits?.data ?? [])];
  }

  async function refusal(inputs: ForwardInputs): Promise<string> {
    const error = await runner.forward(inputs).catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(AtbError).with.property('code', 'REQUEST_INVALID');
    return (error as AtbError).message;
  }

  it('names itself where it gets nothing', async () => {
    const error = await runner.forward(undefined as never).catch((thrown: Error) => thrown);
    expect(String(error)).to.contain('ModelRunner.forward: the inputs must be an object, found nothing');
  });

  it("gives each prompt's last logits, and then each next token's, as run does", async () => {
    const first = await runner.forward(prefill());
    expect(first.shape[0]).to.equal(2);
    expect([...first.data]).to.deep.equal(await expected(PREFILL));
    const next = await runner.forward(decode());
    expect([...next.data]).to.deep.equal(await expected(DECODE));
    expect([...next.data]).not.to.deep.equal([...first.data]);
  });

  it('gives the logits of the tokens that were asked for', async () => {
    const [all, some] = [
      await runner.forward(prefill({ lmHeadIndices: Int32Array.from(PROMPTS.flat().keys()) })),
      await runner.forward(prefill({ lmHeadIndices: Int32Array.of(39, 42, 7) })),
    ];
    const width = some.shape[1] as number;
    const row = (data: Float32Array, at: number) => [...data.subarray(at * width, (at + 1) * width)];
    expect(some.shape).to.deep.equal([3, width]);
    for (const [i, token] of [39, 42, 7].entries())
      expect(row(some.data, i)).to.deep.equal(row(all.data, token));
    expect(await refusal(prefill({ lmHeadIndices: Int32Array.of(43) }))).to.match(/from 0 to 42, found 43/);
  });

  it('refuses block tables that do not hold the tokens, in prefill and in decode', async () => {
    expect(await refusal(prefill({ blockTables: [] }))).to.match(/one table for each of the 2 sequences/);
    expect(await refusal(prefill({ blockTables: [[5], [3]] }))).to.match(/at least 2 blocks of 32/);
    expect(await refusal(decode({ blockTables: [[5], [3]] }))).to.match(/at least 2 blocks of 32/);
    expect(await refusal(decode({ blockTables: [...TABLES, [0]] }))).to.match(/found 3/);
    expect(await refusal(decode({ blockTables: [[5, -1], [3]] }))).to.match(/from 0 to 7.*found -1/);
    const others = [
      [0, 2],
      [4, 6],
    ];
    expect(await refusal(prefill({ blockTables: others }))).to.match(/slots must be 0 for token 0/);
  });

  it('refuses arrays that do not fit together', async () => {
    const { inputIds, positionIds } = prefill();
    expect(await refusal(prefill({ inputIds: inputIds.slice(1) }))).to.match(/inputIds must be one entry/);
    expect(await refusal(prefill({ positionIds: positionIds.slice(1) }))).to.match(/positionIds must be/);
    expect(await refusal(decode({ slots: new Int32Array(3) }))).to.match(/slots must be one entry for each/);
    expect(await refusal(prefill({ inputLengths: Int32Array.of(43, 0) }))).to.match(/at least 1 each/);
    expect(await refusal(decode({ positionIds: Int32Array.of(40, 9999) }))).to.match(
      /max_position_embeddings/,
    );
  });
});
