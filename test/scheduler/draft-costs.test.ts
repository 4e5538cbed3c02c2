import { expect } from 'chai';
import { SPLITFUSE } from '../../src/graph/graph-kind.js';
import type { Batch, BatchEntry } from '../../src/scheduler/batch.js';
import { DraftCosts } from '../../src/scheduler/draft-costs.js';
import { Sequence } from '../../src/scheduler/sequence.js';

const sequence = new Sequence({ id: 0, promptTokens: [1], maxTokens: 9 });

/** A machine whose steps take so long, and a draft model. */
interface Machine {
  readonly plainMs: number;
  readonly rowMs: number;
  readonly guessMs: number;
}

/** Runs steps of so many sequences, as far as the costs say; returns the lengths of guesses. */
function run(
  costs: DraftCosts,
  { plainMs, rowMs, guessMs }: Machine,
  {
    steps,
    hitRate,
    sequences = 1,
    most = 6,
  }: { steps: number; hitRate: number; sequences?: number; most?: number },
): number[] {
  return Array.from({ length: steps }, () => {
    const length = costs.draftLength(hitRate, sequences, most);
    const drafts = new Array<number>(length).fill(5);
    const entry: BatchEntry = {
      ...{ sequence, start: 0, count: 1 + length, sample: true },
      ...(length > 0 && { drafts }),
    };
    const batch: Batch = { kind: SPLITFUSE, entries: new Array<BatchEntry>(sequences).fill(entry) };
    const rows = sequences * (1 + length);
    const tokens = Array.from({ length: length + 1 }, (_, i) => hitRate ** i).reduce((a, b) => a + b, 0);
    const guesses = { ms: length * guessMs, passes: length, isSteady: true };
    costs.observe(
      batch,
      true,
      plainMs + rowMs * (rows - 1),
      tokens * sequences,
      length > 0 ? guesses : undefined,
    );
    return length;
  });
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

describe('how far to guess ahead', () => {
  const bound: Machine = { plainMs: 40, rowMs: 0.5, guessMs: 4 };

  it('is measured first without guesses, then with', () => {
    const costs = new DraftCosts();
    expect(run(costs, bound, { steps: 4, hitRate: 0.8 })).to.deep.equal([0, 0, 0, 6]);
    expect(costs.speedUp).to.be.above(1);
  });

  it('is as far as it brings the most tokens per millisecond', () => {
    for (const [hitRate, expected] of [
      [0.95, 6],
      [0.8, 5],
      [0.5, 2],
    ] as const) {
      const costs = new DraftCosts();
      run(costs, bound, { steps: 60, hitRate });
      const rateOf = (length: number): number =>
        Array.from({ length: length + 1 }, (_, i) => hitRate ** i).reduce((a, b) => a + b) /
        (bound.plainMs + length * (bound.rowMs + bound.guessMs));
      const best = [0, 1, 2, 3, 4, 5, 6].reduce((a, b) => (rateOf(b) > rateOf(a) ? b : a));
      expect(best).to.equal(expected);
      // One step of 64 tries without.
      expect(
        run(costs, bound, { steps: 64, hitRate }).filter((length) => length !== best),
      ).to.have.length.within(0, 1);
      expect(costs.speedUp).to.be.closeTo(rateOf(best) / rateOf(0), 0.15);
    }
  });

  it('is not at all where guesses are mostly wrong, or cost too much', () => {
    const wrong = new DraftCosts();
    run(wrong, bound, { steps: 40, hitRate: 0.05 });
    expect(mean(run(wrong, bound, { steps: 640, hitRate: 0.05 }))).to.be.below(6 / 64);
    expect(wrong.speedUp).to.be.within(0.95, 1.01);
    const dear = new DraftCosts();
    const slow = { ...bound, guessMs: 30 };
    run(dear, slow, { steps: 40, hitRate: 0.7 });
    expect(mean(run(dear, slow, { steps: 640, hitRate: 0.7 }))).to.be.below(6 / 64);
  });

  it('is not at all in a batch where every row costs', () => {
    const costs = new DraftCosts();
    const computing = { plainMs: 20, rowMs: 10, guessMs: 1 };
    const lengths = run(costs, computing, { steps: 200, hitRate: 0.6, sequences: 4, most: 3 });
    expect(mean(lengths.slice(40))).to.be.below(0.1);
    // Alone, it pays as before.
    expect(mean(run(costs, bound, { steps: 100, hitRate: 0.9 }))).to.be.above(3);
  });

  it('comes back when guesses become right, and is not misled by a step that was held up', () => {
    const costs = new DraftCosts();
    run(costs, bound, { steps: 200, hitRate: 0.05 });
    expect(mean(run(costs, bound, { steps: 100, hitRate: 0.9 }))).to.be.above(4);
    run(costs, { ...bound, plainMs: 4000 }, { steps: 1, hitRate: 0.9 });
    expect(mean(run(costs, bound, { steps: 50, hitRate: 0.9 }))).to.be.above(4);
  });
});
