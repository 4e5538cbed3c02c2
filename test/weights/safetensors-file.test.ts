import { truncateSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import type { ErrorCode } from '../../src/errors.js';
import { openSafetensors } from '../../src/weights/safetensors-file.js';
import { ELEMENT_BITS, MAX_HEADER_BYTES, MAX_TENSORS } from '../../src/weights/safetensors-header.js';
import { REFUSED_FILES } from './refused-files.js';
import { failure, safetensorsBytes, someBytes, temporaryFolder, withHeader } from './safetensors-writer.js';

/** Bounds on the time that this process computes; a busy machine does not count. */
const SECOND_US = 1_000_000;

describe('a safetensors file', () => {
  const path = temporaryFolder();

  function write(bytes: Uint8Array, name = 'model.safetensors'): string {
    writeFileSync(path(name), bytes);
    return path(name);
  }

  it('gives every tensor with its dtype, shape and absolute place, and the metadata', async () => {
    const a = { name: 'a.weight', dtype: 'BF16', shape: [2, 3], data: someBytes(12) };
    const b = { name: 'b', dtype: 'F32', shape: [], data: someBytes(4) };
    const file = write(safetensorsBytes([a, b], { metadata: { format: 'pt' }, padding: 5 }));
    const { tensors, metadata, stamp } = await openSafetensors(file);
    const start = stamp.size - 16;
    expect([...metadata]).to.deep.equal([['format', 'pt']]);
    expect([...tensors]).to.deep.equal([
      ['a.weight', { dtype: 'BF16', shape: [2, 3], offset: start, bytes: 12 }],
      ['b', { dtype: 'F32', shape: [], offset: start + 12, bytes: 4 }],
    ]);
  });

  it('may have its metadata first, between, last or alone', async () => {
    const tensors = ['a', 'b'].map((name) => ({ name, dtype: 'U8', shape: [3], data: someBytes(3) }));
    for (const metadataAt of [0, 1, 2]) {
      const bytes = safetensorsBytes(tensors, { metadata: { 'a,"b': '}' }, metadataAt });
      const found = await openSafetensors(write(bytes));
      expect([...found.tensors.keys()]).to.deep.equal(['a', 'b']);
      expect(found.tensors.get('b')?.offset).to.equal(bytes.length - 3);
      expect(found.metadata.get('a,"b')).to.equal('}');
    }
    const blanks = '{ "a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]} , "__metadata__" : {} } ';
    expect((await openSafetensors(write(withHeader(blanks)))).tensors.size).to.equal(1);
    const behind = '{ "__metadata__":{} , "a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}';
    expect((await openSafetensors(write(withHeader(behind)))).tensors.size).to.equal(1);
    const alone = await openSafetensors(write(safetensorsBytes([], { metadata: {} })));
    expect(alone.tensors.size).to.equal(0);
  });

  it('may order its data otherwise than its header, and may be padded with blanks', async () => {
    const header =
      '{ "b" : {"shape":[2],"data_offsets":[2,4],"dtype":"I8"},\n"a":{"dtype":"I8","shape":[2],"data_offsets":[0,2]}}  \n';
    const { tensors } = await openSafetensors(write(withHeader(header, someBytes(4))));
    const start = 8 + Buffer.byteLength(header);
    expect(tensors.get('a')?.offset).to.equal(start);
    expect(tensors.get('b')?.offset).to.equal(start + 2);
  });

  it('may hold tensors without elements, anywhere a tensor may begin', async () => {
    const none = (name: string, shape: number[]) => ({ name, dtype: 'F32', shape, data: new Uint8Array(0) });
    const some = { name: 'some', dtype: 'F32', shape: [1], data: someBytes(4) };
    const { tensors } = await openSafetensors(
      write(safetensorsBytes([none('x', [0]), some, none('y', [3, 0, 2]), none('z', [0])])),
    );
    expect([...tensors.values()].map(({ bytes }) => bytes)).to.deep.equal([0, 4, 0, 0]);
  });

  it('may name its tensors like members of every object, in any script, or not at all', async () => {
    const names = [
      '__proto__',
      'constructor',
      'toString',
      '7',
      '',
      'Gewicht.größe',
      '重み',
      'ß',
      '\ufeffß',
      '😀',
      'a\u0000\n"\\',
      '../../etc/passwd',
      'x'.repeat(1_000_000),
    ];
    const entries = names.map((name, index) => ({
      name,
      dtype: 'U8',
      shape: [index + 1],
      data: someBytes(index + 1),
    }));
    const { tensors } = await openSafetensors(
      write(safetensorsBytes(entries, { metadata: { ['__proto__']: 'x' } })),
    );
    expect(tensors.size).to.equal(names.length);
    for (const [index, name] of names.entries()) expect(tensors.get(name)?.shape).to.deep.equal([index + 1]);
    expect(Object.hasOwn(Object.prototype, 'dtype')).to.equal(false);
  });

  it('may use every dtype of the format', async () => {
    const entries = [...ELEMENT_BITS].map(([dtype, bits]) => ({
      name: dtype,
      dtype,
      shape: [2, 4],
      data: someBytes(bits),
    }));
    const { tensors } = await openSafetensors(write(safetensorsBytes(entries)));
    expect(tensors.size).to.equal(ELEMENT_BITS.size);
  });

  describe('is refused', () => {
    for (const [code, refusals] of Object.entries(REFUSED_FILES)) {
      for (const [title, bytes, ...says] of refusals) {
        it(title, async () => {
          const file = write(bytes);
          const { detail, message } = await failure(code as ErrorCode, () => openSafetensors(file));
          expect(detail).to.have.property('file', file);
          for (const piece of [file, ...says]) expect(message).to.contain(piece);
          expect(message.length).to.be.lessThan(file.length + 1000);
          expect(message).to.not.match(/\p{Cc}/u);
        });
      }
    }

    it('when it has more tensors than any checkpoint', async () => {
      const entry = '{"dtype":"U8","shape":[0],"data_offsets":[0,0]}';
      const members = Array.from({ length: MAX_TENSORS + 1 }, (_, index) => `"${index}":${entry}`);
      const file = write(withHeader(`{${members.join()}}`));
      const error = await failure('WEIGHT_FILE_TOO_MANY', () => openSafetensors(file));
      expect(error.detail.limit).to.equal(MAX_TENSORS);
    });

    it('when it only claims a large header, without allocating it', async () => {
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(MAX_HEADER_BYTES));
      for (const start of ['', '{', '{"a":"']) {
        const file = write(Buffer.concat([length, Buffer.from(start)]));
        await failure('WEIGHT_FILE_TRUNCATED', () => openSafetensors(file));
        // A sparse file of 8 GiB: now the claim is true, but its bytes are zeros.
        truncateSync(file, 2 ** 33);
        const { arrayBuffers } = process.memoryUsage();
        const started = process.cpuUsage();
        const error = await failure('WEIGHT_FILE_JSON', () => openSafetensors(file));
        expect(error.detail.byte).to.equal(8 + start.length);
        expect(process.cpuUsage(started).user).to.be.lessThan(SECOND_US);
        expect(process.memoryUsage().arrayBuffers - arrayBuffers).to.be.lessThan(2 ** 22);
        truncateSync(file, 0);
      }
    });
  });

  it('opens quickly with as many tensors as a large model has', async () => {
    const data = new Uint8Array(2);
    const many = Array.from({ length: 10_000 }, (_, index) => ({
      name: `model.layers.${index}.weight`,
      dtype: 'BF16',
      shape: [1],
      data,
    }));
    const file = write(safetensorsBytes(many));
    const started = process.cpuUsage();
    expect((await openSafetensors(file)).tensors.size).to.equal(10_000);
    // About 80 ms where this was written.
    expect(process.cpuUsage(started).user).to.be.lessThan(SECOND_US);
  });
});
