import { expect } from 'chai';
import { Generation, type GenerationChunk } from '../../src/engine/generation.js';

const piece = (text: string, token: number): GenerationChunk => ({ text, tokens: [token], logprobs: [] });
const OUTCOME = { promptTokens: 1, cachedTokens: 0, finishReason: 'stop', ttftMs: 1 } as const;

async function readAll(generation: Generation): Promise<{ text: string; tokens: number[]; chunks: number }> {
  let text = '';
  let chunks = 0;
  const tokens: number[] = [];
  for await (const chunk of generation) {
    text += chunk.text;
    tokens.push(...chunk.tokens);
    chunks++;
  }
  return { text, tokens, chunks };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a Generation', () => {
  /** Reasons with which the request was ended. */
  let aborts: unknown[];
  let generation: Generation;
  beforeEach(() => {
    aborts = [];
    generation = new Generation((reason) => aborts.push(reason));
  });

  it('gives the whole answer to each of several readers, whenever they begin', async () => {
    const early = [readAll(generation), readAll(generation)];
    await turn();
    generation.push(piece('a', 1));
    await turn();
    generation.push(piece('b', 2));
    const late = readAll(generation);
    await turn();
    generation.push(piece('c', 3));
    generation.finish(OUTCOME);
    const all = { text: 'abc', tokens: [1, 2, 3] };
    expect(await Promise.all(early)).to.deep.equal([
      { ...all, chunks: 3 },
      { ...all, chunks: 3 },
    ]);
    expect(await late).to.deep.equal({ ...all, chunks: 2 });
    expect(await readAll(generation), 'after its end').to.deep.equal({ ...all, chunks: 1 });
    expect(await generation.result).to.deep.equal({ ...all, logprobs: [], ...OUTCOME });
    expect(aborts).to.deep.equal([]);
  });

  it('gives larger chunks to a reader that falls behind', async () => {
    const reader = generation[Symbol.asyncIterator]();
    const first = reader.next();
    generation.push(piece('a', 1));
    await first;
    generation.push(piece('b', 2));
    generation.push(piece('c', 3));
    expect((await reader.next()).value).to.deep.equal({ text: 'bc', tokens: [2, 3], logprobs: [] });
    await reader.return();
  });

  it('aborts its request when a reader breaks off, but not while another reads on', async () => {
    generation.push(piece('a', 1));
    const other = generation[Symbol.asyncIterator]();
    await other.next();
    for await (const _ of generation) break;
    expect(aborts).to.deep.equal([]);
    await other.return();
    expect(aborts).to.have.length(1);
  });

  it('rejects its readers and its result with the failure', async () => {
    const failure = new Error('failed');
    const readers = [readAll(generation), readAll(generation)];
    await turn();
    generation.push(piece('a', 1));
    generation.fail(failure);
    for (const each of [...readers, readAll(generation), generation.result])
      expect(
        await each.then(
          () => undefined,
          (error: unknown) => error,
        ),
      ).to.equal(failure);
    expect(aborts).to.deep.equal([]);
    expect(generation.soFar.text).to.equal('a');
  });

  it('ends once: what comes later is of no effect', async () => {
    generation.push(piece('a', 1));
    generation.finish(OUTCOME);
    generation.push(piece('b', 2));
    generation.fail(new Error('late'));
    generation.abort('late');
    expect((await generation.result).text).to.equal('a');
    expect(aborts).to.deep.equal([]);
  });

  it('hands out copies: a reader cannot change the answer', async () => {
    generation.push(piece('a', 1));
    for await (const { tokens } of generation) {
      (tokens as number[]).push(9);
      generation.finish(OUTCOME);
    }
    expect((await generation.result).tokens).to.deep.equal([1]);
  });
});
