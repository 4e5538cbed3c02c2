// Exports the fixtures of every family, runs the exported program against the stub libraries of this folder, and compares
// its logits and greedy tokens with the engine's. After `npm run build:js`.
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseFlags, refuse } from '../../scripts/flags.mjs';
import { DECODE, PREFILL, SPLITFUSE } from '../../dist/src/graph/graph-kind.js';
import { BlockManager, BlockTable } from '../../dist/src/kv-cache/block-manager.js';
import { exportModel } from '../../dist/src/npu-export/export-model.js';
import { ModelRunner } from '../../dist/src/runner/model-runner.js';
import { quantizeCheckpoint } from '../../dist/src/runner/quantize-checkpoint.js';
import { getModel } from '../../dist/src/models/get-model.js';
import { familyCases, familyCheckpoint } from '../../dist/test/oracle/families.js';
import { PUBLISHERS, publish, storeOf } from '../../dist/test/oracle/published.js';
import {
  encodeWords,
  insertsOf,
  processedOf,
  visionCases,
  visionCheckpoint,
  visionReferences,
} from '../../dist/test/oracle/vision.js';

const HERE = dirname(fileURLToPath(import.meta.url));
const FIXTURES = join(HERE, '../../test/fixtures/oracle');
const USAGE = `node tools/npu-stub/check.mjs PYTHON [CASES]
  PYTHON   a Python with torch and numpy
  CASES    a part of their names; all when absent`;
const {
  positionals: [python, only = ''],
} = parseFlags(USAGE, {}, true);
if (python === undefined) refuse(USAGE, 'no PYTHON');
const BLOCK_SIZE = 32;
const NEW_TOKENS = 8;
/** Longer than the windows and than a block; 40 tokens in prefill, 30 in split-fuse, then decode. */
const WORDS = { tokens: Int32Array.from({ length: 70 }, (_, i) => (i * 37 + 11) % 97), first: 40, inserts: [] };
const FAMILIES = ['llama', 'llama-tied', 'mistral', 'qwen2', 'qwen3'];
/** One with LayerNorm, biases and half of its heads rotated; one with windows, two rotary tables and gemma's norms. */
const QUANTISED = ['phi-grouped', 'gemma3_text'];
const FLOAT = { libraries: ['_libatb_torch', 'torch_atb'] };
const MINDIE_ONLY = { libraries: ['_libatb_torch'] };

/** Every kind of rotary scaling: the fixtures that override a checkpoint's configuration. */
const ROPES = JSON.parse(readFileSync(join(FIXTURES, 'cases.json'), 'utf8'))
  .cases.filter(({ config, dtype }) => dtype === 'float32' && Object.keys(config).length > 0)
  .map(({ name, model, config }) => ({ name, model, config, dtype: 'f32', tolerance: 2e-4, ...MINDIE_ONLY }));

/** 16-bit logits are up to 16: a few roundings of 2^-4 (bf16) or 2^-7 (f16). */
/** What torch_atb lacks: operations of experts, and of latent attention, and sums. */
const MINDIES_OWN = /"type":"(?:Sigmoid|MoeInitRouting|GroupTopk|Reduce|Fill)"|"mlaVHeadSize"/;
/** Why the export of some models is refused: test/npu-export/export-model.test.ts says of which, and why. */
const BEYOND_ATB = /is an extension (?:op|key)/;

/** Which experts weigh with the two that phimoe chooses is decided by a bound: a rounding there is no rounding of logits. */
const isSteady = (family) => !family.startsWith('phimoe');
/** Rounded, a token of its prompt gets other experts, which are not traced where something is shown. */
const keepsExperts = (seen) => seen !== 'deepseek_vl_v2';

const CASES = [
  ...FAMILIES.map((model) => ({ model, dtype: 'f32', tolerance: 2e-4, ...FLOAT })),
  ...FAMILIES.map((model) => ({ model, dtype: 'bf16', tolerance: 0.25, ...FLOAT })),
  ...ROPES,
  ...familyCases.map((family) => ({ family, dtype: 'f32', tolerance: 2e-4, ...FLOAT })),
  ...familyCases.filter(isSteady).map((family) => ({ family, dtype: 'bf16', tolerance: 0.25, ...MINDIE_ONLY })),
  // kimi_k2 is deepseek_v3 by another name.
  { name: 'kimi_k2', family: 'deepseek_v3', config: { model_type: 'kimi_k2' }, dtype: 'f32', tolerance: 2e-4, ...MINDIE_ONLY },
  ...QUANTISED.flatMap((family) => [
    { family, dtype: 'bf16', quantize: 'w8a16', tolerance: 0.25, ...MINDIE_ONLY },
    // Half a unit in the last place of f16, before activations become integers, moves gemma's logits by 0.32.
    { family, dtype: 'bf16', quantize: 'w8a8_dynamic', tolerance: 0.5, ...MINDIE_ONLY },
    { family, dtype: 'f16', quantize: 'w4a16', quantGroupSize: 32, tolerance: 0.05, ...MINDIE_ONLY },
  ]),
  // Products of inputs that become integers stand outside of its layers, too.
  { family: 'opt-post-norm', dtype: 'bf16', quantize: 'w8a8_dynamic', quantizeHead: 'w8a8_dynamic', tolerance: 0.25, ...MINDIE_ONLY },
  ...visionCases.flatMap((seen) => [
    { seen, dtype: 'f32', tolerance: 2e-4, ...FLOAT },
    ...(keepsExperts(seen) ? [{ seen, dtype: 'bf16', tolerance: 0.25, ...MINDIE_ONLY }] : []),
  ]),
  { model: 'mistral-f16', dtype: 'f16', tolerance: 0.03, ...FLOAT },
  { model: 'qwen2', dtype: 'bf16', quantize: 'w8a16', tolerance: 0.25, ...MINDIE_ONLY },
  { model: 'llama', dtype: 'bf16', quantize: 'w8a8_dynamic', tolerance: 0.25, ...MINDIE_ONLY },
  { model: 'qwen2', dtype: 'f16', quantize: 'w4a16', quantGroupSize: 32, tolerance: 0.05, ...MINDIE_ONLY },
  { model: 'llama', dtype: 'f16', quantize: 'w4a8_dynamic', quantGroupSize: 32, tolerance: 0.05, ...MINDIE_ONLY },
  // ATB wants the scales of inputs in 16 bits: some inputs become other whole numbers, each of which is an eighth here.
  { model: 'llama', dtype: 'bf16', published: 'msmodelslim-8-static', tolerance: 1, ...MINDIE_ONLY },
  { model: 'llama', dtype: 'f16', published: 'msmodelslim-8-static', tolerance: 1, ...MINDIE_ONLY },
];

const loaded = (modelPath, dtype, maxPositionEmbeddings) =>
  ModelRunner.load({
    modelPath,
    dtype,
    threads: 2,
    blockSize: BLOCK_SIZE,
    numBlocks: 8,
    maxPositionEmbeddings,
    passes: 'none',
  });

/** As many positions as the cache has, beyond what scaled rotary embeddings began with; fewer where there are no more. */
async function positionsOf(modelPath) {
  const { learnedPositions, longestContext } = (await getModel(modelPath)).config;
  return Math.min(8 * BLOCK_SIZE, learnedPositions ?? Infinity, longestContext?.tokens ?? Infinity);
}

/** The prompts of a case's references that hold something, cut in its middle. */
async function promptsWithInserts(name, modelPath) {
  const processor = await (await getModel(modelPath)).getMediaProcessor(encodeWords);
  const prompts = [];
  for (const reference of await visionReferences(name)) {
    const inserts = insertsOf(reference, await processedOf(reference, processor), processor);
    const [held] = inserts;
    if (held === undefined) continue;
    const first = held.start + Math.ceil(held.input.count / 2);
    prompts.push({ tokens: reference.prompt, first, inserts });
  }
  return prompts;
}

/** Writes what the engine's encoder makes of what stands in a prompt, as generate.py reads it; returns its arguments. */
async function insertArguments(runner, { inserts }, folder) {
  if (inserts.length === 0) return [];
  const described = [];
  for (const [index, { start, input }] of inserts.entries()) {
    const rows = `rows-${index}.f32`;
    const { data } = await runner.encodeInputs([input]);
    writeFileSync(join(folder, rows), new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    const grid = input.grid && { grid: input.grid };
    const said = { whole: input.isWhole ?? false, sound: input.encoder === 'second' };
    described.push({ start, tokens: input.count, rows, ...grid, ...said });
  }
  const file = join(folder, 'inserts.json');
  writeFileSync(file, JSON.stringify(described));
  return ['--inserts', file];
}

const greedy = (row) => row.reduce((best, logit, id) => (logit > row[best] ? id : best), 0);

/** The engine's greedy tokens after a prompt, and the logits of each step's last token. */
async function engineSteps(runner, prompt) {
  const { length: promptLen } = prompt.tokens;
  const end = promptLen + NEW_TOKENS;
  const sequence = { tokens: [...prompt.tokens], promptLen, blockTable: new BlockTable(), inserts: prompt.inserts };
  new BlockManager({ numBlocks: 8, blockSize: BLOCK_SIZE }).grow(sequence.blockTable, end);
  const rows = [];
  const step = async (kind, start, end) => {
    const encodes = start === 0 ? prompt.inserts : [];
    const entries = [{ sequence, start, count: end - start, sample: false, encodes }];
    const { logits } = await runner.run({ kind, entries }, { logits: true });
    rows.push([...logits.data]);
  };
  await step(PREFILL, 0, prompt.first);
  await step(SPLITFUSE, prompt.first, promptLen);
  for (let at = promptLen; at < end; at++) {
    sequence.tokens.push(greedy(rows.at(-1)));
    if (at < end - 1) await step(DECODE, at, at + 1);
  }
  return { rows, tokens: sequence.tokens.slice(promptLen) };
}

/** Where the graphs choose experts: paths of the choices of each layer that does. */
function choicesOf(output) {
  const { graphs } = JSON.parse(readFileSync(join(output, 'prefill.json'), 'utf8'));
  return graphs.at(-1).nodes.flatMap(({ name, graph }) => {
    const inner = graphs.find((each) => each.name === graph)?.nodes ?? [];
    return inner.filter(({ type }) => type === 'Sort').map(({ out }) => `${name}/${out[1]}`);
  });
}

/** The experts that the engine chose for each token of a text, by layer. */
async function engineChoices(runner, paths, tokens) {
  const { tensors } = await runner.trace(Int32Array.from(tokens), paths);
  return paths.map((path) => {
    const { data, shape } = tensors[path];
    return Array.from({ length: shape[0] }, (_, row) => [...data.subarray(row * shape[1], (row + 1) * shape[1])]);
  });
}

/** Python, which loads PyTorch once for many programs. */
class Programs {
  #process = spawn(python, [join(HERE, 'run_programs.py')], {
    env: { ...process.env, PYTHONPATH: HERE, PYTHONDONTWRITEBYTECODE: '1' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  #lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();

  /** What the program prints; throws when it fails, and then this runs no more. */
  async run(program, args, choices) {
    this.#process.stdin.write(`${JSON.stringify({ program, arguments: args, choices })}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('the exported program failed');
    return value.trim();
  }

  end() {
    this.#process.stdin.end();
  }
}

/** One export by one library beside the engine: how far their logits are apart, and how many tokens both would choose. */
async function compared(programs, runner, prompt, { output, library, dtype }) {
  const { rows, tokens } = await engineSteps(runner, prompt);
  const logitsFile = join(output, `${library}.f32`);
  const args = ['--device', 'cpu', '--library', library, '--logits', logitsFile];
  args.push('--input_ids', prompt.tokens.join(), '--prefill_tokens', `${prompt.first}`);
  args.push('--max_new_tokens', `${NEW_TOKENS}`, ...(await insertArguments(runner, prompt, output)));
  // In 16 bits two tokens, or the scores of two experts, may differ by less than the roundings before them. One that goes
  // the other way changes all that follows: so the program goes the engine's. Choices in texts with inserts are not traced:
  // the weights of these cases leave each token its experts.
  if (dtype !== 'f32') args.push('--next_ids', tokens.join());
  const paths = dtype === 'f32' || prompt.inserts.length > 0 ? [] : choicesOf(output);
  const choices = paths.length > 0 ? await engineChoices(runner, paths, [...prompt.tokens, ...tokens]) : undefined;
  const printed = await programs.run(join(output, 'generate.py'), args, choices);
  const bytes = readFileSync(logitsFile);
  const found = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const flat = rows.flat();
  const worst = flat.reduce(
    (most, value, i) => Math.max(most, Math.abs(value - found[i])),
    printed === tokens.join() && flat.length === found.length ? 0 : Number.POSITIVE_INFINITY,
  );
  // The first row is that of the prompt's first part.
  const { length } = rows[0];
  const same = tokens.filter((token, i) => token === greedy(found.subarray((i + 1) * length, (i + 2) * length))).length;
  return { worst, same };
}

let programs = new Programs();
const failed = [];
const fail = (title, library, error) => {
  failed.push(title);
  console.log('FAIL', title.padEnd(32), library.padEnd(14), error instanceof Error ? error.message : error);
};
for (const { name, model, family, seen, config, dtype, tolerance, libraries, ...stored } of CASES) {
  const { quantize, quantGroupSize, quantizeHead, published } = stored;
  const title = [name ?? model ?? family ?? seen, dtype, quantize, published].filter(Boolean).join(' ');
  if (!title.includes(only)) continue;
  const folder = mkdtempSync(join(tmpdir(), 'atb-stub-'));
  const seeded = family ? familyCheckpoint(family) : seen && visionCheckpoint(seen);
  try {
    let modelPath = seeded?.path ?? join(FIXTURES, model);
    if (config !== undefined) {
      cpSync(modelPath, join(folder, 'model'), { recursive: true });
      modelPath = join(folder, 'model');
      const file = join(modelPath, 'config.json');
      const merged = { ...JSON.parse(readFileSync(file, 'utf8')), ...config };
      const kept = Object.entries(merged).filter(([, value]) => value !== null);
      writeFileSync(file, JSON.stringify(Object.fromEntries(kept)));
    }
    if (published !== undefined) {
      const output = { published: join(folder, 'published'), dequantized: join(folder, 'floats') };
      await publish(modelPath, storeOf(PUBLISHERS[published]), output);
      modelPath = output.published;
    }
    if (quantize !== undefined) {
      const output = join(folder, 'quantised');
      await quantizeCheckpoint({ input: modelPath, output, quantize, quantGroupSize, quantizeHead });
      modelPath = output;
    }
    const output = join(folder, 'export');
    const maxPositionEmbeddings = await positionsOf(modelPath);
    await exportModel({ modelPath, output, dtype, blockSize: BLOCK_SIZE, maxPositionEmbeddings });
    const runner = await loaded(modelPath, dtype, maxPositionEmbeddings);
    const prompts = seen ? await promptsWithInserts(seen, modelPath) : [WORDS];
    const isForAll = !MINDIES_OWN.test(readFileSync(join(output, 'prefill.json'), 'utf8'));
    const runs = libraries
      .filter((library) => isForAll || library === '_libatb_torch')
      .flatMap((library) => prompts.map((prompt) => ({ library, prompt })));
    for (const { library, prompt } of runs) {
      try {
        const { worst, same } = await compared(programs, runner, prompt, { output, library, dtype });
        const line = `${worst.toExponential(1)} of at most ${tolerance}, ${same} of ${NEW_TOKENS} tokens`;
        if (worst > tolerance || (dtype === 'f32' && same < NEW_TOKENS)) fail(title, library, line);
        else console.log('ok  ', title.padEnd(32), library.padEnd(14), line);
      } catch (error) {
        fail(title, library, error);
        programs.end();
        programs = new Programs();
      }
    }
    runner.dispose();
  } catch (error) {
    const isRefused = error.code === 'MODEL_EXPORT_UNSUPPORTED' || BEYOND_ATB.test(error.message);
    if (isRefused) console.log('none', title.padEnd(32), error.code);
    else fail(title, '', error);
  } finally {
    rmSync(folder, { recursive: true });
    seeded?.remove();
  }
}
programs.end();
console.log(failed.length === 0 ? 'all agree' : `${failed.length} failed: ${failed.join(', ')}`);
process.exitCode = failed.length > 0 ? 1 : 0;
