import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { openSafetensors } from '../../src/weights/safetensors-file.js';
import { SafetensorsWriter, type TensorEntry } from '../../src/weights/safetensors-writer.js';
import { someBytes, temporaryFolder } from './safetensors-writer.js';

const ENTRIES: readonly TensorEntry[] = [
  { name: 'odd', dtype: 'I8', shape: [3, 5] },
  { name: 'half', dtype: 'BF16', shape: [3] },
  { name: 'wide "quoted" \u2603', dtype: 'F32', shape: [2, 2] },
  { name: 'scalar', dtype: 'F32', shape: [] },
];
const SIZES = [15, 6, 16, 4];

describe('a safetensors file that is written piece by piece', () => {
  const path = temporaryFolder();

  it('is read back as it was written, in any order, and each tensor is aligned', async () => {
    const file = path('a.safetensors');
    const writer = await SafetensorsWriter.create(file, ENTRIES, { format: 'pt' });
    const contents = ENTRIES.map((_, index) => someBytes(SIZES[index] as number, index + 1));
    for (const index of [2, 0, 3, 1]) {
      const { name } = ENTRIES[index] as TensorEntry;
      const bytes = contents[index] as Uint8Array;
      await writer.write(name, bytes.subarray(4), 4);
      await writer.write(name, bytes.subarray(0, 4));
    }
    await writer.close();
    const { tensors, metadata } = await openSafetensors(file);
    expect([...metadata]).to.deep.equal([['format', 'pt']]);
    expect(tensors.size).to.equal(ENTRIES.length);
    const all = readFileSync(file);
    for (const [index, { name, dtype, shape }] of ENTRIES.entries()) {
      const found = tensors.get(name);
      expect(found).to.deep.include({ dtype, shape, bytes: SIZES[index] });
      const offset = found?.offset ?? 0;
      expect(new Uint8Array(all.subarray(offset, offset + (SIZES[index] as number)))).to.deep.equal(
        contents[index],
      );
      expect(offset % ({ F32: 4, BF16: 2 }[dtype] ?? 1)).to.equal(0);
    }
  });

  it('replaces no file', async () => {
    const file = path('b.safetensors');
    await (await SafetensorsWriter.create(file, [], {})).close();
    const again = await SafetensorsWriter.create(file, [], {}).catch((error: { code: string }) => error);
    expect((again as { code: string }).code).to.equal('EEXIST');
  });
});
