import {
  getLlama,
  type LlamaContext,
  type LlamaContextSequence,
  type LlamaModel,
  type Token,
} from 'node-llama-cpp';
import { type PeerCommands, randomTokens, residentBytes, serve, type Work } from './driver.js';

let model: LlamaModel | undefined;
/** For one long sequence; a context of many short ones is made when a batch is first asked for. */
let context: LlamaContext | undefined;
let single: LlamaContextSequence | undefined;
const batched: LlamaContextSequence[] = [];
let options: { threads: number; sequences: number } = { threads: 0, sequences: 0 };
let filledDepth = -1;

let vocab = 0;
const tokens = (count: number, seed?: number) => randomTokens(count, vocab, seed) as Token[];

/** Tokens of each sequence of a batch. */
const BATCH_CONTEXT = 256;

async function newContext(contextSize: number, sequences: number): Promise<LlamaContext> {
  if (!model) throw new Error('load first');
  const { threads } = options;
  return model.createContext({
    contextSize,
    sequences,
    batchSize: 512,
    threads: { ideal: threads, min: threads },
  });
}

function sequence(): LlamaContextSequence {
  if (!context) throw new Error('load first');
  single ??= context.getSequence();
  return single;
}

async function batchSequences(count: number): Promise<LlamaContextSequence[]> {
  if (batched.length === 0) {
    const many = await newContext(BATCH_CONTEXT, options.sequences);
    for (let i = 0; i < options.sequences; i++) batched.push(many.getSequence());
  }
  return batched.slice(0, count);
}

/** Of a load: it keeps what it finds of a prompt in its sequence, as its own chat sessions do. */
async function answer(s: LlamaContextSequence, { prompt, newTokens }: Work): Promise<void> {
  await s.adaptStateToTokens(prompt as Token[]);
  const rest = prompt.slice(Math.min(s.nextTokenIndex, prompt.length - 1)) as Token[];
  if (s.nextTokenIndex >= prompt.length)
    await s.eraseContextTokenRanges([{ start: prompt.length - 1, end: s.nextTokenIndex }]);
  let n = 0;
  for await (const _ of s.evaluate(rest, { temperature: 0, yieldEogToken: true }))
    if (++n === newTokens) break;
}

/** One greedy step: feeds a token, waits for the next. */
async function step(s: LlamaContextSequence, token: Token): Promise<Token> {
  for await (const next of s.evaluate([token], { temperature: 0, yieldEogToken: true })) return next;
  throw new Error('the peer generated nothing');
}

const commands: PeerCommands = {
  async load({ model: modelPath, threads, context: contextSize, sequences }) {
    options = { threads, sequences };
    const start = performance.now();
    const llama = await getLlama({
      gpu: false,
      build: 'never',
      maxThreads: threads,
      logLevel: 'error' as never,
    });
    model = await llama.loadModel({ modelPath });
    vocab = model.fileInfo.architectureMetadata.vocab_size ?? 0;
    context = await newContext(contextSize, 1);
    return performance.now() - start;
  },
  async prefill({ tokens: count }) {
    const s = sequence();
    await s.clearHistory();
    filledDepth = -1;
    const prompt = tokens(count);
    const start = performance.now();
    await s.evaluateWithoutGeneratingNewTokens(prompt);
    return performance.now() - start;
  },
  async decode({ depth, steps }) {
    const s = sequence();
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
    const all = await batchSequences(batch);
    for (const [i, s] of all.entries()) {
      await s.clearHistory();
      await s.evaluateWithoutGeneratingNewTokens(tokens(16, i + 1));
    }
    let current = tokens(batch, 99);
    const times: number[] = [];
    for (let n = 0; n < steps; n++) {
      const start = performance.now();
      current = await Promise.all(all.map((s, i) => step(s, current[i] as Token)));
      times.push(performance.now() - start);
    }
    return times;
  },
  async requests({ works, sequences, context: contextSize }) {
    const many = await newContext(contextSize, sequences);
    const waiting = [...works];
    const start = performance.now();
    await Promise.all(
      Array.from({ length: sequences }, async () => {
        const own = many.getSequence();
        for (let work = waiting.shift(); work; work = waiting.shift()) await answer(own, work);
      }),
    );
    const ms = performance.now() - start;
    await many.dispose();
    return ms;
  },
  rss: residentBytes,
};
serve(commands);
