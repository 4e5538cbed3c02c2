import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { ModelRunner, type ModelRunnerOptions } from '../../src/runner/model-runner.js';
import { caseDirectory, type OracleCase, oracleCases } from '../oracle/fixtures.js';
import { SAMPLED_ISAS } from '../oracle/isas.js';
import { promptLogits } from '../oracle/logits.js';
import { PUBLISHERS, type Publisher, publish, storeOf } from '../oracle/published.js';
import { SMALL_FLOATS } from '../oracle/small-floats.js';
import { temporaryFolder } from '../weights/safetensors-writer.js';

const ROOT = join(import.meta.dirname, '../../..');
const TINY_STORIES = join(ROOT, 'examples/models/tiny-stories');
const PROGRAM = join(ROOT, 'scripts/atb-models.mjs');
const PROMPT = Int32Array.of(5, 77, 12, 40, 3, 99, 8);

describe('packed weights that a folder keeps', function () {
  this.timeout(60_000);
  const path = temporaryFolder();
  let count = 0;
  const newFolder = (): string => path(`cache-${count++}`);

  /** Loads a model, asks it, waits for what is written. */
  async function run(options: Partial<ModelRunnerOptions>) {
    const warnings: string[] = [];
    const runner = await ModelRunner.load({
      modelPath: TINY_STORIES,
      threads: 2,
      blockSize: 32,
      numBlocks: 4,
      onWarning: (text) => warnings.push(text),
      ...options,
    });
    try {
      const logits = await promptLogits(runner, PROMPT);
      await runner.weightsKept;
      return { logits, warnings, memory: runner.memory().weightBytes };
    } finally {
      runner.dispose();
    }
  }

  const entriesOf = (weightsCache: string): string[] =>
    existsSync(weightsCache) ? readdirSync(weightsCache).filter((name) => name.endsWith('.packed')) : [];
  const onlyEntry = (weightsCache: string): string => {
    const entries = entriesOf(weightsCache);
    expect(entries).to.have.length(1);
    return join(weightsCache, entries[0] as string);
  };

  /** The second start reads what the first one wrote: of its checkpoint only the header is left. */
  async function checkHit(options: Partial<ModelRunnerOptions> & { readonly modelPath: string }) {
    const weightsCache = newFolder();
    const plain = await run(options);
    const first = await run({ ...options, weightsCache });
    const written = statSync(onlyEntry(weightsCache));
    const second = await run({ ...options, weightsCache });
    for (const { logits, memory } of [first, second]) {
      expect(logits).to.deep.equal(plain.logits);
      expect(memory).to.equal(plain.memory);
    }
    expect([...first.warnings, ...second.warnings]).to.deep.equal([...plain.warnings, ...plain.warnings]);
    expect(statSync(onlyEntry(weightsCache)).mtimeMs).to.equal(written.mtimeMs);
  }

  for (const isa of SAMPLED_ISAS)
    for (const quantize of [undefined, 'w8a16', 'w8a8_dynamic', 'w4a8_dynamic'] as const)
      it(`give bit for bit the logits of what was packed anew: ${quantize ?? 'bf16'}, ${isa} kernels`, () =>
        checkHit({ modelPath: TINY_STORIES, isa, ...(quantize && { quantize }) }));

  const published = [
    ...['gptq-4-act-order', 'ct-pack-8-asym'].map(
      (name) => [name, storeOf(PUBLISHERS[name] as Publisher)] as const,
    ),
    ...Object.entries(SMALL_FLOATS),
  ];
  for (const [name, publisher] of published)
    it(`also of a published checkpoint: ${name}`, async () => {
      const source = caseDirectory(oracleCases.find((each) => each.name === 'llama-f32') as OracleCase);
      const folder = path(`published-${name}`);
      mkdirSync(folder);
      const output = { published: join(folder, 'q'), dequantized: join(folder, 'f') };
      await publish(source.path, publisher, output);
      await checkHit({ modelPath: output.published });
    });

  it('are read, and not the weights of the checkpoint', async () => {
    const weightsCache = newFolder();
    const { logits } = await run({ weightsCache, quantize: 'w4a16' });
    const loaded: number[] = [];
    const onProgress = (now: number, total: number) => loaded.push(now, total);
    expect((await run({ weightsCache, quantize: 'w4a16', onProgress })).logits).to.deep.equal(logits);
    const entry = statSync(onlyEntry(weightsCache)).size;
    expect(Math.max(...loaded)).to.be.within(entry * 0.9, entry);
  });

  it('of other numbers, kernels and passes are other entries', async () => {
    const weightsCache = newFolder();
    for (const options of [
      {},
      { dtype: 'f32' },
      { quantize: 'w4a16' },
      { isa: 'reference' },
      { passes: 'none' },
    ])
      await run({ weightsCache, ...(options as Partial<ModelRunnerOptions>) });
    expect(entriesOf(weightsCache)).to.have.length(5);
    expect((await run({ weightsCache, quantize: 'w4a16', quantGroupSize: 32 })).warnings).to.deep.equal([]);
    expect(entriesOf(weightsCache)).to.have.length(6);
  });

  describe('of a checkpoint that changes', () => {
    /** Changes one weight, and leaves the file's size and the time that users see as they are. */
    function change(modelPath: string): void {
      const file = join(modelPath, 'model.safetensors');
      const { atime, mtime } = statSync(file);
      const bytes = readFileSync(file);
      for (let at = bytes.length - 2000; at < bytes.length; at++) bytes[at] = (bytes[at] as number) ^ 1;
      writeFileSync(file, bytes);
      utimesSync(file, atime, mtime);
    }

    it('are made anew, and said to be stale', async () => {
      const [weightsCache, modelPath] = [newFolder(), path('changing')];
      cpSync(TINY_STORIES, modelPath, { recursive: true });
      const before = await run({ modelPath, weightsCache });
      change(modelPath);
      const after = await run({ modelPath, weightsCache });
      expect(after.logits).to.not.deep.equal(before.logits);
      expect(after.logits).to.deep.equal((await run({ modelPath })).logits);
      expect(after.warnings).to.have.length(1);
      expect(after.warnings[0]).to.match(
        /^PACKED_UNUSABLE: .*\.packed: it was made of other files.* made anew$/,
      );
      expect((await run({ modelPath, weightsCache })).warnings).to.deep.equal([]);
      onlyEntry(weightsCache);
    });
  });

  describe('of an entry that is damaged', () => {
    const DAMAGES: Readonly<Record<string, (entry: string, weightsCache: string) => void>> = {
      'cut off': (entry) => truncateSync(entry, statSync(entry).size - 5000),
      empty: (entry) => truncateSync(entry, 0),
      longer: (entry) => truncateSync(entry, statSync(entry).size + 1),
      'zeros, as after a crash': (entry) => writeFileSync(entry, Buffer.alloc(statSync(entry).size)),
      'one bit in the weights': (entry) => {
        const bytes = readFileSync(entry);
        const at = Math.floor(bytes.length * 0.7);
        bytes[at] = (bytes[at] as number) ^ 4;
        writeFileSync(entry, bytes);
      },
      'something else': (entry) => copyFileSync(join(TINY_STORIES, 'model.safetensors'), entry),
    };
    for (const [name, damage] of Object.entries(DAMAGES))
      it(`it is made anew: ${name}`, async () => {
        const weightsCache = newFolder();
        const { logits } = await run({ weightsCache });
        const entry = onlyEntry(weightsCache);
        const whole = readFileSync(entry);
        damage(entry, weightsCache);
        const again = await run({ weightsCache });
        expect(again.logits).to.deep.equal(logits);
        expect(again.warnings).to.have.length(1);
        expect(again.warnings[0]).to.match(/^PACKED_UNUSABLE: packed weights cannot be used: .*made anew$/);
        expect(readFileSync(onlyEntry(weightsCache)).equals(whole)).to.equal(true);
        expect((await run({ weightsCache })).warnings).to.deep.equal([]);
      });

    it("another model's under its name is none", async () => {
      const weightsCache = newFolder();
      await run({ weightsCache });
      const entry = onlyEntry(weightsCache);
      const other = newFolder();
      await run({ weightsCache: other, quantize: 'w8a16' });
      copyFileSync(onlyEntry(other), entry);
      const again = await run({ weightsCache });
      expect(again.logits).to.deep.equal((await run({})).logits);
      expect(again.warnings).to.have.length(1);
    });

    it('a folder in its place is a warning, and stays', async () => {
      const weightsCache = newFolder();
      const { logits } = await run({ weightsCache });
      const name = onlyEntry(weightsCache);
      const other = newFolder();
      mkdirSync(join(other, name.slice(weightsCache.length + 1)), { recursive: true });
      const again = await run({ weightsCache: other });
      expect(again.logits).to.deep.equal(logits);
      expect(again.warnings).to.have.length(2);
      expect(again.warnings[1]).to.match(/^packed weights are not kept in /);
      expect(readdirSync(other)).to.have.length(1);
    });
  });

  describe('in a folder that cannot be written', () => {
    it('are a warning', async () => {
      writeFileSync(path('file'), '');
      for (const weightsCache of [path('file'), path('file', 'below'), '/proc/nowhere']) {
        const { logits, warnings } = await run({ weightsCache });
        expect(logits).to.deep.equal((await run({})).logits);
        expect(warnings).to.have.length(1);
        expect(warnings[0]).to.include(`packed weights are not kept in ${weightsCache}: `);
      }
    });

    it('are read there all the same', async () => {
      const weightsCache = newFolder();
      const { logits } = await run({ weightsCache });
      spawnSync('chmod', ['-R', 'a-w', weightsCache]);
      try {
        const again = await run({ weightsCache });
        expect([again.logits, again.warnings]).to.deep.equal([logits, []]);
      } finally {
        spawnSync('chmod', ['-R', 'u+w', weightsCache]);
      }
    });

    it('are a warning on a disk that is full, and leave nothing there', () => {
      const weightsCache = newFolder();
      // The system refuses files of more than 100 KiB, as a full disk would.
      const command = `trap '' XFSZ; ulimit -f 100; exec "${process.execPath}" "${PROGRAM}" generate x --max_tokens 1 --model_path "${TINY_STORIES}" --weights_cache "${weightsCache}"`;
      const { status, stderr } = spawnSync('bash', ['-c', command], { encoding: 'utf8' });
      expect([status, readdirSync(weightsCache)], stderr).to.deep.equal([0, []]);
      expect(stderr).to.match(
        /^warning: packed weights are not kept in .*NATIVE_FILE_ERROR: .*: File too large\n$/,
      );
    });
  });

  describe('that several processes use', () => {
    const generate = (weightsCache: string) =>
      spawn(process.execPath, [
        ...[PROGRAM, 'generate', 'Once upon a time', '--max_tokens', '5', '--quantize', 'w4a16'],
        ...['--model_path', TINY_STORIES, '--weights_cache', weightsCache],
      ]);

    it('are whole whoever comes first', async () => {
      const weightsCache = newFolder();
      const outputs = await Promise.all(
        Array.from({ length: 2 }, async () => {
          const child = generate(weightsCache);
          let output = '';
          child.stdout.on('data', (text) => (output += text));
          child.stderr.on('data', (text) => (output += text));
          const [status] = await once(child, 'close');
          return `${status} ${output}`;
        }),
      );
      expect(new Set(outputs).size, outputs.join()).to.equal(1);
      expect(outputs[0]).to.match(/^0 /);
      expect(readdirSync(weightsCache)).to.have.length(1);
      expect((await run({ weightsCache, quantize: 'w4a16' })).warnings).to.deep.equal([]);
    });

    /** Keeps 512 MiB of constants as the weights of the model. */
    const WRITER = `
      const { openModel } = await import('${join(ROOT, 'dist/src/runner/open-model.js')}');
      const { PackedWeights } = await import('${join(ROOT, 'dist/src/runner/packed-weights.js')}');
      const { createEngine } = await import('${join(ROOT, 'dist/src/native/index.js')}');
      const open = await openModel({ modelPath: '${TINY_STORIES}' });
      const engine = createEngine({ threads: 1 });
      const packed = PackedWeights.of(open, { weightsCache: process.argv[1] });
      const parts = [{ value: 1, dtype: 'bf16', shape: [2 ** 28] }];
      const load = { name: 'w', dtype: 'bf16', shape: [2 ** 28], layout: 'plain', parts };
      await packed.read(engine, [load], undefined);
      await engine.loadWeights([load]);
      await packed.keep(engine);`;

    it('have no half entry when a writer is killed, and what it left is removed later', async () => {
      const weightsCache = newFolder();
      const child = spawn(process.execPath, ['--input-type=module', '-e', WRITER, weightsCache]);
      let isOver = false;
      child.on('close', () => (isOver = true));
      const left = () => (existsSync(weightsCache) ? readdirSync(weightsCache) : []);
      while (!isOver && left().length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      child.kill('SIGKILL');
      if (!isOver) await once(child, 'close');
      const [partial = '', ...others] = left();
      expect(others).to.deep.equal([]);
      expect(partial).to.match(/^\.tiny-stories-.*\.partial$/);

      expect((await run({ weightsCache })).warnings).to.deep.equal([]);
      expect(left()).to.have.length(2);
      const longAgo = new Date(Date.now() - 2 * 3_600_000);
      utimesSync(join(weightsCache, partial), longAgo, longAgo);
      await run({ weightsCache, quantize: 'w8a16' });
      expect(left().filter((name) => name.endsWith('.partial'))).to.deep.equal([]);
      expect(entriesOf(weightsCache)).to.have.length(2);
    });
  });

  it('are written although the model is gone by then', async () => {
    const weightsCache = newFolder();
    const runner = await ModelRunner.load({ modelPath: TINY_STORIES, numBlocks: 4, weightsCache });
    runner.dispose();
    await runner.weightsKept;
    const warnings: string[] = [];
    expect(
      (await run({ weightsCache, onWarning: (text) => warnings.push(text) })).logits,
    ).to.have.length.above(0);
    expect(warnings).to.deep.equal([]);
    onlyEntry(weightsCache);
  });
});
