import { expect } from 'chai';
import { DECODE, PREFILL, SPLITFUSE } from '../../src/graph/graph-kind.js';
import type { Batch } from '../../src/scheduler/batch.js';
import { PromptBudget } from '../../src/scheduler/prompt-budget.js';
import { Sequence } from '../../src/scheduler/sequence.js';

const STREAMS = 4;

const batch = (
  kind: Batch['kind'],
  ...entries: readonly (readonly [start: number, count: number])[]
): Batch => ({
  kind,
  entries: entries.map(([start, count], id) => ({
    sequence: new Sequence({ id, promptTokens: [1], maxTokens: 1 }),
    ...{ start, count, sample: true },
  })),
});
const streams = Array.from({ length: STREAMS }, () => [100, 1] as const);

/** A machine: how long a step takes that only decodes, and one with so many tokens of a prompt behind so many others. */
interface Machine {
  readonly decodeMs: number;
  /** Each begun band of 32 rows, of which decoding takes a part of the first; and each pair of tokens. */
  readonly bandMs: number;
  readonly pairMs: number;
}
/** 0.5 B parameters in bf16 and in 8 bits, as two cores with AMX were seen to take; and one that is slow at everything. */
const MACHINES: Readonly<Record<string, Machine>> = {
  bf16: { decodeMs: 33, bandMs: 8.5, pairMs: 1.2e-4 },
  'of 8 bits': { decodeMs: 19, bandMs: 5.6, pairMs: 1.25e-4 },
  'of long steps': { decodeMs: 200, bandMs: 30, pairMs: 2e-4 },
};

/** Pseudo-random numbers from 0 to 1. */
function* randoms(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state / 2 ** 32;
  }
}

/** Steps of the streams while prompts of 4096 tokens are computed, one after another: how long each took, of one alone. */
function prefill(machine: Machine, prompts: number, noise: number): { steps: number[]; chunks: number[] } {
  const { decodeMs, bandMs, pairMs } = machine;
  const budget = new PromptBudget();
  const random = randoms(7);
  const takes = (ms: number): number => ms * (1 + noise * (random.next().value - 0.5));
  const [steps, chunks]: [number[], number[]] = [[], []];
  for (let i = 0; i < prompts; i++) {
    for (let step = 0; step < 20; step++) budget.observe(batch(DECODE, ...streams), takes(decodeMs));
    for (let depth = 0; depth < 4096; ) {
      const count = Math.min(budget.room(STREAMS, depth, 0), 4096 - depth);
      const rows = STREAMS + count;
      const bands = (rows <= 32 ? rows / 32 : Math.ceil(rows / 32)) - STREAMS / 32;
      const ms = takes(decodeMs + bands * bandMs + count * (depth + count / 2) * pairMs);
      budget.observe(batch(SPLITFUSE, ...streams, [depth, count]), ms);
      steps.push(ms / decodeMs);
      chunks.push(count);
      depth += count;
    }
  }
  return { steps, chunks };
}

describe('PromptBudget', () => {
  it('begins with what fills the rows that are computed at once', () => {
    for (const [rows, tokens] of [
      [4, 28],
      [30, 34],
      [32, 32],
    ] as const) {
      const budget = new PromptBudget();
      budget.observe(batch(DECODE, ...streams), 10);
      expect(budget.room(rows, 0, 0)).to.equal(tokens);
    }
  });

  it('lets one step only decode before it knows how long that takes, and no more than one', () => {
    const budget = new PromptBudget();
    expect([0, 1, 2].map(() => budget.room(4, 0, 0))).to.deep.equal([0, 28, 28]);
  });

  it('gives prompts as many times as much as there are more of them than sequences that decode', () => {
    const budget = new PromptBudget();
    budget.observe(batch(DECODE, ...streams), 100);
    // A band takes 10 ms: five of them make it 1.5 times as long.
    for (let i = 0; i < 9; i++) budget.observe(batch(SPLITFUSE, ...streams, [0, 28]), 100 + 8.75);
    expect(budget.room(STREAMS, 0, 0.25)).to.equal(5 * 32 - STREAMS);
    expect(budget.room(STREAMS, 0, 1)).to.equal(5 * 32 - STREAMS);
    expect(budget.room(STREAMS, 0, 4)).to.be.within(16 * 32, 20 * 32);
  });

  for (const [name, machine] of Object.entries(MACHINES))
    it(`keeps steps beside a prompt below twice as long as alone, and near 1.5 times, on a machine ${name}`, () => {
      for (const noise of [0, 0.2]) {
        const { steps } = prefill(machine, 3, noise);
        // The first prompt teaches it what a band and a pair take.
        const known = steps.slice(steps.length / 3).sort((a, b) => a - b);
        expect(known.at(Math.floor(0.99 * known.length))).to.be.below(noise === 0 ? 1.6 : 1.8);
        const mean = known.reduce((sum, one) => sum + one, 0) / known.length;
        expect(mean).to.be.within(1.3, 1.55);
      }
    });

  it('fills whole bands where it can, and takes less the longer the prompt has become', () => {
    const { chunks } = prefill(MACHINES.bf16 as Machine, 2, 0);
    const first = chunks.lastIndexOf(60);
    expect(first).to.be.above(0);
    expect(chunks.filter((count) => count > 28).every((count) => (count + STREAMS) % 32 === 0)).to.equal(
      true,
    );
    expect(chunks.at(-2)).to.be.within(12, 24);
  });

  it('gives at least 8 tokens, however slow the machine is', () => {
    const { chunks } = prefill({ decodeMs: 10, bandMs: 1000, pairMs: 1 }, 2, 0);
    expect(chunks.at(-2)).to.equal(8);
  });

  it('forgives a step in which something else took the time', () => {
    const budget = new PromptBudget();
    const step = (ms: number): void => budget.observe(batch(SPLITFUSE, ...streams, [0, 60]), ms);
    for (let i = 0; i < 9; i++) budget.observe(batch(DECODE, ...streams), i === 4 ? 5000 : 33);
    for (let i = 0; i < 20; i++) step(48);
    const before = budget.room(STREAMS, 0, 0);
    step(5000);
    expect(budget.room(STREAMS, 0, 0)).to.be.at.least(28);
    for (let i = 0; i < 4; i++) step(48);
    expect(budget.room(STREAMS, 0, 0)).to.equal(before);
  });

  it('learns nothing from steps in which nobody decodes, or before it knows how long one takes that only does', () => {
    const budget = new PromptBudget();
    budget.observe(batch(SPLITFUSE, [0, 1], [0, 32]), 1000);
    budget.observe(batch(DECODE, [0, 1]), 10);
    budget.observe(batch(PREFILL, [0, 32], [0, 32]), 1000);
    expect(budget.room(4, 0, 0)).to.equal(28);
  });
});
