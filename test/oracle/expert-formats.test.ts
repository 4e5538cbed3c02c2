import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { type FloatDType, type Tensor, toDType, toFloat32 } from '../../src/dtype.js';
import type { ErrorCode } from '../../src/errors.js';
import { AtbGraph } from '../../src/graph/atb-graph.js';
import { flatten } from '../../src/graph/flatten.js';
import { legalityProblems } from '../../src/graph/legality.js';
import { applyPass, applyPasses } from '../../src/graph/passes/index.js';
import { standInPass } from '../../src/graph/passes/stand-ins.js';
import { Experts } from '../../src/layers/experts/experts.js';
import { availableIsas, createEngine } from '../../src/native/index.js';
import { loadWeights, weightStorage } from '../../src/runner/weight-storage.js';
import { Checkpoint } from '../../src/weights/checkpoint.js';
import { weightDesc } from '../../src/weights/weights.js';
import { failure, safetensorsBytes, temporaryFolder } from '../weights/safetensors-writer.js';
import { readTensors } from './fixtures.js';

/** Mixtures of experts as other tools store them (tools/oracle/make_expert_fixtures.py). */
const FIXTURES = join(import.meta.dirname, '../../../test/fixtures/expert-formats');
const CONFIGS: Readonly<Record<string, object>> = JSON.parse(
  readFileSync(join(FIXTURES, 'cases.json'), 'utf8'),
);
const CASES = [...Object.keys(CONFIGS), 'msmodelslim-static'];
const SIZES = {
  hiddenSize: 96,
  numExperts: 3,
  numExpertsPerToken: 2,
  moeIntermediateSize: 64,
  hiddenAct: 'silu',
} as const;
const STEP = ['x', 'chosen', 'probs'];

describe('mixtures of experts as other tools publish them', () => {
  const path = temporaryFolder();

  async function load(
    fixture: string,
    dtype: FloatDType,
    file = join(FIXTURES, `${fixture}.safetensors`),
  ): Promise<Experts> {
    rmSync(path('quant_model_description.json'), { force: true });
    if (file !== path('model.safetensors')) copyFileSync(file, path('model.safetensors'));
    const { [fixture]: config } = CONFIGS;
    if (config === undefined) {
      const linears = [...(await Checkpoint.openFile(file)).tensors.keys()].filter((name) =>
        /weight$/.test(name),
      );
      const types = Object.fromEntries(linears.map((name) => [name, 'W8A8']));
      writeFileSync(path('quant_model_description.json'), JSON.stringify(types));
    }
    const checkpoint = await Checkpoint.open(path(), {
      config: config ? { quantization_config: config } : {},
    });
    return new Experts(SIZES, checkpoint.weights({ dtype }));
  }

  function graphOf(experts: Experts) {
    const graph = new AtbGraph('experts');
    const weights = experts.getWeights().map(({ name }) => name);
    graph.addInputOutput({ input: [...STEP, ...weights], output: ['experts_out'] });
    experts.buildGraph(graph, 'x', { chosen: 'chosen', probs: 'probs' });
    return graph.build();
  }

  const isas = availableIsas();
  for (const [index, fixture] of CASES.entries()) {
    const isa = isas[index % isas.length] as string;
    it(`are what their tools make of them: ${fixture}, ${isa} kernels`, async () => {
      const tensors = await readTensors(join(FIXTURES, `${fixture}.safetensors`));
      const [input, chosen, probs, output] = ['input', 'chosen', 'probs', 'output'].map((name) =>
        tensors.get(name),
      ) as [Tensor, Tensor, Tensor, Tensor];
      const expected = toFloat32(output);
      const most = Math.max(...expected.map(Math.abs));
      // Without passes 4 bits are multiplied with floats, as ATB has it.
      const isDynamic = fixture.endsWith('tokens');
      for (const [dtype, passes] of [
        ['f32', 'all'],
        ['f32', 'none'],
        ['bf16', 'all'],
      ] as const) {
        if (isDynamic && passes === 'none') continue;
        const experts = await load(fixture, dtype);
        const engine = createEngine({ threads: 2, isa });
        const storage = weightStorage(experts.getWeights());
        const spec = applyPasses(graphOf(experts), passes);
        await loadWeights(engine, storage, [spec], dtype);
        const x = toDType(toFloat32(input), input.shape, dtype);
        const step = { x, chosen, probs };
        const { outputs } = await engine.forward(applyPass(spec, standInPass(storage.standIns, dtype)), step);
        engine.dispose();
        const found = toFloat32(outputs.experts_out as Tensor);
        const operations = new Set(spec.nodes.flatMap(({ op }) => ('type' in op ? [op.type] : [])));
        expect(operations.has('FusedExperts'), passes).to.equal(passes === 'all');
        // Inputs of bf16 may round to another of the 255 whole numbers.
        const tolerance = (dtype === 'f32' ? 1e-5 : 0.03) * most;
        for (const [i, value] of expected.entries()) expect(found[i], `${i}`).to.be.closeTo(value, tolerance);
      }
    });
  }

  it('are named as extensions where ATB cannot say what becomes of their rows', async () => {
    for (const [fixture, keys] of [
      ['gptq-order', ['hasChannels is an extension key']],
      ['msmodelslim-static', ['staticActivations is an extension key']],
      ['compressed-tensors-tokens', []],
    ] as const) {
      const experts = await load(fixture, 'bf16');
      const weights = experts.getWeights().map((ref) => [ref.name, weightDesc(ref, 'bf16')] as const);
      const step = [
        ['x', { dtype: 'bf16', shape: [6, 96] }],
        ['chosen', { dtype: 'i32', shape: [6, 2] }],
        ['probs', { dtype: 'bf16', shape: [6, 2] }],
      ] as const;
      const { graph } = flatten(graphOf(experts), new Map([...step, ...weights]));
      expect([...new Set(legalityProblems(graph).map(({ text }) => text))], fixture).to.deep.equal(keys);
    }
  });

  const i32 = (length: number, value: number) => new Uint8Array(new Int32Array(length).fill(value).buffer);
  for (const [title, fixture, changed, bytes, code, says] of [
    [
      'an order that has a group too often',
      'gptq-order',
      '1.down_proj.g_idx',
      i32(64, 0),
      'WEIGHT_QUANT_CONTRADICTION',
      /1\.down_proj\.g_idx.*64 channels in group 0/,
    ],
    [
      'a group that there is not',
      'compressed-tensors-order',
      '2.up_proj.weight_g_idx',
      i32(96, 3),
      'WEIGHT_QUANT_CONTRADICTION',
      /2\.up_proj\.weight_g_idx.*group 3/,
    ],
    [
      'gate and up in different orders',
      'compressed-tensors-order',
      '2.up_proj.weight_g_idx',
      undefined,
      'WEIGHT_QUANT_MIXED',
      /2\.gate_proj.*in the order.*2\.up_proj/,
    ],
    [
      'gate and up of inputs with different scales',
      'compressed-tensors-static',
      '1.up_proj.input_scale',
      new Uint8Array(Float32Array.of(7).buffer),
      'WEIGHT_QUANT_MIXED',
      /1\.up_proj W8A8\/0 of inputs \/ 7/,
    ],
    [
      'an expert without a scale for its inputs',
      'msmodelslim-static',
      '2.down_proj.input_scale',
      undefined,
      'WEIGHT_QUANT_CONTRADICTION',
      /2\.down_proj\.input_scale.*does not exist/,
    ],
    [
      'an expert without quant_bias',
      'msmodelslim-static',
      '2.down_proj.quant_bias',
      undefined,
      'WEIGHT_NOT_FOUND',
      /2\.down_proj\.quant_bias/,
    ],
  ] as const) {
    it(`are refused with ${title}`, async () => {
      const file = join(FIXTURES, `${fixture}.safetensors`);
      const stored = readFileSync(file);
      const tensors = [...(await Checkpoint.openFile(file)).tensors].flatMap(
        ([name, { dtype, shape, offset, bytes: length }]) => {
          const data = name === changed ? bytes : new Uint8Array(stored.subarray(offset, offset + length));
          return data ? [{ name, dtype, shape, data }] : [];
        },
      );
      writeFileSync(path('model.safetensors'), safetensorsBytes(tensors));
      const broken = () => load(fixture, 'f32', path('model.safetensors'));
      expect((await failure(code as ErrorCode, broken)).message).to.match(says);
    });
  }
});
