import { mkdirSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { Checkpoint } from '../../src/weights/checkpoint.js';
import { notFiniteTensors } from '../../src/weights/not-finite.js';
import { safetensorsBytes, temporaryFolder } from './safetensors-writer.js';

describe('tensors that are not finite', () => {
  const path = temporaryFolder();

  it('are named with how many of their numbers, whatever floats they hold', async () => {
    const tensor = (name: string, dtype: string, numbers: Uint16Array | Float32Array | Uint8Array) => {
      const data = new Uint8Array(numbers.buffer);
      return { name, dtype, shape: [numbers.length], data };
    };
    const largest = { F32: 3.4028234663852886e38, F16: 0x7bff, BF16: 0xff7f };
    // The last one lies in the second piece that is read.
    const many = new Uint16Array(3 << 20).fill(0x3f80);
    many[many.length - 1] = 0xffc1;
    const folder = path('model');
    mkdirSync(folder);
    writeFileSync(
      `${folder}/model.safetensors`,
      safetensorsBytes([
        tensor('finite.f32', 'F32', Float32Array.of(0, -1, largest.F32, -largest.F32)),
        tensor('nan.f32', 'F32', Float32Array.of(1, Number.NaN, Number.NEGATIVE_INFINITY)),
        tensor('finite.f16', 'F16', Uint16Array.of(0, largest.F16, 0xfbff)),
        tensor('infinite.f16', 'F16', Uint16Array.of(0x7c00, 0x3c00)),
        tensor('finite.bf16', 'BF16', Uint16Array.of(largest.BF16, 0x7f7f)),
        tensor('nan.bf16', 'BF16', many),
        tensor('bytes', 'U8', new Uint8Array(8).fill(0xff)),
      ]),
    );
    const { tensors } = await Checkpoint.open(folder);
    expect(await notFiniteTensors(tensors)).to.deep.equal([
      { name: 'nan.f32', count: 2 },
      { name: 'infinite.f16', count: 1 },
      { name: 'nan.bf16', count: 1 },
    ]);
  });
});
