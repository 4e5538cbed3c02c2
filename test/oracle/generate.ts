import { LLMEngine } from '../../src/engine/llm-engine.js';
import type { LLMEngineOptions } from '../../src/engine/llm-engine-options.js';
import type { Insert } from '../../src/media/index.js';
import type { ModelRunner } from '../../src/runner/model-runner.js';
import { Postprocessor } from '../../src/tokenizer/postprocessor.js';

interface Prompt {
  readonly prompt: Int32Array;
  readonly inserts?: readonly Insert[];
  readonly adapter?: string | undefined;
}

/**
 * Greedy tokens of all prompts with what tells their logits apart to the last bit, and how many tokens were found in the
 * cache. `first`: the prompt that is asked first, from which they go round; another one than in the run before on the same
 * runner lays them into other blocks, which hold nothing of theirs.
 */
export async function greedyAnswers(
  runner: ModelRunner,
  prompts: readonly Prompt[],
  setting: Partial<LLMEngineOptions> & Pick<LLMEngineOptions, 'maxModelLen'>,
  first = 0,
) {
  const begin = first % Math.max(1, prompts.length);
  const asked = [...prompts.slice(begin), ...prompts.slice(0, begin)];
  const engine = new LLMEngine(runner, {
    postprocessor: new Postprocessor(undefined, []),
    maxBatchSize: 8,
    maxPrefillTokens: 512,
    chunkedPrefill: false,
    ...setting,
  });
  try {
    const options = { maxTokens: 8, ignoreEos: true, logprobs: 3 };
    const results = await Promise.all(
      asked.map(
        ({ prompt, inserts = [], adapter }) => engine.generate(prompt, options, { inserts, adapter }).result,
      ),
    );
    const answers = results.map(({ tokens, logprobs }) => ({
      tokens,
      logprobs: logprobs.map(({ logprob, topTokens, topLogprobs }) => [logprob, topTokens, topLogprobs]),
    }));
    const inOrder = [...answers.slice(asked.length - begin), ...answers.slice(0, asked.length - begin)];
    return { answers: inOrder, hits: engine.stats.prefixHitTokens };
  } finally {
    await engine.dispose();
  }
}
