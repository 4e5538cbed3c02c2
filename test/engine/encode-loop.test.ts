import { expect } from 'chai';
import { EncodeLoop } from '../../src/engine/encoding/encode-loop.js';
import type { EncodedText } from '../../src/runner/steps.js';

/** The lengths of the texts of each step, when these texts wait together. */
async function stepsOf(
  lengths: readonly number[],
  maxTokens: number,
  padsTexts: boolean,
): Promise<number[][]> {
  const steps: number[][] = [];
  const runner = {
    encode: async (texts: readonly EncodedText[]) => {
      steps.push(texts.map(({ tokenIds }) => tokenIds.length));
      return { dtype: 'f32' as const, data: new Float32Array(texts.length), shape: [texts.length, 1] };
    },
  };
  const loop = new EncodeLoop(runner, 'first', maxTokens, padsTexts);
  const call = loop.begin();
  call.add(lengths.map((length) => ({ tokenIds: new Int32Array(length) })));
  call.close();
  expect(await call.results).to.have.length(lengths.length);
  return steps;
}

describe('steps of an encoder', () => {
  it('have at most so many tokens, or one text that has more', async () => {
    expect(await stepsOf([9, 3, 4, 4, 2, 2], 8, false)).to.deep.equal([[9], [3, 4], [4, 2, 2]]);
  });

  it('count the longest of their texts for each where memory is taken so', async () => {
    expect(await stepsOf([9, 3, 4, 4, 2, 2, 2], 8, true)).to.deep.equal([[9], [3, 4], [4, 2], [2, 2]]);
    expect(await stepsOf([1, 1, 1, 8, 1], 8, true)).to.deep.equal([[1, 1, 1], [8], [1]]);
  });
});
