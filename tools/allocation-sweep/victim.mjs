// One process of the sweep: fails allocation after allocation of a load and two requests, and says how each ended.
//
//   node victim.mjs CONTROL MODEL FROM TO EVERY one|all
//
// Prints a line of JSON for each allocation: { nth, outcome, failed }. The outcome begins with `same`, `error CODE`, or
// with `FINDING`. With FROM = 0 it only counts, and prints { count }.
import { openSync, readSync, writeSync } from 'node:fs';

const { AtbError, PARunner } = await import(new URL('../../dist/src/index.js', import.meta.url).href);
const [control, modelPath, from, to, every, mode] = process.argv.slice(2);
const LIMIT_MS = 20_000;
/** A fresh engine proves after so many failures that nothing outside of the engines was harmed. */
const FRESH_EVERY = 16;

const file = openSync(control, 'r+');
function steer(fields) {
  const bytes = Buffer.alloc(20);
  fields.forEach((field, i) => {
    bytes.writeInt32LE(field, 4 * i);
  });
  writeSync(file, bytes, 0, bytes.length, 0);
}
const arm = (nth) => steer([1, nth, mode === 'all' ? 1 : 0, 0, 0]);
/** Ends the failures and returns how many allocations were counted and failed. */
function disarm() {
  const bytes = Buffer.alloc(20);
  readSync(file, bytes, 0, bytes.length, 0);
  steer([0, 0, 0, 0, 0]);
  return { count: bytes.readInt32LE(12), failed: bytes.readInt32LE(16) };
}

const load = () =>
  PARunner.load({ modelPath, maxBatchSize: 2, maxInputLength: 64, maxOutputLength: 16, threads: 2 });

/** Two requests that need every part of the sampler. */
async function generate(runner) {
  const greedy = runner.generate('Once upon', { maxTokens: 8, ignoreEos: true, logprobs: 2 });
  const drawn = runner.generate('The cat', {
    ...{ maxTokens: 8, ignoreEos: true, temperature: 1, seed: 5, repetitionPenalty: 1.1, topP: 0.9 },
  });
  const results = await Promise.allSettled([greedy.result, drawn.result]);
  for (const { status, reason } of results) if (status === 'rejected') throw reason;
  return results.map(({ value }) => value.tokens.join()).join('|');
}

async function inTime(what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} hangs`)), LIMIT_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function once() {
  const runner = await inTime('load', load());
  try {
    return await inTime('generate', generate(runner));
  } finally {
    await inTime('dispose', runner.dispose());
  }
}

const describe = (error) =>
  error instanceof AtbError
    ? `error ${error.code} ${error.detail?.nativeCode ?? ''}`
    : `FINDING raw ${error instanceof Error ? error.stack : String(error)}`;

/** How a load and two requests end while allocations fail. An engine that survives must be usable, or say it is not. */
async function attempt(nth, good) {
  arm(nth);
  let runner;
  let outcome;
  try {
    runner = await inTime('load', load());
    const text = await inTime('generate', generate(runner));
    outcome = text === good ? 'same' : `FINDING other tokens ${text}`;
  } catch (error) {
    outcome = describe(error);
  }
  // What has no memory must still be able to end, so that failures go on while an engine is disposed in every other run.
  const early = nth % 2 === 0 ? disarm() : undefined;
  if (runner && early) {
    try {
      if ((await inTime('generate after', generate(runner))) !== good) outcome = 'FINDING other tokens after';
    } catch (error) {
      if (!(error instanceof AtbError)) outcome = `FINDING after: ${describe(error)}`;
    }
  }
  try {
    await inTime('dispose', runner?.dispose());
  } catch (error) {
    if (!(error instanceof AtbError)) outcome = `FINDING dispose: ${describe(error)}`;
  }
  return { outcome, failed: (early ?? disarm()).failed };
}

let nth = 0;
const say = (value) => writeSync(1, `${JSON.stringify(value)}\n`);
process.on('unhandledRejection', (error) => {
  say({ nth, outcome: `FINDING unhandled rejection: ${describe(error)}`, failed: 1 });
});

steer([0, 0, 0, 0, 0]);
const good = await once();
if (Number(from) === 0) {
  arm(0);
  await once();
  say({ count: disarm().count });
} else {
  let done = 0;
  for (nth = Number(from); nth <= Number(to); nth += Number(every)) {
    say({ nth, begins: true });
    const { outcome, failed } = await attempt(nth, good);
    say({ nth, outcome, failed });
    if (outcome.includes('hangs')) process.exit(3);
    if (++done % FRESH_EVERY !== 0) continue;
    const fresh = await once().catch(describe);
    if (fresh !== good) say({ nth, outcome: `FINDING a fresh engine: ${fresh}`, failed });
  }
  const last = await once().catch(describe);
  if (last !== good) say({ nth, outcome: `FINDING a fresh engine: ${last}`, failed: 1 });
}
