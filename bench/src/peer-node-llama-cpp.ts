import {
  getLlama,
  type LlamaContext,
  type LlamaContextSequence,
  type LlamaModel,
  type Token,
} from 'node-llama-cpp';
import { randomTokens, residentBytes, serve } from './driver.js';

let model: LlamaModel | undefined;
let context: LlamaContext | undefined;
const sequences: LlamaContextSequence[] = [];
let filledDepth = -1;

const vocab = 32000;
const tokens = (count: number, seed?: number) => randomTokens(count, vocab, seed) as Token[];

async function sequence(index: number): Promise<LlamaContextSequence> {
  if (!context) throw new Error('load first');
  while (sequences.length <= index) sequences.push(context.getSequence());
  return sequences[index] as LlamaContextSequence;
}

/** One greedy step: feeds a token, waits for the next. */
async function step(s: LlamaContextSequence, token: Token): Promise<Token> {
  for await (const next of s.evaluate([token], { temperature: 0, yieldEogToken: true })) return next;
  throw new Error('the peer generated nothing');
}

serve({
  async load(options) {
    const start = performance.now();
    const llama = await getLlama({
      gpu: false,
      build: 'never',
      maxThreads: options.threads,
      logLevel: 'error' as never,
    });
    model = await llama.loadModel({ modelPath: options.model });
    context = await model.createContext({
      contextSize: options.context,
      sequences: options.sequences,
      batchSize: 512,
      threads: { ideal: options.threads, min: options.threads },
    });
    return performance.now() - start;
  },
  async prefill({ tokens: count }) {
    const s = await sequence(0);
    await s.clearHistory();
    filledDepth = -1;
    const prompt = tokens(count);
    const start = performance.now();
    await s.evaluateWithoutGeneratingNewTokens(prompt);
    return performance.now() - start;
  },
  async decode({ depth, steps }) {
    const s = await sequence(0);
    if (filledDepth !== depth) {
      await s.clearHistory();
      if (depth > 0) await s.evaluateWithoutGeneratingNewTokens(tokens(depth));
      filledDepth = depth;
    }
    const times: number[] = [];
    let last = performance.now();
    let n = 0;
    for await (const _ of s.evaluate(tokens(1, 7), { temperature: 0, yieldEogToken: true })) {
      const now = performance.now();
      times.push(now - last);
      last = now;
      if (++n === steps) break;
    }
    await s.eraseContextTokenRanges([{ start: depth, end: s.nextTokenIndex }]);
    return times;
  },
  async batch({ batch, steps }) {
    const all = await Promise.all(Array.from({ length: batch }, (_, i) => sequence(i)));
    for (const [i, s] of all.entries()) {
      await s.clearHistory();
      await s.evaluateWithoutGeneratingNewTokens(tokens(16, i + 1));
    }
    filledDepth = -1;
    let current = tokens(batch, 99);
    const times: number[] = [];
    for (let n = 0; n < steps; n++) {
      const start = performance.now();
      current = await Promise.all(all.map((s, i) => step(s, current[i] as Token)));
      times.push(performance.now() - start);
    }
    return times;
  },
  rss: async () => residentBytes(),
});
