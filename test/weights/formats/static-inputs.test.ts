import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { buildLinear } from '../../../src/common-op-builders/linear.js';
import { type FloatDType, type Tensor, toDType, toFloat32 } from '../../../src/dtype.js';
import type { ErrorCode } from '../../../src/errors.js';
import { AtbGraph } from '../../../src/graph/atb-graph.js';
import { flatten } from '../../../src/graph/flatten.js';
import { legalityProblems } from '../../../src/graph/legality.js';
import { problemText } from '../../../src/graph/legality-problem.js';
import { availableIsas, createEngine } from '../../../src/native/index.js';
import { weightLoads } from '../../../src/runner/weight-storage.js';
import { Checkpoint } from '../../../src/weights/checkpoint.js';
import { ExpertLinear } from '../../../src/weights/expert-linear.js';
import { Linear } from '../../../src/weights/linear.js';
import { Weights, weightDesc } from '../../../src/weights/weights.js';
import { readTensors } from '../../oracle/fixtures.js';
import { failure, safetensorsBytes, temporaryFolder } from '../safetensors-writer.js';

/** Products whose inputs have one scale (tools/oracle/make_static_input_fixtures.py). */
const FIXTURES = join(import.meta.dirname, '../../../../test/fixtures/static-inputs');
const NAME = 'layer.proj';
const CONFIG = {
  quant_method: 'compressed-tensors',
  format: 'int-quantized',
  config_groups: {
    group_0: {
      targets: ['Linear'],
      weights: { num_bits: 8, type: 'int', symmetric: true, strategy: 'channel' },
      input_activations: { num_bits: 8, type: 'int', symmetric: true, strategy: 'tensor', dynamic: false },
    },
  },
};

describe('products of int8 whose inputs have one scale', () => {
  const path = temporaryFolder();

  async function load(fixture: string, dtype: FloatDType, file = join(FIXTURES, `${fixture}.safetensors`)) {
    const isMindie = fixture.startsWith('msmodelslim');
    rmSync(path('quant_model_description.json'), { force: true });
    if (isMindie)
      writeFileSync(path('quant_model_description.json'), JSON.stringify({ [`${NAME}.weight`]: 'W8A8' }));
    if (file !== path('model.safetensors')) copyFileSync(file, path('model.safetensors'));
    const config = isMindie ? {} : { quantization_config: CONFIG };
    const checkpoint = await Checkpoint.open(path(), { config });
    const [outFeatures, inFeatures] = [24, 96];
    const hasBias = fixture !== 'compressed-tensors';
    const options = { parts: [{ name: NAME, outFeatures }], inFeatures, hasBias } as const;
    return Linear.load(checkpoint.weights({ dtype }), options);
  }

  function graphOf(linear: Linear) {
    const graph = new AtbGraph('product');
    graph.addInputOutput({ input: ['x', ...linear.getWeights().map(({ name }) => name)], output: ['y'] });
    buildLinear(graph, 'product', linear, { input: 'x', linearOut: 'y' });
    return graph.build();
  }

  for (const [index, fixture] of readdirSync(FIXTURES)
    .map((file) => file.replace('.safetensors', ''))
    .entries()) {
    const isas = availableIsas();
    const isa = isas[index % isas.length] as string;
    it(`are what their tools make of them: ${fixture}, ${isa} kernels`, async () => {
      const tensors = await readTensors(join(FIXTURES, `${fixture}.safetensors`));
      const expected = toFloat32(tensors.get('output') as Tensor);
      const input = toFloat32(tensors.get('input') as Tensor);
      for (const dtype of ['f32', 'f16', 'bf16'] as const) {
        const linear = await load(fixture, dtype);
        const engine = createEngine({ threads: 2, isa });
        const loads = weightLoads(linear.getWeights(), [], dtype);
        await engine.loadWeights(loads.map((each) => (each.quantize ? { ...each, layout: 'linear' } : each)));
        const weights = linear.getWeights().map(({ name }) => [name, engine.exportTensor(name)] as const);
        const x = toDType(input, [5, 96], dtype);
        const { outputs } = await engine.forward(graphOf(linear), { x, ...Object.fromEntries(weights) });
        engine.dispose();
        const found = toFloat32(outputs.y as Tensor);
        // Inputs of 16 bits may round to another of the 255 whole numbers, which then weighs up to 0.15 * 0.02.
        const tolerance = dtype === 'f32' ? 1e-6 : dtype === 'f16' ? 0.006 : 0.04;
        for (const [i, value] of expected.entries()) expect(found[i], `${i}`).to.be.closeTo(value, tolerance);
      }
    });
  }

  it('are legal in ATB with 16 bits, whose scales are words where results are f16', async () => {
    for (const [dtype, scale] of [
      ['bf16', 'float'],
      ['f16', 'int64'],
    ] as const) {
      const linear = await load('msmodelslim', dtype);
      const descs = linear.getWeights().map((ref) => [ref.name, weightDesc(ref, dtype)] as const);
      const { graph: flat } = flatten(graphOf(linear), new Map([['x', { dtype, shape: [5, 96] }], ...descs]));
      expect(legalityProblems(flat).map(problemText)).to.deep.equal([]);
      expect(flat.inputs[`${NAME}.deq_scale`]).to.deep.equal({ dtype: scale, shape: [24] });
      expect(flat.inputs[`${NAME}.input_offset`]?.dtype).to.equal('int8');
    }
  });

  it('are refused for experts that have biases of floats beside them', async () => {
    const find = (name: string, shape: readonly number[]) =>
      ({ name, dtype: name.endsWith('bias') ? 'f32' : 'i8', shape, parts: [] }) as const;
    const quant = {
      desc: 'W8A8',
      groupSize: 0,
      input: { scale: 1, offset: 0 },
      rows: () => ({ weight: find('w', [8, 32]), scale: { ...find('s', [8, 1]), dtype: 'f32' as const } }),
    } as const;
    const source = { label: 'files', has: () => false, find, quantOf: () => quant };
    const experts = {
      name: 'experts',
      experts: 2,
      of: (expert: number) =>
        ({ parts: [{ name: `${expert}.up_proj`, outFeatures: 8 }], inFeatures: 32, hasBias: true }) as const,
    };
    const load = () => ExpertLinear.load(new Weights(source, '', { dtype: 'bf16' }), experts);
    expect((await failure('WEIGHT_QUANT_EXPERTS', load)).message).to.match(/biases of floats/);
  });

  const f32 = (...values: number[]) => ({
    dtype: 'F32',
    shape: [values.length],
    data: new Uint8Array(Float32Array.from(values).buffer),
  });
  for (const [title, suffix, changed, code, says] of [
    ['no scale', 'input_scale', undefined, 'WEIGHT_QUANT_CONTRADICTION', /input_scale.*does not exist/],
    ['a scale of 0', 'input_scale', f32(0), 'WEIGHT_QUANT_CONTRADICTION', /input_scale" in the files is 0/],
    ['a scale of NaN', 'input_scale', f32(NaN), 'WEIGHT_QUANT_CONTRADICTION', /is NaN/],
    ['two scales', 'input_scale', f32(1, 2), 'WEIGHT_QUANT_CONTRADICTION', /has 2 numbers/],
    ['half an offset', 'input_offset', f32(0.5), 'WEIGHT_QUANT_CONTRADICTION', /is 0.5, not a whole number/],
    ['a wild offset', 'input_offset', f32(128), 'WEIGHT_QUANT_CONTRADICTION', /is 128/],
    ['no quant_bias', 'quant_bias', undefined, 'WEIGHT_NOT_FOUND', /quant_bias/],
    ['a quant_bias of floats', 'quant_bias', f32(...new Float32Array(24)), 'WEIGHT_DTYPE_UNSUPPORTED', /f32/],
    ['too few scales', 'deq_scale', f32(1, 2, 3), 'WEIGHT_SHAPE_MISMATCH', /deq_scale/],
  ] as const) {
    it(`are refused with ${title}`, async () => {
      const file = join(FIXTURES, 'msmodelslim.safetensors');
      const bytes = readFileSync(file);
      const stored = await Checkpoint.openFile(file);
      const tensors = [...stored.tensors].flatMap(([name, { dtype, shape, offset, bytes: length }]) => {
        if (name !== `${NAME}.${suffix}`)
          return [{ name, dtype, shape, data: new Uint8Array(bytes.subarray(offset, offset + length)) }];
        return changed ? [{ name, ...changed }] : [];
      });
      writeFileSync(path('model.safetensors'), safetensorsBytes(tensors));
      const broken = () => load('msmodelslim', 'f32', path('model.safetensors'));
      expect((await failure(code as ErrorCode, broken)).message).to.match(says);
    });
  }
});
