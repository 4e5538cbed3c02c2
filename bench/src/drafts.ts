import { join } from 'node:path';
import { LLM } from '../../dist/src/index.js';
import type { SuiteSettings } from './families.js';
import { type Row, Sample } from './results.js';
import { writeWidened } from './widened.js';

const MODELS = join(import.meta.dirname, '../../examples/models');
/** As wide as Llama-3.2-3B: 6 layers of hidden 3072, 1.2 GB in bf16; the draft 4 layers of hidden 1536, 0.2 GB. */
const TIMES = 16;
const TOKENS = 64;
const PROMPTS = [
  'Once upon a time',
  'Mia had a red ball.',
  'One day a dog named Max',
  'The sun was warm and',
];

const CASES = [
  { what: 'batch 1, greedy', batch: 1, temperature: 0 },
  { what: 'batch 1, temperature 0.8', batch: 1, temperature: 0.8 },
  { what: 'batch 4, temperature 0.8', batch: 4, temperature: 0.8 },
  { what: 'batch 8, temperature 0.8', batch: 8, temperature: 0.8 },
] as const;

/**
 * Decoding of the bundled pair, each of its models 16 times as wide, with guesses of the draft model and, in turns, without
 * ("peer"): the same tokens, or this throws.
 */
export async function benchDrafts({ threads, rounds, folder, log, only }: SuiteSettings): Promise<Row[]> {
  log('drafts: the bundled pair, widened');
  const [target, draftModelPath] = ['tiny-stories', 'tiny-stories-draft'].map((name) =>
    writeWidened(join(MODELS, name), TIMES, join(folder, `${name}-wide`)),
  ) as [string, string];
  const loading = { threads, maxNumSeqs: 8, maxModelLen: 512 };
  const rows: Row[] = [];
  await using plain = await LLM.load(target, loading);
  await using drafted = await LLM.load(target, { ...loading, draftModelPath });
  for (const { what, batch, temperature } of CASES) {
    if (!what.includes(only)) continue;
    const rates: [number[], number[]] = [[], []];
    const before = drafted.stats;
    for (let round = 0; round <= rounds; round++) {
      const request = { temperature, seed: 100 * round, maxTokens: TOKENS, ignoreEos: true };
      const [ours, peer] = [await rateOf(drafted, batch, request), await rateOf(plain, batch, request)];
      if (ours.tokens !== peer.tokens) throw new Error(`${what}: guesses changed the tokens`);
      // In the first round memory is planned, and costs are measured.
      if (round === 0) continue;
      rates[0].push(ours.rate);
      rates[1].push(peer.rate);
    }
    const { draftedTokens, acceptedTokens, draftSpeedUp } = drafted.stats;
    const [guessed, right] = [draftedTokens - before.draftedTokens, acceptedTokens - before.acceptedTokens];
    log(
      `${what}: ${right} of ${guessed} guesses right; ${draftSpeedUp.toFixed(2)}x so far, as stats have it`,
    );
    rows.push({
      model: `tiny-stories x${TIMES}`,
      what: `decode with a draft model, ${what}`,
      unit: 'tokens/s',
      sample: new Sample(...rates, 'more'),
    });
  }
  return rows;
}

/** Tokens a second from the first tokens on, and all of them. */
async function rateOf(
  llm: LLM,
  batch: number,
  request: { readonly temperature: number; readonly seed: number; readonly maxTokens: number },
): Promise<{ readonly rate: number; readonly tokens: string }> {
  const start = performance.now();
  const answers = await Promise.all(
    Array.from({ length: batch }, (_, i) =>
      llm.generate(PROMPTS[(request.seed / 100 + i) % PROMPTS.length] as string, {
        ...request,
        seed: request.seed + i,
      }),
    ),
  );
  const firstMs = Math.max(...answers.map(({ ttftMs }) => ttftMs));
  const count = answers.reduce((sum, { tokens }) => sum + tokens.length - 1, 0);
  return {
    rate: count / ((performance.now() - start - firstMs) / 1000),
    tokens: JSON.stringify(answers.map(({ tokens }) => tokens)),
  };
}
