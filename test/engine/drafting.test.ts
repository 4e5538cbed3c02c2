import { join } from 'node:path';
import { expect } from 'chai';
import { LLM } from '../../src/engine/llm.js';

const TINY_STORIES = join(import.meta.dirname, '../../../examples/models/tiny-stories');
const STORY = 'Mia had a red ball. Mia had a red hat. Mia had a';

describe('an engine that guesses ahead', function () {
  this.timeout(120_000);
  const load = (draftTokens: number) =>
    LLM.load(TINY_STORIES, { threads: 2, blockSize: 32, maxNumSeqs: 4, draftTokens });

  it('gives the very same tokens, greedy, drawn and guided, with log-probs and stops, in fewer steps', async () => {
    const requests = [
      { temperature: 0, maxTokens: 60 },
      { temperature: 0.8, seed: 3, maxTokens: 60 },
      { temperature: 1, seed: 4, maxTokens: 60, repetitionPenalty: 1.2, logprobs: 2 },
      { temperature: 0.7, seed: 5, maxTokens: 80, stop: ['.'], minTokens: 20 },
      { temperature: 1, seed: 6, maxTokens: 60, guide: { regex: '(?: the cat)+ sat' } },
    ];
    const answersOf = async (draftTokens: number) => {
      const llm = await load(draftTokens);
      try {
        const together = await Promise.all(requests.map((request) => llm.generate(STORY, request)));
        const alone = [];
        for (const request of requests) alone.push(await llm.generate(STORY, request));
        return { answers: [...together, ...alone], stats: llm.stats };
      } finally {
        await llm.dispose();
      }
    };
    const plain = await answersOf(0);
    const drafted = await answersOf(5);
    const facts = ({ answers }: typeof plain) =>
      answers.map(({ text, tokens, finishReason, logprobs }) => ({ text, tokens, finishReason, logprobs }));
    expect(facts(drafted)).to.deep.equal(facts(plain));
    expect(plain.stats.draftedTokens).to.equal(0);
    expect(drafted.stats.acceptedTokens).to.be.above(10);
    expect(drafted.stats.acceptedTokens).to.be.below(drafted.stats.draftedTokens + 1);
  });
});
