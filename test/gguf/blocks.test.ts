import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { FilePart, WeightLoad } from '../../src/native/binding.js';
import { availableIsas, createEngine } from '../../src/native/index.js';
import { type GgufHeader, readGgufHeader } from '../../src/weights/gguf/header.js';

// Numbers of random blocks by the gguf package, as ggml defines them: tools/oracle/make_gguf_fixtures.py.

const FOLDER = join(import.meta.dirname, '../../../test/fixtures/gguf');
const { rows, columns, numbers } = JSON.parse(readFileSync(join(FOLDER, 'types.json'), 'utf8')) as {
  readonly rows: number;
  readonly columns: number;
  readonly numbers: Readonly<Record<string, string>>;
};
const GROUP = 32;
/** Types of which each 32 numbers have not one scale and one minimum. */
const ROUNDED = ['Q2_K', 'Q3_K', 'Q6_K'];
const FOUR_BITS = ['Q4_0', 'Q4_1', 'Q4_K'];
type Content = 'numbers' | 'integers' | 'int4' | 'scales' | 'minimums';

const floats = (base64: string) => new Float32Array(Uint8Array.from(Buffer.from(base64, 'base64')).buffer);

describe('blocks of a GGUF file', () => {
  const engine = createEngine({ threads: 1, isa: availableIsas()[0] ?? 'reference' });
  let header: GgufHeader;
  before(async () => {
    header = await readGgufHeader(join(FOLDER, 'types.gguf'));
  });
  after(() => engine.dispose());

  const part = (type: string, content: Content, changes = {}): FilePart => ({
    file: header.path,
    offset: header.tensors.get(type)?.offset ?? -1,
    dtype: content === 'integers' || content === 'int4' ? 'i8' : 'f32',
    shape: [rows, content === 'scales' || content === 'minimums' ? columns / GROUP : columns],
    blocks: { type, content },
    ...changes,
  });
  const read = async (load: Omit<WeightLoad, 'name'>) => {
    await engine.loadWeights([{ name: 'w', ...load }]);
    return engine.exportTensor('w').data as Float32Array & Int8Array;
  };
  const plain = (parts: readonly FilePart[]): Omit<WeightLoad, 'name'> => ({
    dtype: parts[0]?.dtype ?? 'f32',
    shape: [rows, ...(parts[0]?.shape.slice(1) ?? [])],
    layout: 'plain',
    parts,
  });

  for (const [type, base64] of Object.entries(numbers)) {
    it(`${type}: the numbers, bit for bit, and integers, scale and minimum of each 32 of them`, async () => {
      const expected = floats(base64);
      expect(await read(plain([part(type, 'numbers')]))).to.deep.equal(expected);
      const integers = await read(plain([part(type, 'integers')]));
      const scales = await read(plain([part(type, 'scales')]));
      const minimums = await read(plain([part(type, 'minimums')]));
      expected.forEach((number, i) => {
        const scale = scales[Math.floor(i / GROUP)] ?? Number.NaN;
        const product = Math.fround((integers[i] ?? Number.NaN) * scale);
        const made = Math.fround(product - (minimums[Math.floor(i / GROUP)] ?? Number.NaN));
        if (ROUNDED.includes(type)) expect(Math.abs(made - number), `${i}`).to.be.at.most(0.5001 * scale);
        else expect(made, `${i}`).to.equal(number);
      });
      if (!FOUR_BITS.includes(type)) return;
      const less = type === 'Q4_0' ? 0 : 8;
      const int4 = await read(plain([part(type, 'int4')]));
      expect([...int4]).to.deep.equal([...integers].map((integer) => integer - less));
    });
  }

  it('are read in another order of rows, and from the middle', async () => {
    const expected = floats(numbers.Q4_K ?? '');
    const order = Int32Array.of(2, 0, 1);
    const turned = [...order].flatMap((row) => [...expected.subarray(row * columns, (row + 1) * columns)]);
    expect([...(await read(plain([part('Q4_K', 'numbers', { rowOrder: order })])))]).to.deep.equal(turned);
  });

  it('are read as the transpose of their matrix, where floats become of them', async () => {
    const expected = floats(numbers.Q4_K ?? '');
    // Columns on both sides of a group's end.
    const order = Int32Array.of(33, 30, 31, 255);
    const load = (content: 'numbers' | 'integers') => ({
      ...plain([part('Q4_K', content, { transposed: true, rowOrder: order })]),
      shape: [order.length, rows],
    });
    const turned = [...order].flatMap((at) =>
      Array.from({ length: rows }, (_, row) => expected[row * columns + at]),
    );
    expect([...(await read(load('numbers')))]).to.deep.equal(turned);
    const error: unknown = await read(load('integers')).catch((thrown) => thrown);
    expect(error)
      .to.have.property('message')
      .match(/share scales along their rows, and cannot be transposed/);
  });

  it('are refused where the rows do not fill them, and where they become something else', async () => {
    const refused = async (changes: object, message: RegExp) => {
      const error: unknown = await read(plain([part('Q4_K', 'numbers', changes)])).catch((thrown) => thrown);
      expect(error).to.be.an('error').with.property('message').match(message);
    };
    await refused({ shape: [rows, 128] }, /rows must be of whole blocks, found f32\[3,128\]/);
    await refused({ blocks: { type: 'Q9_K', content: 'numbers' } }, /a type of blocks, found "Q9_K"/);
    await refused(
      { blocks: { type: 'Q4_K', content: 'bytes' } },
      /numbers, integers, int4 of 4 bits, scales or minimums/,
    );
    await refused({ blocks: { type: 'Q4_K', content: 'integers' } }, /blocks become f32 or, as integers, i8/);
    await refused({ offset: 2 ** 40 }, /ends at byte/);
  });
});
