import { LLMEngine } from '../../src/engine/llm-engine.js';
import type { LLMEngineOptions } from '../../src/engine/llm-engine-options.js';
import type { Insert } from '../../src/media/index.js';
import type { ModelRunner } from '../../src/runner/model-runner.js';
import { Postprocessor } from '../../src/tokenizer/postprocessor.js';

interface Prompt {
  readonly prompt: Int32Array;
  readonly inserts?: readonly Insert[];
}

/**
 * Greedy tokens of all prompts with what tells their logits apart to the last bit, and how many tokens were found in the
 * cache. The runner is disposed of.
 */
export async function greedyAnswers(
  runner: ModelRunner,
  prompts: readonly Prompt[],
  setting: Partial<LLMEngineOptions> & Pick<LLMEngineOptions, 'maxModelLen'>,
) {
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
      prompts.map(({ prompt, inserts = [] }) => engine.generate(prompt, options, { inserts }).result),
    );
    const answers = results.map(({ tokens, logprobs }) => ({
      tokens,
      logprobs: logprobs.map(({ logprob, topTokens, topLogprobs }) => [logprob, topTokens, topLogprobs]),
    }));
    return { answers, hits: engine.stats.prefixHitTokens };
  } finally {
    await engine.dispose();
    runner.dispose();
  }
}
