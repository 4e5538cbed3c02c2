import { closeSync, openSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import { AtbError } from '../../src/errors.js';
import {
  openSafetensors,
  type SafetensorsFile,
  type StoredTensor,
} from '../../src/weights/safetensors-file.js';
import {
  outcome,
  safetensorsBytes,
  someBytes,
  temporaryFolder,
  type WriterTensor,
  withHeader,
} from './safetensors-writer.js';

const BYTES: Readonly<Record<string, number>> = {
  BOOL: 1,
  I8: 1,
  F8_E4M3: 1,
  F16: 2,
  BF16: 2,
  I32: 4,
  F32: 4,
  I64: 8,
};

/**
 * What the format's description says, in the fewest words: JSON.parse, then every byte belongs to one tensor. It accepts
 * more than we do (duplicate keys, unknown fields, ...), so whatever we accept, it accepts with the same tensors.
 */
function naiveReading(file: Buffer): Map<string, StoredTensor> {
  const end = 8 + Number(file.readBigUInt64LE());
  if (end > file.length) throw new Error('header beyond file');
  const text = new TextDecoder('utf-8', { fatal: true }).decode(file.subarray(8, end));
  const entries = Object.entries(
    JSON.parse(text) as Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>,
  );
  const tensors = new Map<string, StoredTensor>();
  let covered = 0;
  for (const [name, { dtype, shape, data_offsets }] of entries.filter(([name]) => name !== '__metadata__')) {
    const [begin, stop] = data_offsets;
    const bytes = shape.reduce((a, b) => a * b, BYTES[dtype] ?? Number.NaN);
    if (bytes !== stop - begin || end + stop > file.length) throw new Error(`bad tensor ${name}`);
    covered += bytes;
    tensors.set(name, { dtype, shape, offset: end + begin, bytes });
  }
  if (covered !== file.length - end) throw new Error('not covered');
  return tensors;
}

const shapes = fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 });
const names = fc
  .oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('__proto__', 'constructor', '0', 'a.weight', 'hasOwnProperty'),
  )
  .filter((name) => name !== '__metadata__');
const tensors: fc.Arbitrary<WriterTensor[]> = fc
  .uniqueArray(fc.tuple(names, fc.constantFrom(...Object.keys(BYTES)), shapes), {
    selector: ([name]) => name,
    maxLength: 12,
  })
  .map((list) =>
    list.map(([name, dtype, shape], seed) => ({
      name,
      dtype,
      shape,
      data: someBytes(
        shape.reduce((a, b) => a * b, BYTES[dtype] ?? 0),
        seed,
      ),
    })),
  );
const metadata = fc.option(
  fc.dictionary(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), { noNullPrototype: true }),
  {
    nil: undefined,
  },
);

describe('reading hostile safetensors files', function () {
  this.timeout(60_000);
  const path = temporaryFolder();

  function open(bytes: Uint8Array): Promise<SafetensorsFile | AtbError> {
    writeFileSync(path('x'), bytes);
    return outcome(() => openSafetensors(path('x')));
  }

  // No axis of 0: there a flipped size changes no byte count, and nothing in the file tells.
  const sample = safetensorsBytes(
    [
      { name: 'model.embed_tokens.weight', dtype: 'BF16', shape: [3, 4], data: someBytes(24, 1) },
      { name: 'model.norm.weight', dtype: 'F32', shape: [4], data: someBytes(16, 2) },
      { name: 'größe', dtype: 'I64', shape: [], data: someBytes(8, 3) },
      { name: 'mask', dtype: 'BOOL', shape: [1, 7, 1], data: someBytes(7, 4) },
      { name: 'zero_points', dtype: 'U8', shape: [9], data: someBytes(9, 5) },
      { name: 'scales', dtype: 'F16', shape: [2, 2], data: someBytes(8, 6) },
    ],
    { metadata: { format: 'pt', 'quantised by': 'é' }, padding: 7 },
  );

  it('a file cut at any byte is refused', async () => {
    writeFileSync(path('cut'), sample);
    for (let size = sample.length - 1; size >= 0; size--) {
      truncateSync(path('cut'), size);
      const found = await outcome(() => openSafetensors(path('cut')));
      if (!(found instanceof AtbError)) throw new Error(`accepted with ${size} of ${sample.length} bytes`);
      expect(found.code).to.match(/^WEIGHT_FILE_(TRUNCATED|LFS)/);
    }
  });

  it('a file with one bit flipped in its header is refused, or differs in one name or one metadata string', async () => {
    writeFileSync(path('flip'), sample);
    const whole = await openSafetensors(path('flip'));
    const headerEnd = 8 + Number(sample.readBigUInt64LE());
    const handle = openSync(path('flip'), 'r+');
    let accepted = 0;
    for (let bit = 0; bit < headerEnd * 8; bit++) {
      const at = bit >> 3;
      writeSync(handle, Uint8Array.of((sample[at] ?? 0) ^ (1 << (bit & 7))), 0, 1, at);
      const found = await outcome(() => openSafetensors(path('flip')));
      writeSync(handle, sample, at, 1, at);
      if (found instanceof AtbError) continue;
      accepted++;
      expect([...found.tensors.values()]).to.deep.equal([...whole.tensors.values()]);
      const strings = (file: SafetensorsFile): string[] => [
        ...file.tensors.keys(),
        ...[...file.metadata].flat(),
      ];
      const before = strings(whole);
      const changed = strings(found).filter((text, index) => text !== before[index]);
      expect(changed, `bit ${bit & 7} of byte ${at}`).to.have.length(1);
    }
    closeSync(handle);
    // The format has no checksum: a name can turn into another name. Most bits are not in names.
    expect(accepted)
      .to.be.greaterThan(100)
      .and.lessThan(headerEnd * 4);
  });

  it('whatever a plain writer writes is read back exactly', async () => {
    await fc.assert(
      fc.asyncProperty(
        tensors,
        metadata,
        fc.nat(9),
        fc.nat(12),
        async (list, strings, padding, metadataAt) => {
          const bytes = safetensorsBytes(list, {
            ...(strings && { metadata: strings }),
            padding,
            metadataAt,
          });
          const found = await open(bytes);
          if (found instanceof AtbError) throw found;
          expect(found.tensors.size).to.equal(list.length);
          for (const { name, dtype, shape, data } of list) {
            const { offset, ...rest } = found.tensors.get(name) ?? { offset: -1 };
            expect(rest).to.deep.equal({ dtype, shape, bytes: data.length });
            expect(bytes.subarray(offset, offset + data.length).equals(data)).to.equal(true);
          }
          expect([...found.metadata]).to.have.deep.members(Object.entries(strings ?? {}));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('whatever else is accepted, a naive reader of the format accepts with the same tensors', async () => {
    const pieces = [
      '"',
      '\\',
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '0',
      '-1',
      '1.5',
      '1e9',
      'null',
      'true',
      ' ',
      '\n',
      '\\u0000',
    ];
    const words = [
      '"shape"',
      '"dtype":"F32"',
      '"data_offsets":[0,4]',
      '9007199254740993',
      '"__metadata__":{}',
      '"__proto__"',
      'é',
      '\ud800',
    ];
    const edit = fc.record({
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      drop: fc.nat(4),
      insert: fc.oneof(fc.constant(''), fc.constantFrom(...pieces), fc.constantFrom(...words)),
    });
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(tensors, metadata, fc.array(edit, { maxLength: 3 }), async (list, strings, edits) => {
        const bytes = safetensorsBytes(list, strings && { metadata: strings });
        const headerEnd = 8 + Number(bytes.readBigUInt64LE());
        let header = bytes.toString('utf8', 8, headerEnd);
        for (const { at, drop, insert } of edits) {
          const cut = Math.floor(at * header.length);
          header = header.slice(0, cut) + insert + header.slice(cut + drop);
        }
        const edited = withHeader(header, bytes.subarray(headerEnd));
        const found = await open(edited);
        if (found instanceof AtbError) return;
        accepted++;
        expect([...found.tensors]).to.have.deep.members([...naiveReading(edited)]);
      }),
      { numRuns: 3000 },
    );
    expect(accepted, 'edits that leave a file valid').to.be.greaterThan(100);
  });

  it('bytes without any form end in a typed refusal', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.boolean(), async (bytes, framed) => {
        const found = await open(framed ? withHeader(Buffer.from(bytes)) : bytes);
        // The two bytes `{}` with their length are a file without tensors.
        if (!(found instanceof AtbError)) expect(found.tensors.size).to.equal(0);
      }),
      { numRuns: 1000, examples: [[new Uint8Array(0), false]] },
    );
  });
});
