import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { checkModel } from '../../src/cli/check.js';
import { LLMEngine, ModelRunner } from '../../src/index.js';
import { availableIsas } from '../../src/native/index.js';
import { compareWithReference, type TensorComparison } from '../../src/runner/compare.js';
import { openModel } from '../../src/runner/open-model.js';
import { Checkpoint } from '../../src/weights/checkpoint.js';
import { readTensor } from '../../src/weights/read-tensor.js';
import { largestDifference, promptLogits } from '../oracle/logits.js';
import { type SeededWeights, seededSafetensors } from '../oracle/seeded-weights.js';
import { withHeader } from '../weights/safetensors-writer.js';

const ROOT = join(import.meta.dirname, '../../..');
const FIXTURE = join(ROOT, 'test/fixtures/own-models/persimmon');
const REFERENCE = join(FIXTURE, 'reference.safetensors');
/** The examples as the tests compiled them: model directories of somebody who imports the package. */
const modelDirs = [join(ROOT, 'dist/examples/my-models')];

/** What transformers 5.24 recorded of it as a persimmon (tools/oracle/reference.py). */
async function recorded(name: string): Promise<ArrayLike<number | bigint>> {
  const file = await Checkpoint.openFile(REFERENCE);
  return (await readTensor(file.weights().get(name, file.tensors.get(name)?.shape ?? []))).data;
}

/** The fixture's checkpoint in a folder of its own, whose recipe `change` may alter first. */
function checkpoint(change: (weights: SeededWeights) => SeededWeights = (weights) => weights): string {
  const folder = mkdtempSync(join(tmpdir(), 'atb-own-'));
  cpSync(join(FIXTURE, 'config.json'), join(folder, 'config.json'));
  const recipe: SeededWeights = JSON.parse(readFileSync(join(FIXTURE, 'weights.json'), 'utf8'));
  writeFileSync(join(folder, 'model.safetensors'), seededSafetensors(change(recipe)));
  return folder;
}

/** The reference's bytes as those of the second of two prompts, of which the first is one token. */
function secondPrompt(): Buffer {
  const bytes = readFileSync(REFERENCE);
  const data = bytes.subarray(8 + Number(bytes.readBigUInt64LE(0)));
  const { __metadata__, ...tensors } = JSON.parse(bytes.toString('utf8', 8, bytes.length - data.length));
  const renamed = Object.entries(tensors).map(([name, entry]) => [`1/${name}`, entry]);
  const short = { dtype: 'I64', shape: [1], data_offsets: [data.length, data.length + 8] };
  const header = JSON.stringify(Object.fromEntries([...renamed, ['0/tokens', short]]));
  return withHeader(header, Buffer.concat([data, Buffer.alloc(8)]));
}

const NORM = 'model.layers.0.input_layernorm.weight';

/** The recipe with one tensor's mean moved, or with a tensor more. */
const withTensor = (name: string, more: number) => (weights: SeededWeights) => {
  const found = weights.tensors[name];
  const tensor = found && 'mean' in found ? found : { shape: [128], mean: 0, std: 0.3 };
  return { ...weights, tensors: { ...weights.tensors, [name]: { ...tensor, mean: tensor.mean + more } } };
};

describe("a model directory of one's own: Persimmon, of examples/my-models", function () {
  this.timeout(60_000);
  let modelPath = '';
  const folders: string[] = [];
  const made = (change?: (weights: SeededWeights) => SeededWeights): string => {
    const folder = checkpoint(change);
    folders.push(folder);
    return folder;
  };
  before(() => {
    modelPath = made();
  });
  after(() => {
    for (const folder of folders) rmSync(folder, { recursive: true });
  });

  for (const isa of availableIsas()) {
    it(`agrees with transformers, ${isa} kernels: LayerNorm, relu2, a quarter of each head turned`, async () => {
      const prompt = Int32Array.from(await recorded('tokens'), Number);
      const logits = (await recorded('logits')) as Float32Array;
      const options = { modelPath, modelDirs, isa, threads: 2, blockSize: 32, numBlocks: 8 };
      const runner = await ModelRunner.load(options);
      const engine = new LLMEngine(runner, {
        maxBatchSize: 2,
        maxPrefillTokens: 16,
        maxModelLen: 128,
        chunkedPrefill: true,
      });
      try {
        expect(largestDifference(await promptLogits(runner, prompt), logits)).to.be.at.most(2e-4);
        const greedy = Array.from(await recorded('greedy'), Number);
        const { tokens } = await engine.generate(prompt, { maxTokens: greedy.length, ignoreEos: true })
          .result;
        expect(tokens).to.deep.equal(greedy);
      } finally {
        await engine.dispose();
        runner.dispose();
      }
    });
  }

  it('runs in the example of the library', async () => {
    const prompt = Array.from(await recorded('tokens'), Number);
    const greedy = Array.from(await recorded('greedy'), Number).slice(0, 8);
    const example = join(ROOT, 'dist/examples/own-model.js');
    const { stdout, stderr } = spawnSync(process.execPath, [example, modelPath, ...prompt.map(String)], {
      encoding: 'utf8',
    });
    expect(stdout, stderr).to.equal(`my_persimmon: ${greedy.join(' ')}\n`);
  });

  it('has nothing that check finds fault with', async () => {
    expect(await checkModel({ modelPath, modelDirs })).to.deep.equal([]);
  });

  it('has its tensors with infinities named where all are read', async () => {
    const path = made(withTensor(NORM, Number.POSITIVE_INFINITY));
    const [finding, ...more] = await checkModel({ modelPath: path, modelDirs, finite: true });
    expect(finding?.text).to.match(new RegExp(`^${NORM} holds NaN or infinity: \\d+ of its numbers$`));
    expect(more).to.deep.equal([]);
    expect(await checkModel({ modelPath: path, modelDirs })).to.deep.equal([]);
  });

  it('is refused where it leaves out a tensor of what it reads, unless that is allowed', async () => {
    const bias = 'model.layers.1.self_attn.q_layernorm.weight';
    const path = made(withTensor(bias, 1));
    const found = await checkModel({ modelPath: path, modelDirs });
    expect(found).to.deep.include({
      level: 'error',
      subject: 'weights',
      text: `${bias} is not read, although it belongs to a module or layer that is`,
    });
    const error = await openModel({ modelPath: path, modelDirs }).catch((thrown: unknown) => thrown);
    expect(error).to.have.property('code', 'WEIGHT_UNREAD');
    const warnings: string[] = [];
    await openModel({
      modelPath: path,
      modelDirs,
      allowUnread: true,
      onWarning: (text) => warnings.push(text),
    });
    expect(warnings).to.have.length(1);
    expect(warnings[0]).to.include(bias);
  });

  it('runs with a head more, which is foreign to it, and says so', async () => {
    const path = made(withTensor('value_head.weight', 0));
    const warnings: string[] = [];
    await openModel({ modelPath: path, modelDirs, onWarning: (text) => warnings.push(text) });
    expect(warnings[0]).to.match(/"value_head\.weight" of .* is not read/);
  });

  it('names a few of many tensors that nobody reads, and says how many there are', async () => {
    const heads = Object.fromEntries(
      Array.from({ length: 8 }, (_, head) => [`heads.${head}.weight`, { shape: [2], mean: 0, std: 1 }]),
    );
    const path = made((weights) => ({ ...weights, tensors: { ...weights.tensors, ...heads } }));
    const warnings: string[] = [];
    await openModel({ modelPath: path, modelDirs, onWarning: (text) => warnings.push(text) });
    expect(warnings).to.have.length(6);
    expect(warnings.at(-1)).to.match(/^3 more tensors are not read/);
  });

  it('is compared tensor by tensor with the reference, and all agree', async () => {
    const seen: TensorComparison[] = [];
    const open = await openModel({ modelPath, modelDirs });
    const different = await compareWithReference(open, {
      reference: REFERENCE,
      threads: 1,
      onTensor: (compared) => seen.push(compared),
    });
    expect(different).to.equal(undefined);
    expect(seen.map(({ reference, tensor }) => [reference, tensor])).to.deep.equal([
      ['model.layers.0.input_layernorm', 'layer_0/input_layernorm_out'],
      ['logits', 'model_out'],
    ]);
    for (const { cosine } of seen) expect(cosine).to.be.closeTo(1, 1e-6);
  });

  it('is compared by the longest of several prompts', async () => {
    const reference = join(modelPath, 'two-prompts.safetensors');
    writeFileSync(reference, secondPrompt());
    const shapes: (readonly number[])[] = [];
    const open = await openModel({ modelPath, modelDirs });
    await compareWithReference(open, {
      reference,
      threads: 1,
      onTensor: ({ shape }) => shapes.push(shape),
    });
    const { length } = await recorded('tokens');
    expect(shapes.map(([tokens]) => tokens)).to.deep.equal([length, length]);
  });

  it('shows a forgotten + 1 at its norm, the first tensor that differs', async () => {
    const open = await openModel({ modelPath: made(withTensor(NORM, -1)), modelDirs });
    const different = await compareWithReference(open, { reference: REFERENCE, threads: 1 });
    expect(different?.reference).to.equal('model.layers.0.input_layernorm');
    expect(different?.maxAbs).to.be.above(1);
    expect(different?.firstBad).to.have.length(2);
  });
});
