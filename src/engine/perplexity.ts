import { AtbError, refuseRequest } from '../errors.js';
import { PREFILL, SPLITFUSE } from '../graph/graph-kind.js';
import { BlockManager } from '../kv-cache/block-manager.js';
import { OBJECT, requireArgument } from '../require-argument.js';
import type { ModelRunner } from '../runner/model-runner.js';
import { checkTokenIds } from '../sampling/token-ids.js';
import { Sequence } from '../scheduler/sequence.js';
import { logSumExp } from './prompt-logprobs.js';
import { requireRunner } from './require-runner.js';

export interface PerplexityOptions {
  /** Tokens of a window, a leading `bosTokenId` included; at least 2. */
  readonly contextLen: number;
  /** Put before each window, as the model's texts begin; none when absent. */
  readonly bosTokenId?: number | undefined;
  /** Logits that one step may return; 2^24, which are 64 MB, when absent. */
  readonly maxLogits?: number;
  /** Called with windows that are scored, and how many there are. */
  readonly onWindow?: ((done: number, total: number) => void) | undefined;
}

export interface Perplexity {
  /** e^meanNll: of how many equally likely tokens the model had to choose, on average. */
  readonly perplexity: number;
  /** Mean negative log-likelihood of the scored tokens, in nats. */
  readonly meanNll: number;
  readonly scoredTokens: number;
  readonly windows: number;
}

/**
 * Perplexity by windows that do not overlap: the text is cut into windows of `contextLen` tokens, the last one shorter;
 * each is computed on its own, and every token but its window's first is scored given those before it in the window.
 * Log-softmax in double precision, over logits as the engine returns them.
 * Throws REQUEST_INVALID for too few tokens, for what are none, or for a window that the runner's cache cannot hold;
 * REQUEST_NOT_FINITE.
 */
export async function perplexity(
  runner: ModelRunner,
  tokens: ArrayLike<number>,
  options: PerplexityOptions,
): Promise<Perplexity> {
  requireRunner('perplexity', runner);
  requireArgument('perplexity', 'the options', OBJECT, options);
  const { contextLen, bosTokenId, maxLogits = 2 ** 24, onWindow } = options;
  const { blockSize, numBlocks, config } = runner;
  const limit = Math.min(numBlocks * blockSize, config.maxPositionEmbeddings);
  if (!Number.isSafeInteger(contextLen) || contextLen < 2 || contextLen > limit)
    refuseRequest('context', `an integer from 2 to ${limit}`, contextLen);
  checkTokenIds('text', tokens, config.vocabSize);
  const blocks = new BlockManager({ numBlocks, blockSize });
  const chunk = Math.max(1, Math.floor(maxLogits / config.vocabSize));
  let [nll, scoredTokens, windows] = [0, 0, 0];
  const all = windowsOf(tokens, contextLen, bosTokenId);
  for (const window of all) {
    const sequence = new Sequence({ id: windows, promptTokens: window, maxTokens: 1 });
    blocks.grow(sequence.blockTable, window.length);
    // The last token has none after it to predict.
    for (let start = 0; start < window.length - 1; start += chunk) {
      const count = Math.min(chunk, window.length - 1 - start);
      const entries = [{ sequence, start, count, sample: false, scores: true }];
      const result = await runner.run({ kind: start === 0 ? PREFILL : SPLITFUSE, entries }, { logits: true });
      const [rows, width] = [result.logits?.data ?? new Float32Array(), result.logits?.shape[1] ?? 0];
      for (let row = 0; row < count; row++) {
        const next = window[start + row + 1] as number;
        const logits = rows.subarray(row * width, (row + 1) * width);
        nll -= (logits[next] ?? Number.NaN) - logSumExp(logits);
        scoredTokens++;
      }
    }
    blocks.release(sequence.blockTable);
    if (!Number.isFinite(nll)) throw new AtbError('REQUEST_NOT_FINITE', { step: scoredTokens });
    windows++;
    onWindow?.(windows, all.length);
  }
  if (scoredTokens === 0) refuseRequest('text', 'at least two tokens', tokens.length);
  const meanNll = nll / scoredTokens;
  return { perplexity: Math.exp(meanNll), meanNll, scoredTokens, windows };
}

/** Windows of at least two tokens. */
function windowsOf(
  tokens: ArrayLike<number>,
  contextLen: number,
  bosTokenId: number | undefined,
): number[][] {
  const lead = bosTokenId === undefined ? [] : [bosTokenId];
  const all = Array.from(tokens);
  const step = contextLen - lead.length;
  const windows = Array.from({ length: Math.ceil(all.length / step) }, (_, i) => [
    ...lead,
    ...all.slice(i * step, (i + 1) * step),
  ]);
  return windows.filter((window) => window.length >= 2);
}
