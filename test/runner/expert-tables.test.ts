import { closeSync, openSync, writeSync } from 'node:fs';
import { expect } from 'chai';
import { getModel } from '../../src/models/get-model.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import { weightLoads } from '../../src/runner/weight-storage.js';
import { Checkpoint } from '../../src/weights/checkpoint.js';
import { Weights, weightDesc } from '../../src/weights/weights.js';
import { familyCheckpoint } from '../oracle/families.js';
import { failure } from '../weights/safetensors-writer.js';

const TABLE = 'model.layers.0.ffn.gate.tid2eid';
/** Of 128 tokens, two of four experts each. */
const COLUMNS = 2;

describe('tables of the experts of each token', () => {
  let source: ReturnType<typeof familyCheckpoint>;
  beforeEach(() => {
    source = familyCheckpoint('deepseek_v4');
  });
  afterEach(() => source.remove());

  it('keep their numbers in models of bf16, where 257 would become 256', async () => {
    const router = await getModel(source.path);
    const checkpoint = await Checkpoint.open(source.path);
    const model = router.createModel(new Weights(checkpoint, '', { dtype: 'bf16' }));
    const table = model.getWeights().find(({ name }) => name.endsWith('tid2eid'));
    if (table === undefined) throw new Error('no table');
    expect(weightLoads([table], [], 'bf16')).to.have.nested.property('[0].dtype', 'f32');
    expect(weightDesc(table, 'bf16').dtype).to.equal('f32');
  });

  for (const [number, at] of [
    [-3, 7],
    [4, 0],
    [2 ** 40, 255],
  ] as const) {
    it(`are refused with the number ${number} before anything is loaded`, async () => {
      const { file = '', offset = 0 } = (await Checkpoint.open(source.path)).tensors.get(TABLE) ?? {};
      const handle = openSync(file, 'r+');
      writeSync(handle, new BigInt64Array([BigInt(number)]), 0, 8, offset + 8 * at);
      closeSync(handle);
      const load = () => ModelRunner.load({ modelPath: source.path, numBlocks: 4, threads: 1 });
      const { message } = await failure('WEIGHT_NUMBERS_INVALID', load);
      const place = `\\[${Math.floor(at / COLUMNS)},${at % COLUMNS}\\]`;
      expect(message).to.match(
        new RegExp(
          `ffn.gate.tid2eid" in .* must hold whole numbers from 0 to 3, found ${number} at ${place}`,
        ),
      );
    });
  }
});
