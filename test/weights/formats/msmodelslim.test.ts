import { rmSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { Checkpoint } from '../../../src/weights/checkpoint.js';
import type { OpenFormat } from '../../../src/weights/formats/format.js';
import { openFormat } from '../../../src/weights/formats/index.js';
import type { LinearQuant } from '../../../src/weights/quantization.js';
import { quantizationPlan } from '../../../src/weights/quantization.js';
import { failure, safetensorsBytes, temporaryFolder } from '../safetensors-writer.js';

describe('the description of a quantised checkpoint', () => {
  const path = temporaryFolder();
  const file = () => path('quant_model_description.json');
  const write = (content: unknown) =>
    writeFileSync(file(), typeof content === 'string' ? content : JSON.stringify(content));
  const open = () =>
    openFormat({
      directory: path(),
      links: {},
      config: undefined,
      tensors: undefined,
      read: () => Promise.reject(new RangeError('no tensor')),
    });
  const read = async (content: unknown) => {
    write(content);
    return open();
  };
  const quantOf = (format: OpenFormat | undefined, name: string): LinearQuant | undefined =>
    format?.quantOf({ name, tensor: () => undefined }, 'projection');

  it('is absent of a float one', async () => {
    rmSync(file(), { force: true });
    expect(await open()).to.equal(undefined);
  });

  it('says for each tensor how its linear is stored', async () => {
    const found = await read({
      model_quant_type: 'W4A16',
      group_size: 128,
      'a.weight': 'W4A16',
      'b.weight': 'W8A16',
      'c.weight': 'W8A8_DYNAMIC',
      'd.weight': 'FLOAT',
      // What other tools write beside it.
      version: '1.0.0',
      optional: { nested: [1, 2.5, null, { a: true }] },
    });
    expect(found?.method).to.equal('W4A16');
    const forms = ['a', 'b', 'c', 'd', 'unlisted'].map((linear) => {
      const { desc, groupSize, rows } = quantOf(found, linear) ?? {};
      return desc && `${desc}/${groupSize} ${typeof rows}`;
    });
    expect(forms).to.deep.equal([
      'W4A16/128 function',
      'W8A16/0 function',
      'W8A8_DYNAMIC/0 function',
      undefined,
      undefined,
    ]);
  });

  it('refuses types that the engine lacks, when they are needed', async () => {
    const found = await read({ 'a.weight': 'W8A8SC', 'b.weight': 'W8A16' });
    expect(quantOf(found, 'b')?.desc).to.equal('W8A16');
    const error = await failure('WEIGHT_QUANT_TYPE', () => quantOf(found, 'a'));
    expect(error.message).to.match(
      /type of "a.weight" must be one of W8A16, W8A8, W8A8_DYNAMIC, W4A16, FLOAT, found "W8A8SC"/,
    );
  });

  it('refuses groups of no size or of a wild one', async () => {
    const found = await read({ 'a.weight': 'W4A16', group_size: 0 });
    await failure('WEIGHT_QUANT_DESCRIPTION', () => quantOf(found, 'a'));
    for (const size of [-64, 1.5, 2 ** 40]) {
      await failure('WEIGHT_QUANT_DESCRIPTION', () => read({ group_size: size }));
    }
  });

  it('refuses what is no description', async () => {
    await failure('WEIGHT_QUANT_DESCRIPTION', () => read([]));
    await failure('WEIGHT_FILE_JSON', () => read('{"a.weight": "W8A16"'));
    await failure('WEIGHT_FILE_DUPLICATE_KEY', () => read('{"a.weight": "W8A16", "a.weight": "FLOAT"}'));
    await failure('WEIGHT_FILE_TOO_DEEP', () => read(`{"a": ${'['.repeat(99)}${']'.repeat(99)}}`));
  });

  it('belongs to a checkpoint, which cannot be quantised again and notices its change', async () => {
    write({ model_quant_type: 'W8A16', 'a.weight': 'W8A16' });
    const data = new Uint8Array(8);
    writeFileSync(
      path('model.safetensors'),
      safetensorsBytes([{ name: 'a.weight', dtype: 'I8', shape: [2, 4], data }]),
    );
    const checkpoint = await Checkpoint.open(path());
    expect(checkpoint.weights().quantOf('a', 'projection')?.desc).to.equal('W8A16');
    const quantization = quantizationPlan({ quantize: 'w8a16' });
    const error = await failure('WEIGHT_QUANT_AGAIN', () => checkpoint.weights({ quantization }));
    expect(error.message).to.match(/integers already .* says "W8A16"/);
    await checkpoint.checkUnchanged();
    write({ model_quant_type: 'W8A16', 'a.weight': 'FLOAT' });
    await failure('WEIGHT_FILE_CHANGED', () => checkpoint.checkUnchanged());
  });
});
