import { expect } from 'chai';
import { SPLITFUSE } from '../../src/graph/graph-kind.js';
import { ngramHashes } from '../../src/layers/streams/ngram-hashes.js';
import { ngramRows, type Step } from '../../src/step-inputs/index.js';

const RUN = { dtype: 'f32', blockSize: 128, numBlocks: 1, maxPositionEmbeddings: 512 } as const;
/** Rows of pairs and of threes, in two parts each; 9 separates texts. */
const HASHES = {
  multipliers: [1n, 16n, 256n],
  sizes: [[1000, 7], [5000]],
  separator: 9,
};
/** Of the first and the second table. */
const MULTIPLIERS = [
  [23_703_573_157_769n, 20_109_073_645_365n, 8_052_911_324_071n],
  [3_352_040_966_061n, 19_752_442_147_475n, 10_742_103_100_073n],
];
const input = ngramRows('rows', HASHES);

/** Steps of the tokens from `begins` on, of one sequence each. */
function stepOf(sequences: readonly (readonly number[])[], begins: readonly number[]): Step {
  const parts = sequences.map((tokens, row) => tokens.slice(begins[row]));
  const lens = Int32Array.from(sequences, ({ length }) => length);
  return {
    kind: SPLITFUSE,
    tokenIds: Int32Array.from(parts.flat()),
    positions: Int32Array.from(parts.flatMap((part, row) => part.map((_, at) => at + (begins[row] ?? 0)))),
    queryLens: Int32Array.from(parts, ({ length }) => length),
    ...{ seqLens: lens, promptLens: lens, sequences, blockTables: [], headRows: new Int32Array() },
  };
}

const rowsOf = (step: Step): number[] => {
  const rows = input.make?.(step, RUN).rows;
  expect(rows?.shape).to.deep.equal([step.tokenIds.length, 3]);
  return [...((rows?.data ?? []) as BigInt64Array)].map(Number);
};

describe('rows of n-grams', () => {
  const mixed = (...tokens: number[]) => tokens.reduce((sum, token, at) => sum ^ (token * 16 ** at), 0);
  const expected = (token: number, before: number, first: number) => [
    mixed(token, before) % 1000,
    1000 + (mixed(token, before) % 7),
    1007 + (mixed(token, before, first) % 5000),
  ];

  it('are of each token and those before it, where no text begins between them', () => {
    const tokens = [3, 4, 9, 5, 6, 7];
    const all = [
      ...[expected(3, 9, 9), expected(4, 3, 9), expected(9, 4, 3)],
      ...[expected(5, 9, 9), expected(6, 5, 9), expected(7, 6, 5)],
    ];
    expect(rowsOf(stepOf([tokens], [0]))).to.deep.equal(all.flat());
    // The same whatever was computed before, and beside another sequence.
    for (const begin of [1, 2, 4, 5])
      expect(rowsOf(stepOf([[8, 8], tokens], [1, begin])), `${begin}`).to.deep.equal(
        [expected(8, 8, 9), ...all.slice(begin)].flat(),
      );
  });

  it('are refused for tokens whose sequence is unknown', () => {
    const { sequences: _, ...step } = stepOf([[1, 2, 3]], [2]);
    expect(() => input.make?.(step, RUN)).to.throw(/sequences must be the tokens before those of the step/);
  });

  it('come from the hashes of transformers', () => {
    // transformers 5.24, Qwen4ExpTextNGramEmbedding of Qwen3.8-Flash-Next: its buffers.
    const published = { vocabSize: 248_320, ngramSize: 3, headsPerNgram: 8, ngramVocab: 20_000_000 };
    const config = { ...published, ngramVocabMultiple: 128, ngramSeed: 1234, ngramSeparator: 248_044 };
    const { sizes, multipliers } = ngramHashes(config, 0);
    expect(sizes.flat().slice(0, 4)).to.deep.equal([20_000_003, 20_000_023, 20_000_033, 20_000_047]);
    expect(sizes.flat().at(-1)).to.equal(20_000_171);
    expect(multipliers).to.deep.equal(MULTIPLIERS[0]);
    expect(ngramHashes(config, 1).multipliers).to.deep.equal(MULTIPLIERS[1]);
  });
});
