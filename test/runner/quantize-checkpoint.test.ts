import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { PARunner } from '../../src/engine/pa-runner.js';
import type { DecoderConfig } from '../../src/layers/config/index.js';
import { BaseRMSNorm } from '../../src/layers/norms/norms.js';
import { BaseModelATB } from '../../src/models/base/base-model-atb.js';
import { FlashForCausalLMATB } from '../../src/models/base/flash-for-causal-lm-atb.js';
import { LlamaAttention, LlamaLayer, LlamaRouter } from '../../src/models/llama/index.js';
import { BaseRouter, registerModel } from '../../src/router/index.js';
import { type QuantizeCheckpointOptions, quantizeCheckpoint } from '../../src/runner/quantize-checkpoint.js';
import type { QuantizedFormat } from '../../src/runner/quantized-layouts.js';
import { rotaryRowOrder } from '../../src/step-inputs/rotary/rotary-row-order.js';
import type { QuantizeOptions } from '../../src/weights/quantization.js';
import { groupedRows } from '../../src/weights/row-orders.js';
import type { Weights } from '../../src/weights/weights.js';
import { dequantizedWeights, integersOf, readDescription } from '../oracle/dequantized.js';
import { caseDirectory, type OracleCase, oracleCases, readTensors } from '../oracle/fixtures.js';
import { failure, safetensorsBytes } from '../weights/safetensors-writer.js';

const TINY_STORIES = join(import.meta.dirname, '../../../examples/models/tiny-stories');
const MODES = [
  { quantize: 'w8a16' },
  { quantize: 'w8a8_dynamic' },
  { quantize: 'w4a16', quantGroupSize: 32 },
  { quantize: 'w4a8_dynamic', quantGroupSize: 32 },
] as const satisfies readonly QuantizeOptions[];
const HEAD = 'lm_head.weight';

/** Tokens and log-probs of a few prompts, sampled with seeds. */
async function answers(modelPath: string, options: QuantizeOptions = {}) {
  const runner = await PARunner.load({
    modelPath,
    ...options,
    threads: 2,
    maxBatchSize: 4,
    loadTokenizer: false,
    maxOutputLength: 24,
    sampling: { temperature: 0.8, topP: 0.95, seed: 7, logprobs: 2 },
  });
  try {
    const prompts = [1, 5, 40].map((count) =>
      Int32Array.from({ length: count }, (_, i) => (i * 29 + 3) % 131),
    );
    const found = await runner.infer({ kind: 'tokens', prompts }, { ignoreEos: true });
    return found.answers.map(({ tokens, logprobs = [] }) => ({
      tokens,
      logprobs: logprobs.map(({ logprob, topTokens, topLogprobs }) => [
        logprob,
        ...topTokens,
        ...topLogprobs,
      ]),
    }));
  } finally {
    await runner.dispose();
  }
}

describe('a quantised checkpoint', function () {
  this.timeout(60_000);
  const oracleCase = oracleCases.find(({ name }) => name === 'llama-f32') as OracleCase;
  let folder = '';
  let source: ReturnType<typeof caseDirectory>;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'atb-quantize-'));
    source = caseDirectory(oracleCase);
  });
  after(() => {
    rmSync(folder, { recursive: true });
    source.remove();
  });
  const quantize = async (
    input: string,
    name: string,
    mode: (typeof MODES)[number],
    format: QuantizedFormat = 'msmodelslim',
  ) => {
    const output = join(folder, name);
    await quantizeCheckpoint({ input, output, ...mode, format, threads: 2 });
    return output;
  };

  for (const mode of MODES) {
    for (const name of ['llama-f32', 'llama-tied-bf16', 'tiny-stories']) {
      it(`gives the same bits as ${mode.quantize} at load: ${name}`, async () => {
        const found = oracleCases.find((each) => each.name === name);
        const directory = found ? caseDirectory(found) : { path: TINY_STORIES, remove: () => {} };
        try {
          const output = await quantize(directory.path, `same-${mode.quantize}-${name}`, mode);
          const [alone, ...rest] = [await answers(output), await answers(directory.path, mode)];
          expect(rest[0]).to.deep.equal(alone);
        } finally {
          directory.remove();
        }
      });
    }
  }

  for (const mode of MODES) {
    it(`in the format of compressed-tensors gives the same bits, too: ${mode.quantize}`, async () => {
      const output = await quantize(source.path, `compressed-${mode.quantize}`, mode, 'compressed-tensors');
      expect(existsSync(join(output, 'quant_model_description.json'))).to.equal(false);
      // Groups of 32 do not divide the 112 inputs of down_proj, which stay floats then.
      const [found, expected] = [await answers(output), await answers(source.path, mode)];
      if ('quantGroupSize' in mode)
        expect(found.map(({ tokens }) => tokens.length)).to.deep.equal([24, 24, 24]);
      else expect(found).to.deep.equal(expected);
    });
  }

  it('holds integers within half a step of each weight, with the scales that 8 bits need', async () => {
    for (const mode of [MODES[0], MODES[1]]) {
      const output = await quantize(source.path, `close-${mode.quantize}`, mode);
      const { types } = readDescription(output);
      const floats = await readTensors(join(source.path, 'model.safetensors'));
      const tensors = await readTensors(join(output, 'model.safetensors'));
      const restored = await dequantizedWeights(output);
      let checked = 0;
      for (const [name, { shape, data }] of floats) {
        const values = data as Float32Array;
        const found = restored.get(name);
        expect(found?.shape).to.deep.equal(shape);
        const scale = tensors.get(`${name}_scale`);
        if (scale === undefined) {
          expect(found?.data).to.deep.equal(values);
          continue;
        }
        expect(types[name]).to.equal(name === HEAD ? 'W8A16' : mode.quantize.toUpperCase());
        const [rows = 0, k = 0] = shape;
        expect(scale.shape).to.deep.equal([rows, 1]);
        for (let row = 0; row < rows; row++) {
          const weights = values.subarray(row * k, (row + 1) * k);
          const largest = weights.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
          const step = (scale.data as Float32Array)[row] as number;
          expect(step).to.be.closeTo(largest / 127, largest * 1e-6);
          for (const [i, value] of weights.entries())
            expect(Math.abs(value - (found?.data[row * k + i] as number))).to.be.at.most(step * 0.5001);
        }
        checked++;
      }
      expect(checked).to.equal(3 * 7 + 1);
    }
  });

  it('of 4 bits holds integers from -8 to 7 in groups, two in each byte, near the weights', async () => {
    const output = await quantize(source.path, 'close-w4a16', MODES[2]);
    const { types, groupSize } = readDescription(output);
    expect([types.model_quant_type, groupSize]).to.deep.equal(['W4A16', 32]);
    const floats = await readTensors(join(source.path, 'model.safetensors'));
    const tensors = await readTensors(join(output, 'model.safetensors'));
    const restored = await dequantizedWeights(output);
    const name = 'model.layers.1.mlp.down_proj.weight';
    expect(types[name]).to.equal('W4A16');
    expect(tensors.get(name)).to.deep.include({ dtype: 'i8', shape: [64, 56] });
    expect(tensors.get(`${name}_scale`)?.shape).to.deep.equal([64, 4]);
    const { q } = integersOf(tensors.get(name) as never, 'W4A16');
    expect([Math.min(...q), Math.max(...q)]).to.deep.equal([-8, 7]);
    const values = floats.get(name)?.data as Float32Array;
    const found = restored.get(name)?.data as Float32Array;
    let [error, power] = [0, 0];
    for (const [i, value] of values.entries()) {
      error += (value - (found[i] as number)) ** 2;
      power += value ** 2;
    }
    // Normal numbers in groups of 32 lose about 0.7 % of their power; swapped nibbles or scales lose all of it.
    expect(error / power).to.be.within(0.001, 0.015);
  });

  it('is smaller, and brings along what it needs', async () => {
    const output = await quantize(TINY_STORIES, 'small', MODES[2]);
    const weights = (directory: string) => statSync(join(directory, 'model.safetensors')).size;
    expect(weights(output)).to.be.below(weights(TINY_STORIES) * 0.4);
    // What is said about the float checkpoint does not hold for this one.
    const left = ['held-out.txt', 'README.md'];
    const kept = readdirSync(TINY_STORIES).filter((name) => !left.includes(name));
    expect(readdirSync(output).sort()).to.deep.equal([...kept, 'quant_model_description.json'].sort());
    for (const name of kept.filter((each) => each !== 'model.safetensors'))
      expect(readFileSync(join(output, name))).to.deep.equal(readFileSync(join(TINY_STORIES, name)));
  });

  it('is complete or absent', async () => {
    const occupied = join(folder, 'occupied');
    mkdirSync(occupied);
    writeFileSync(join(occupied, 'mine.txt'), 'mine');
    const options: QuantizeCheckpointOptions = { input: source.path, output: occupied, quantize: 'w8a16' };
    await failure('REQUEST_INVALID', () => quantizeCheckpoint(options));
    expect(readdirSync(occupied)).to.deep.equal(['mine.txt']);
    const once = await quantize(source.path, 'once', MODES[0]);
    const before = readdirSync(folder);
    const again = { ...options, input: once, output: join(folder, 'twice') };
    await failure('WEIGHT_QUANT_AGAIN', () => quantizeCheckpoint(again));
    expect(readdirSync(folder)).to.deep.equal(before);
  });

  it('has its name only when the disk has all of its files', async function () {
    if (process.platform !== 'linux') this.skip();
    const output = join(folder, 'synced');
    const before: string[] = [];
    const after: string[] = [];
    const handle = await open(folder);
    await handle.close();
    const prototype: Pick<FileHandle, 'sync'> = Object.getPrototypeOf(handle);
    const { sync } = prototype;
    prototype.sync = function (this: FileHandle) {
      (existsSync(output) ? after : before).push(readlinkSync(`/proc/self/fd/${this.fd}`));
      return sync.call(this);
    };
    try {
      await quantize(source.path, 'synced', MODES[0]);
    } finally {
      prototype.sync = sync;
    }
    expect(after).to.deep.equal([folder]);
    const [unfinished = ''] = before.slice(-1);
    expect(dirname(unfinished)).to.equal(folder);
    const files = readdirSync(output).map((name) => join(unfinished, name));
    expect(before.slice(0, -1)).to.have.members(files).and.to.include(join(unfinished, 'model.safetensors'));
  });

  it('is refused where nobody can make a folder', async function () {
    if (process.platform !== 'linux') this.skip();
    const options = {
      input: source.path,
      output: '/proc/nowhere/out',
      quantize: 'w8a16',
    } as const;
    await failure('OUTPUT_UNWRITABLE', () => quantizeCheckpoint(options));
  });

  it('cannot be made of weights that are not finite', async () => {
    const broken = join(folder, 'broken');
    mkdirSync(broken);
    const floats = await readTensors(join(source.path, 'model.safetensors'));
    const name = 'model.layers.0.mlp.up_proj.weight';
    (floats.get(name)?.data as Float32Array)[77] = Number.NaN;
    writeFileSync(
      join(broken, 'model.safetensors'),
      safetensorsBytes(
        [...floats].map(([each, { shape, data }]) => ({
          name: each,
          dtype: 'F32',
          shape,
          data: new Uint8Array(data.buffer),
        })),
      ),
    );
    writeFileSync(join(broken, 'config.json'), readFileSync(join(source.path, 'config.json')));
    const output = join(folder, 'of-broken');
    const error = await failure('WEIGHT_NOT_FINITE', () =>
      quantizeCheckpoint({ input: broken, output, quantize: 'w8a16' }),
    );
    expect(error.message).to.include(name);
    expect(readdirSync(folder)).not.to.include('of-broken');
    expect(readdirSync(folder).filter((each) => each.startsWith('.'))).to.deep.equal([]);
  });

  it('with offsets from another tool is taken when they are zero, and refused with int8 activations otherwise', async () => {
    const output = await quantize(source.path, 'offsets', MODES[1]);
    const tensors = await readTensors(join(output, 'model.safetensors'));
    const DTYPE = { i8: 'I8', f32: 'F32' } as Record<string, string>;
    const rewrite = (offset: number) => {
      const all = [...tensors].map(([name, { dtype, shape, data }]) => ({
        name,
        dtype: DTYPE[dtype] as string,
        shape,
        data: new Uint8Array(data.buffer),
      }));
      const rows = 64;
      const zeros = new Float32Array(rows);
      zeros[3] = offset;
      const name = 'model.layers.0.self_attn.o_proj.weight_offset';
      const more = { name, dtype: 'F32', shape: [rows, 1], data: new Uint8Array(zeros.buffer) };
      writeFileSync(join(output, 'model.safetensors'), safetensorsBytes([...all, more]));
    };
    rewrite(0);
    const expected = await answers(source.path, MODES[1]);
    expect(await answers(output)).to.deep.equal(expected);
    rewrite(1);
    const error = await failure('WEIGHT_QUANT_OFFSET', () => answers(output));
    expect(error.message).to.match(/o_proj.weight" .* offsets that are not zero/);
  });
});

/** The rows of queries, keys and values in a packed checkpoint: those of each key head in turn. */
const packedRows = ({ numAttentionHeads: heads, numKeyValueHeads: groups, headDim }: DecoderConfig) =>
  groupedRows({ groups, headsPerGroup: [heads / groups, 1, 1], headDim });
const pairs = (heads: number, headDim: number) =>
  rotaryRowOrder({ heads, headDim, rotaryDim: headDim, interleaved: true });

/** Queries, keys and values of each key head in turn, in one tensor; neighbours of a head turn together. */
class PackedAttention extends LlamaAttention {
  constructor(layerId: number, config: DecoderConfig, weights: Weights) {
    super(layerId, { ...config, rope: { ...config.rope, interleaved: true } }, weights, {
      qkv: { packed: 'qkv_proj', order: 'groups' },
    });
  }
}

class PackedModel extends FlashForCausalLMATB {
  readonly name = 'packed_llama';
  protected readonly model: BaseModelATB;

  constructor(config: DecoderConfig, weights: Weights) {
    super(config, weights);
    const inner = weights.at('model');
    this.model = new BaseModelATB(config, inner, {
      layer: (layerId, at) =>
        new LlamaLayer(layerId, config, at, {
          selfAttn: new PackedAttention(layerId, config, at.at('self_attn')),
        }),
      norm: new BaseRMSNorm(inner.at('norm'), config.hiddenSize, config.rmsNormEps),
    });
  }
}

class PackedRouter extends BaseRouter<DecoderConfig> {
  protected getConfig(): DecoderConfig {
    return new LlamaRouter(this.modelPath, this.configDict).config;
  }

  protected getModelClass(): typeof PackedModel {
    return PackedModel;
  }
}

describe('a model whose weights are changed at load', function () {
  this.timeout(60_000);
  const oracleCase = oracleCases.find(({ name }) => name === 'llama-f32') as OracleCase;
  let source: ReturnType<typeof caseDirectory>;
  let folder = '';
  let packed = '';
  before(async () => {
    registerModel('packed_llama', PackedRouter);
    source = caseDirectory(oracleCase);
    folder = mkdtempSync(join(tmpdir(), 'atb-packed-'));
    packed = join(folder, 'packed');
    mkdirSync(packed);
    const dict = JSON.parse(readFileSync(join(source.path, 'config.json'), 'utf8'));
    writeFileSync(join(packed, 'config.json'), JSON.stringify({ ...dict, model_type: 'packed_llama' }));
    const { config } = new LlamaRouter(source.path, dict);
    const { numAttentionHeads: heads, numKeyValueHeads: groups, headDim, hiddenSize } = config;
    const tensors = await readTensors(join(source.path, 'model.safetensors'));
    const entry = (name: string, shape: readonly number[], data: Float32Array) => ({
      name,
      dtype: 'F32',
      shape,
      data: new Uint8Array(data.buffer),
    });
    const entries: ReturnType<typeof entry>[] = [];
    const outputs = (heads + 2 * groups) * headDim;
    for (const [name, { shape, data }] of tensors) {
      const isQkv = /self_attn\.[qkv]_proj\./.test(name);
      if (!isQkv) entries.push(entry(name, shape, data as Float32Array));
      if (!/q_proj\.(weight|bias)$/.test(name)) continue;
      const width = name.endsWith('bias') ? 1 : hiddenSize;
      const all = new Float32Array(outputs * width);
      for (const [i, projection] of (['q', 'k', 'v'] as const).entries()) {
        const own = tensors.get(name.replace('q_proj', `${projection}_proj`))?.data as Float32Array;
        const { order } = packedRows(config)[i] as { readonly order: Int32Array };
        const turned = projection === 'v' ? undefined : pairs(order.length / headDim, headDim);
        // Row i of the projection lies where the model will look for it.
        for (let row = 0; row < order.length; row++) {
          const to = order[turned?.[row] ?? row] as number;
          all.set(own.subarray(row * width, (row + 1) * width), to * width);
        }
      }
      const packedName = name.replace('q_proj', 'qkv_proj');
      entries.push(entry(packedName, width === 1 ? [outputs] : [outputs, width], all));
    }
    writeFileSync(join(packed, 'model.safetensors'), safetensorsBytes(entries));
  });
  after(() => {
    rmSync(folder, { recursive: true });
    source.remove();
  });

  it('gives the bits of the same model stored plainly', async () => {
    expect(await answers(packed)).to.deep.equal(await answers(source.path));
  });

  for (const mode of MODES) {
    it(`gives them as ${mode.quantize}, too, at load and out of its quantised checkpoint`, async () => {
      const expected = await answers(source.path, mode);
      expect(await answers(packed, mode)).to.deep.equal(expected);
      const output = join(folder, mode.quantize);
      const { keptFloat } = await quantizeCheckpoint({ input: packed, output, ...mode, threads: 2 });
      expect(keptFloat).to.deep.equal([]);
      const { types } = readDescription(output);
      const layer = 'model.layers.0.self_attn';
      expect(types[`${layer}.qkv_proj.weight`]).to.equal(mode.quantize.toUpperCase());
      expect(types['model.embed_tokens.weight']).to.equal('FLOAT');
      expect(await answers(output)).to.deep.equal(expected);
    });
  }
});
