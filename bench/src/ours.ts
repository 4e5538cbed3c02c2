import { readFile } from 'node:fs/promises';
import {
  type Batch,
  BlockManager,
  createEngine,
  DECODE,
  getModel,
  ModelRunner,
  type ModelRunnerOptions,
  PARunner,
  PREFILL,
  Sequence,
  SPLITFUSE,
} from '../../dist/src/index.js';
import { type Insert, placeInserts } from '../../dist/src/media/index.js';
import { type OurCommands, randomTokens, residentBytes, serve } from './driver.js';
import { median } from './results.js';

let runner: ModelRunner | undefined;
let blocks: BlockManager | undefined;
let filled: { depth: number; sequence: Sequence } | undefined;
let vocab = 0;

const PREFILL_TOKENS = 512;
const GREEDY = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  frequencyPenalty: 0,
  presencePenalty: 0,
  logitBias: [],
  seed: 0,
  topLogprobs: -1,
  promptTokens: new Int32Array(0),
};

function loaded(): { runner: ModelRunner; blocks: BlockManager } {
  if (!runner || !blocks) throw new Error('load first');
  return { runner, blocks };
}

let lastId = 0;
function start(promptTokens: ArrayLike<number>, inserts: readonly Insert[] = []): Sequence {
  const { runner } = loaded();
  const sequence = new Sequence({ id: ++lastId, promptTokens, maxTokens: 1 << 20, inserts });
  runner.addSequence(sequence, GREEDY);
  return sequence;
}

function end(sequence: Sequence): void {
  const { runner, blocks } = loaded();
  runner.removeSequence(sequence);
  blocks.release(sequence.blockTable);
}

/** Runs one step of some sequences, `count` tokens each, and appends what they sampled. */
async function step(kind: Batch['kind'], sequences: readonly Sequence[], count: number): Promise<void> {
  const { runner, blocks } = loaded();
  const entries = sequences.map((sequence) => {
    const start = sequence.cachedLen;
    if (!blocks.grow(sequence.blockTable, start + count)) throw new Error('the KV cache is full');
    const sample = start + count === sequence.tokens.length;
    return { sequence, start, count, sample, encodes: sequence.inserts };
  });
  const { tokens } = await runner.run({ kind, entries });
  entries.forEach(({ sequence, sample }, i) => {
    sequence.cachedLen += count;
    if (sample) sequence.tokens.push(tokens[i] as number);
  });
}

async function fill(sequence: Sequence): Promise<void> {
  while (sequence.cachedLen < sequence.promptLen)
    await step(
      sequence.cachedLen === 0 && sequence.promptLen <= PREFILL_TOKENS ? PREFILL : SPLITFUSE,
      [sequence],
      Math.min(PREFILL_TOKENS, sequence.promptLen - sequence.cachedLen),
    );
}

async function timed(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

/** Milliseconds from token to token of a sampled, streamed answer; with `profile` also of a step's operations. */
async function sampledTokens({
  model,
  threads,
  tokens,
  profile,
}: {
  model: string;
  threads: number;
  tokens: number;
  profile: boolean;
}): Promise<{ tokenMs: number; graphMs: number }> {
  const runner = await PARunner.load({
    modelPath: model,
    threads,
    loadTokenizer: false,
    profile,
    maxOutputLength: tokens,
  });
  await runner.warmUp();
  const times: number[] = [];
  const sampling = { temperature: 0.8, topK: 40, topP: 0.95, seed: 1, ignoreEos: true, maxTokens: tokens };
  let last: number | undefined;
  for await (const _ of runner.generate(Int32Array.of(3, 4, 5), sampling)) {
    const now = performance.now();
    if (last !== undefined) times.push(now - last);
    last = now;
  }
  const steps = runner.runner.profiler?.rows().filter(({ phase }) => phase === 'decode') ?? [];
  await runner.dispose();
  return {
    tokenMs: median(times),
    graphMs: steps.reduce((sum, { totalMs }) => sum + totalMs, 0) / times.length,
  };
}

const commands: OurCommands = {
  async load({ model, context, sequences, ...options }) {
    const start = performance.now();
    const blockSize = 128;
    runner = await ModelRunner.load({
      ...(options as Omit<ModelRunnerOptions, 'modelPath' | 'numBlocks'>),
      modelPath: model,
      blockSize,
      numBlocks: Math.ceil(context / blockSize) + 2 * sequences,
    });
    blocks = new BlockManager({ numBlocks: runner.numBlocks, blockSize });
    vocab = runner.config.vocabSize;
    return performance.now() - start;
  },
  async prefill({ tokens }) {
    const sequence = start(randomTokens(tokens, vocab));
    const ms = await timed(() => fill(sequence));
    end(sequence);
    return ms;
  },
  async decode({ depth, steps }) {
    if (filled?.depth !== depth) {
      if (filled) end(filled.sequence);
      filled = { depth, sequence: start(randomTokens(Math.max(1, depth), vocab)) };
      await fill(filled.sequence);
    }
    const { sequence } = filled;
    const times: number[] = [];
    for (let i = 0; i < steps; i++) times.push(await timed(() => step(DECODE, [sequence], 1)));
    sequence.tokens.length = sequence.promptLen + 1;
    sequence.cachedLen = sequence.promptLen;
    return times;
  },
  async batch({ batch, steps }) {
    if (filled) end(filled.sequence);
    filled = undefined;
    const all = Array.from({ length: batch }, (_, i) => start(randomTokens(16, vocab, i + 1)));
    await step(PREFILL, all, 16);
    const times: number[] = [];
    for (let i = 0; i < steps; i++) times.push(await timed(() => step(DECODE, all, 1)));
    for (const sequence of all) end(sequence);
    return times;
  },
  async see({ model, picture, prompt }) {
    const { runner } = loaded();
    const processor = await (await getModel(model)).getMediaProcessor(() => []);
    if (!processor) throw new Error(`${model} has no encoder`);
    const files = [await readFile(picture)];
    const started = performance.now();
    const pieces = await processor.process({ kind: 'image', files }, picture, 0, 1);
    const readMs = performance.now() - started;
    const { tokens, inserts } = placeInserts(prompt, [{ kind: 'image', pieces }], processor);
    const sequence = start(tokens, inserts);
    await step(PREFILL, [sequence], tokens.length);
    const firstTokenMs = performance.now() - started;
    end(sequence);
    const inputs = inserts.map(({ input }) => input);
    const encodeMs = await timed(() => runner.encodeInputs(inputs));
    const patches = inputs.reduce((sum, { rows }) => sum + rows, 0);
    return { readMs, encodeMs, firstTokenMs, patches };
  },
  rss: residentBytes,
  weightBytes: async () => loaded().runner.memory().weightBytes,
  async limits(options) {
    const engine = createEngine(options);
    const limits = await engine.measureLimits();
    engine.dispose();
    return limits;
  },
  async overhead({ model, threads, tokens }) {
    const plain = await sampledTokens({ model, threads, tokens, profile: false });
    const profiled = await sampledTokens({ model, threads, tokens, profile: true });
    return plain.tokenMs - profiled.graphMs;
  },
};
serve(commands);
