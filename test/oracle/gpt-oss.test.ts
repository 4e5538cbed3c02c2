import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { toFloat32 } from '../../src/dtype.js';
import { AtbError } from '../../src/errors.js';
import { availableIsas } from '../../src/native/index.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import { safetensorsBytes, type WriterTensor } from '../weights/safetensors-writer.js';
import { type FamilyReference, familyCheckpoint, familyReferences } from './families.js';
import { readTensors } from './fixtures.js';
import { largestDifference, promptLogits } from './logits.js';
import { mxfp4Of } from './small-floats.js';

/** [experts, a, b] -> [experts, b, a]. */
const turned = (data: Float32Array, [, a = 0, b = 0]: readonly number[]): Float32Array =>
  Float32Array.from(data, (_, i) => {
    const [expert, row, column] = [Math.floor(i / (a * b)), Math.floor(i / a) % b, i % a];
    return data[(expert * a + column) * b + row] as number;
  });

const f32 = (name: string, shape: readonly number[], data: Float32Array): WriterTensor => ({
  name,
  dtype: 'F32',
  shape,
  data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
});

/** Writes a checkpoint with experts of mxfp4, as gpt-oss is published, and the floats that these stand for. */
async function publish(source: string, published: string, dequantized: string): Promise<void> {
  const [stored, floats]: [WriterTensor[], WriterTensor[]] = [[], []];
  for (const [name, tensor] of await readTensors(join(source, 'model.safetensors'))) {
    const { shape } = tensor;
    const data = toFloat32(tensor);
    const [experts = 0, k = 0, n = 0] = shape;
    if (!/experts\.(gate_up|down)_proj$/.test(name)) {
      stored.push(f32(name, shape, data));
      floats.push(f32(name, shape, data));
      continue;
    }
    const { pairs, exponents, values } = mxfp4Of(turned(data, shape), [experts * n, k]);
    stored.push({ name: `${name}_blocks`, dtype: 'U8', shape: [experts, n, k / 32, 16], data: pairs });
    stored.push({ name: `${name}_scales`, dtype: 'U8', shape: [experts, n, k / 32], data: exponents });
    floats.push(f32(name, shape, turned(values, [experts, n, k])));
  }
  const config = JSON.parse(readFileSync(join(source, 'config.json'), 'utf8'));
  const quantization = {
    quantization_config: { quant_method: 'mxfp4', modules_to_not_convert: ['lm_head'] },
  };
  for (const [folder, tensors, more] of [
    [published, stored, quantization],
    [dequantized, floats, {}],
  ] as const) {
    cpSync(source, folder, { recursive: true });
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...config, ...more }));
    writeFileSync(join(folder, 'model.safetensors'), safetensorsBytes(tensors));
  }
}

describe('gpt-oss as it is published', function () {
  this.timeout(60_000);
  let folder: string;
  let references: readonly FamilyReference[];
  const at = (name: string) => join(folder, name);
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'atb-gpt-oss-'));
    references = await familyReferences('gpt_oss');
    const checkpoint = familyCheckpoint('gpt_oss');
    await publish(checkpoint.path, at('q'), at('f'));
    checkpoint.remove();
  });
  after(() => rmSync(folder, { recursive: true }));

  const logitsOf = async (modelPath: string, isa: string, passes: 'all' | 'none' = 'all') => {
    const sizes = { blockSize: 32, numBlocks: 16, maxPositionEmbeddings: 128 };
    const runner = await ModelRunner.load({ modelPath, isa, passes, dtype: 'f32', threads: 2, ...sizes });
    try {
      return await promptLogits(runner, (references[1] as FamilyReference).prompt);
    } finally {
      runner.dispose();
    }
  };

  for (const isa of availableIsas()) {
    it(`multiplies experts of mxfp4 as the floats that they stand for, ${isa} kernels`, async () => {
      const expected = await logitsOf(at('f'), isa);
      for (const passes of ['all', 'none'] as const)
        expect(largestDifference(await logitsOf(at('q'), isa, passes), expected)).to.be.at.most(2e-4);
    });
  }

  it('is refused where a scale is no number', async () => {
    const bytes = readFileSync(join(at('q'), 'model.safetensors'));
    const header = JSON.parse(bytes.toString('utf8', 8, 8 + Number(bytes.readBigUInt64LE(0))));
    const { data_offsets: offsets } = header['model.layers.0.mlp.experts.down_proj_scales'];
    bytes[8 + Number(bytes.readBigUInt64LE(0)) + offsets[0]] = 0xff;
    cpSync(at('q'), at('nan'), { recursive: true });
    writeFileSync(join(at('nan'), 'model.safetensors'), bytes);
    const error = await logitsOf(at('nan'), 'reference').catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(AtbError);
    expect((error as Error).message).to.match(/NATIVE_VALUE_OUT_OF_RANGE.*scales must be finite/);
  });
});
