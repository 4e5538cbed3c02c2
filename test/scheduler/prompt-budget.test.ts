import { expect } from 'chai';
import { DECODE, PREFILL, SPLITFUSE } from '../../src/graph/graph-kind.js';
import type { Batch } from '../../src/scheduler/batch.js';
import { PromptBudget } from '../../src/scheduler/prompt-budget.js';
import { Sequence } from '../../src/scheduler/sequence.js';

const batch = (kind: Batch['kind'], ...counts: readonly number[]): Batch => ({
  kind,
  entries: counts.map((count, id) => ({
    sequence: new Sequence({ id, promptTokens: [1], maxTokens: 1 }),
    start: 0,
    count,
    sample: true,
  })),
});

/** A machine on which a step takes so long, and each prompt token so much more. */
function learned(decodeMs: number, tokenMs: number): number {
  const budget = new PromptBudget();
  for (let step = 0; step < 40; step++) {
    budget.observe(batch(DECODE, 1, 1), decodeMs);
    budget.observe(batch(SPLITFUSE, 1, 1, budget.tokens), decodeMs + tokenMs * budget.tokens);
  }
  return budget.tokens;
}

describe('PromptBudget', () => {
  it('begins with 64 tokens', () => {
    expect(new PromptBudget().tokens).to.equal(64);
  });

  it('keeps a step with prompts below 1.5 times one that only decodes, in powers of two', () => {
    expect(learned(100, 1)).to.equal(32);
    expect(learned(100, 0.5)).to.equal(64);
    expect(learned(100, 0.01)).to.equal(4096);
  });

  it('gives at least 16 tokens, however slow the machine is', () => {
    expect(learned(10, 100)).to.equal(16);
  });

  it('learns nothing from steps in which nobody decodes, or before it knows how long one takes that only does', () => {
    const budget = new PromptBudget();
    budget.observe(batch(SPLITFUSE, 1, 32), 1000);
    budget.observe(batch(DECODE, 1), 10);
    budget.observe(batch(PREFILL, 32, 32), 1000);
    expect(budget.tokens).to.equal(64);
  });
});
