import { writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { toFloat32 } from '../../../src/dtype.js';
import { createEngine } from '../../../src/native/index.js';
import { weightLoads } from '../../../src/runner/weight-storage.js';
import { Checkpoint } from '../../../src/weights/checkpoint.js';
import { ExpertLinear } from '../../../src/weights/expert-linear.js';
import { safetensorsBytes, temporaryFolder } from '../safetensors-writer.js';

const [N, K] = [16, 64];

describe('experts of integers', () => {
  const path = temporaryFolder();
  const f32 = (values: readonly number[]) => new Uint8Array(Float32Array.from(values).buffer);

  /** A checkpoint of MindIE's W8A16 with the offset of all outputs of each expert. */
  async function load(offsets: readonly number[]): Promise<ExpertLinear> {
    const tensors = offsets.flatMap((offset, expert) => [
      {
        name: `${expert}.up_proj.weight`,
        dtype: 'I8',
        shape: [N, K],
        data: new Uint8Array(N * K).fill(expert),
      },
      { name: `${expert}.up_proj.weight_scale`, dtype: 'F32', shape: [N, 1], data: f32(Array(N).fill(0.5)) },
      {
        name: `${expert}.up_proj.weight_offset`,
        dtype: 'F32',
        shape: [N, 1],
        data: f32(Array(N).fill(offset)),
      },
    ]);
    writeFileSync(path('model.safetensors'), safetensorsBytes(tensors));
    const types = offsets.map((_, expert) => [`${expert}.up_proj.weight`, 'W8A16']);
    writeFileSync(path('quant_model_description.json'), JSON.stringify(Object.fromEntries(types)));
    return ExpertLinear.load((await Checkpoint.open(path())).weights({ dtype: 'f32' }), {
      name: 'up_proj',
      experts: offsets.length,
      of: (expert) => ({ parts: [{ name: `${expert}.up_proj`, outFeatures: N }], inFeatures: K }),
    });
  }

  it('have zeros beside the offsets of others', async () => {
    const linear = await load([0, 3, 0]);
    expect(linear.hasOffset).to.equal(true);
    const engine = createEngine({ threads: 1 });
    try {
      const loads = weightLoads(linear.getWeights(), [], 'f32');
      await engine.loadWeights(
        loads.map((each) => (each.quantize ? { ...each, layout: 'linear' as const } : each)),
      );
      const [weight = '', , offset = ''] = linear.weightNames();
      expect(engine.exportTensor(weight).shape).to.deep.equal([3, N, K]);
      // MindIE takes its offsets away.
      const expected = [0, -3, 0].flatMap((each) => Array(N).fill(each) as number[]);
      expect([...toFloat32(engine.exportTensor(offset))]).to.deep.equal(expected);
    } finally {
      engine.dispose();
    }
  });

  it('have none where all are symmetric', async () => {
    const linear = await load([0, 0]);
    expect(linear.hasOffset).to.equal(false);
    expect(linear.getWeights().find(({ name }) => name.endsWith('weight_offset'))?.parts).to.deep.equal([]);
  });
});
