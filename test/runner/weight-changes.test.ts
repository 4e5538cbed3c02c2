import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  type DType,
  elementCount,
  type FloatDType,
  type Tensor,
  toDType,
  toFloat32,
} from '../../src/dtype.js';
import type { GraphSpec } from '../../src/graph/graph-spec.js';
import { createEngine, type NativeEngine } from '../../src/native/index.js';
import { LAYOUTS } from '../../src/runner/quantized-layouts.js';
import { quantizedTensors } from '../../src/runner/quantized-tensors.js';
import { loadWeights, weightStorage } from '../../src/runner/weight-storage.js';
import { Checkpoint } from '../../src/weights/checkpoint.js';
import { unstacked } from '../../src/weights/expert-stacks.js';
import { Linear, type LinearOptions } from '../../src/weights/linear.js';
import {
  FOUR_BIT_MODES,
  QUANTIZE_MODES,
  type QuantizeMode,
  quantDesc,
  quantizationPlan,
} from '../../src/weights/quantization.js';
import { readTensor } from '../../src/weights/read-tensor.js';
import { consecutiveRows, groupedRows } from '../../src/weights/row-orders.js';
import { unreadTensors } from '../../src/weights/unread-tensors.js';
import {
  constantWeight,
  expertOf,
  plus,
  rowsOf,
  transposed,
  unitRows,
  withRowOrder,
} from '../../src/weights/weight-changes.js';
import type { TensorRef } from '../../src/weights/weights.js';
import { single } from '../native/graphs.js';
import { failure, safetensorsBytes, temporaryFolder } from '../weights/safetensors-writer.js';

const FORMAT = { f32: 'F32', f16: 'F16', bf16: 'BF16', i8: 'I8' } as const;
const K = 64;

/** Numbers of a float dtype that differ. */
function numbers(shape: readonly number[], seed: number, dtype: FloatDType = 'bf16'): Tensor<FloatDType> {
  const values = Float32Array.from(
    { length: elementCount(shape) },
    (_, i) => Math.sin(seed * 101 + i * 1.7) * 0.3,
  );
  return toDType(values, shape, dtype);
}

/** The rows of a matrix or vector by hand. */
const rows = (tensor: Tensor, order: Iterable<number>): Float32Array => {
  const values = toFloat32(tensor);
  const width = values.length / (tensor.shape[0] ?? 1);
  return Float32Array.from([...order].flatMap((row) => [...values.subarray(row * width, (row + 1) * width)]));
};
const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i);

describe('linears that are changed at load', () => {
  const folder = temporaryFolder();
  let engine: NativeEngine;
  beforeEach(() => {
    engine = createEngine({ threads: 2 });
  });
  afterEach(() => engine.dispose());

  let made = 0;
  const checkpointOf = async (
    tensors: Readonly<Record<string, Tensor>>,
    description?: Readonly<Record<string, unknown>>,
  ): Promise<Checkpoint> => {
    const directory = folder(`checkpoint-${made++}`);
    mkdirSync(directory);
    const entries = Object.entries(tensors).map(([name, { dtype, shape, data }]) => ({
      name,
      dtype: FORMAT[dtype as keyof typeof FORMAT],
      shape,
      data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    }));
    writeFileSync(join(directory, 'model.safetensors'), safetensorsBytes(entries));
    if (description)
      writeFileSync(join(directory, 'quant_model_description.json'), JSON.stringify(description));
    return Checkpoint.open(directory);
  };

  const plan = (quantize: QuantizeMode | undefined) =>
    quantize &&
    quantizationPlan({ quantize, ...(FOUR_BIT_MODES.includes(quantize) && { quantGroupSize: 32 }) });
  /** A graph that multiplies by the weight, so that it is packed. */
  const graphOf = (linear: Linear): GraphSpec => {
    if (linear.isFloat)
      return single('Linear', { transposeB: true, hasBias: false }, ['x', linear.weight.name], ['y']);
    const { scale, offset, weight } = linear;
    const names = [weight, scale, offset].flatMap((ref) => (ref ? [ref.name] : []));
    return single(
      `W${linear.desc === 'W4A16' ? 4 : 8}A16MatMul`,
      { transposeB: true },
      ['x', ...names],
      ['y'],
    );
  };
  /** Every tensor of a linear as the engine holds it. */
  const loaded = async (linear: Linear, dtype: FloatDType = 'f32'): Promise<Record<string, Tensor>> => {
    const storage = weightStorage(linear.getWeights());
    await loadWeights(engine, storage, [graphOf(linear)], dtype);
    const names = ['weight', 'scale', 'bias'] as const;
    return Object.fromEntries(
      names.flatMap((kind) => {
        const ref = linear[kind];
        return ref ? [[kind, engine.exportTensor(ref.name)] as const] : [];
      }),
    );
  };

  const qkv = { 'attn.qkv.weight': numbers([64, K], 1), 'attn.qkv.bias': numbers([64], 2) };
  const [q, k, v] = groupedRows({ groups: 4, headsPerGroup: [2, 1, 1], headDim: 4 });
  const reversed = Int32Array.from(range(0, 32)).reverse();
  const grouped: LinearOptions = {
    name: 'packed',
    inFeatures: K,
    hasBias: true,
    parts: [
      { name: 'qkv', outFeatures: 32, rows: q, rowOrder: reversed },
      { name: 'qkv', outFeatures: 16, rows: k },
      { name: 'qkv', outFeatures: 16, rows: v },
    ],
  };
  const orderOf = (each: typeof q): number[] => (each && 'order' in each ? [...each.order] : []);
  const groupedOrder = [...orderOf(q).reverse(), ...orderOf(k), ...orderOf(v)];

  it('take grouped queries, keys and values, weights and biases, in the order that is asked for', async () => {
    const weights = (await checkpointOf(qkv)).weights({ dtype: 'f32' }).at('attn');
    const linear = Linear.load(weights, grouped);
    expect(linear.weightNames()).to.deep.equal(['attn.packed.weight', 'attn.packed.bias']);
    const found = await loaded(linear);
    expect(found.weight?.data).to.deep.equal(rows(qkv['attn.qkv.weight'], groupedOrder));
    expect(found.bias?.data).to.deep.equal(rows(qkv['attn.qkv.bias'], groupedOrder));
  });

  it('are f32 of the f64 that a file holds, rounded once, wherever their rows go', async () => {
    const wide = (length: number) =>
      Float64Array.from({ length }, (_, i) => Math.sin(i * 1.7 + length) * 0.3);
    const stored = { weight: wide(64 * K), bias: wide(64) };
    const directory = folder(`checkpoint-${made++}`);
    mkdirSync(directory);
    const entries = Object.entries(stored).map(([name, { buffer }]) => {
      const shape = name === 'weight' ? [64, K] : [64];
      return { name: `attn.qkv.${name}`, dtype: 'F64', shape, data: new Uint8Array(buffer) };
    });
    writeFileSync(join(directory, 'model.safetensors'), safetensorsBytes(entries));
    const checkpoint = await Checkpoint.open(directory);
    const weights = checkpoint.weights({ dtype: 'f32' }).at('attn');
    const linear = Linear.load(weights, grouped);
    const found = await loaded(linear);
    for (const kind of ['weight', 'bias'] as const) {
      const shape = kind === 'weight' ? [64, K] : [64];
      const tensor: Tensor = { dtype: 'f32', shape, data: Float32Array.from(stored[kind]) };
      expect(found[kind]?.data, kind).to.deep.equal(rows(tensor, groupedOrder));
      expect((await readTensor(weights.get(`qkv.${kind}`, shape))).data).to.deep.equal(tensor.data);
    }
    const matrix = transposed(weights.get('qkv.weight', [64, K]));
    expect((await readTensor(matrix)).data).to.deep.equal(
      Float32Array.from(
        { length: 64 * K },
        (_, i) => stored.weight[(i % 64) * K + Math.floor(i / 64)] as number,
      ),
    );
    expect(unreadTensors(checkpoint, linear.getWeights())).to.deep.equal([]);
  });

  for (const mode of QUANTIZE_MODES) {
    it(`are the same integers whether the rows move before or after: ${mode}`, async () => {
      const numbersOf = { dtype: 'bf16', quantization: plan(mode) } as const;
      const whole = await loaded(
        Linear.load((await checkpointOf(qkv)).weights(numbersOf).at('attn'), {
          parts: [{ name: 'qkv', outFeatures: 64 }],
          inFeatures: K,
          hasBias: true,
        }),
      );
      const moved = await loaded(
        Linear.load((await checkpointOf(qkv)).weights(numbersOf).at('attn'), grouped),
      );
      for (const kind of ['weight', 'scale', 'bias'] as const) {
        const [from, to] = [whole[kind], moved[kind]];
        const width = elementCount(from?.shape.slice(1) ?? []);
        const values = (from?.data ?? []) as Float32Array | Int8Array;
        const expected = groupedOrder.flatMap((row) => [...values.subarray(row * width, (row + 1) * width)]);
        expect([...(to?.data ?? [])], kind).to.deep.equal(expected);
      }
    });

    it(`are the same integers out of a quantised checkpoint, and its scales take factors: ${mode}`, async () => {
      const float = await checkpointOf(qkv);
      const atLoad = Linear.load(
        float.weights({ dtype: 'bf16', quantization: plan(mode) }).at('attn'),
        grouped,
      );
      const { forms, keptFloat } = quantizedTensors(float, atLoad.getWeights(), LAYOUTS.msmodelslim);
      expect(keptFloat).to.deep.equal([]);
      const form = forms.get('attn.qkv.weight');
      expect([...forms.keys()]).to.deep.equal(['attn.qkv.weight']);
      const expected = await loaded(atLoad);
      const whole = await loaded(
        Linear.load(float.weights({ dtype: 'bf16', quantization: plan(mode) }).at('attn'), {
          parts: [{ name: 'qkv', outFeatures: 64 }],
          inFeatures: K,
        }),
      );
      const desc = form && quantDesc(form);
      const quantised = await checkpointOf(
        {
          'attn.qkv.weight': whole.weight as Tensor,
          'attn.qkv.weight_scale': whole.scale as Tensor,
          'attn.qkv.bias': qkv['attn.qkv.bias'],
        },
        { 'attn.qkv.weight': desc, ...(FOUR_BIT_MODES.includes(mode) && { group_size: 32 }) },
      );
      const stored = quantised.weights({ dtype: 'bf16' }).at('attn');
      expect(await loaded(Linear.load(stored, grouped))).to.deep.equal(expected);
      const [first, ...others] = grouped.parts;
      const doubled = await loaded(
        Linear.load(stored, { ...grouped, parts: [{ ...first, times: 2 }, ...others] }),
      );
      expect(doubled.weight).to.deep.equal(expected.weight);
      const twice = (tensor: Tensor | undefined) => {
        const values = toFloat32(tensor as Tensor);
        return values.map((value, i) => (i < values.length / 2 ? value * 2 : value));
      };
      expect(toFloat32(doubled.scale as Tensor)).to.deep.equal(twice(expected.scale));
      expect(toFloat32(doubled.bias as Tensor)).to.deep.equal(twice(expected.bias));
    });
  }

  it('transpose what Conv1D stores, split it, multiply it, and fill in a missing bias', async () => {
    const tensors = { 'c_attn.weight': numbers([K, 48], 3), 'c_attn.bias': numbers([48], 4) };
    const [query, key] = consecutiveRows([32, 16]);
    const weights = (await checkpointOf(tensors)).weights({ dtype: 'f32' });
    const linear = Linear.load(weights, {
      name: 'qk',
      inFeatures: K,
      hasBias: true,
      parts: [
        { name: 'c_attn', outFeatures: 32, rows: query, transposed: true, times: 0.5 },
        { name: 'c_attn', outFeatures: 16, rows: key, transposed: true, hasBias: false },
      ],
    });
    const found = await loaded(linear);
    const stored = toFloat32(tensors['c_attn.weight']);
    const expected = range(0, 48).flatMap((row) =>
      range(0, K).map((i) => (stored[i * 48 + row] as number) * (row < 32 ? 0.5 : 1)),
    );
    expect([...(found.weight?.data ?? [])]).to.deep.equal(expected);
    const bias = toFloat32(tensors['c_attn.bias']);
    expect([...(found.bias?.data ?? [])]).to.deep.equal([
      ...bias.subarray(0, 32).map((x) => x * 0.5),
      ...Array(16).fill(0),
    ]);
    // What JavaScript reads is what the engine reads.
    expect([...toFloat32(await readTensor(linear.weight))]).to.deep.equal(expected);
    expect((await readTensor(linear.bias as TensorRef)).dtype).to.equal('bf16');
  });

  it('refuse orders of another length, and to transpose integers that share bytes', async () => {
    const weights = (await checkpointOf(qkv)).weights({ dtype: 'f32' }).at('attn');
    const short = { name: 'qkv', outFeatures: 64, rowOrder: Int32Array.of(1, 0) };
    const error = await failure('WEIGHT_CHANGE_INVALID', () =>
      Linear.load(weights, { parts: [short], inFeatures: K }),
    );
    expect(error.message).to.contain(
      '"attn.qkv.weight" wants an order of 64 rows, as outFeatures says, found 2',
    );
    const integers = await checkpointOf(
      {
        'w.weight': { dtype: 'i8', shape: [K / 2, 16], data: new Int8Array((K / 2) * 16) },
        'w.weight_scale': numbers([16, 2], 1, 'f32'),
      },
      { 'w.weight': 'W4A16', group_size: 32 },
    );
    await failure('WEIGHT_CHANGE_INVALID', () =>
      Linear.load(integers.weights(), {
        parts: [{ name: 'w', outFeatures: 16, transposed: true }],
        inFeatures: K,
      }),
    );
  });

  it('are kept as floats in a quantised checkpoint where rounding comes after the change', async () => {
    const tensors = {
      'a.weight': numbers([K, 32], 1),
      'b.weight': numbers([32, K], 2),
      'c.weight': numbers([32, K], 3),
      'd.weight': numbers([32, K], 4),
      'e.weight': numbers([32, K], 5),
      'f.weight': numbers([32, K], 6),
      // Of two experts, one below the other.
      'experts.w1': numbers([64, K], 7),
    };
    const checkpoint = await checkpointOf(tensors);
    const weights = checkpoint.weights({ dtype: 'bf16', quantization: plan('w8a16') });
    const load = (name: string, parts: LinearOptions['parts']) =>
      Linear.load(weights, { name, parts, inFeatures: K });
    const part = (name: string, change: object = {}) => ({ name, outFeatures: 32, ...change });
    const linears = [
      load('a', [part('a', { transposed: true })]),
      load('bc', [part('b', { times: 3 }), part('c')]),
      load('d', [part('d')]),
      load('f', [part('f', { unitRows: true })]),
      load('e', [part('e')]),
      Linear.load(unstacked(weights.at('experts'), { 'up.weight': { tensor: 'w1', rows: 32 } }), {
        name: 'up',
        parts: [part('1.up')],
        inFeatures: K,
      }),
    ];
    const table = plus(weights.get('e.weight', [32, K]), 1);
    const refs = [...linears.flatMap((linear) => linear.getWeights()), table];
    const { forms, keptFloat } = quantizedTensors(checkpoint, refs, LAYOUTS.msmodelslim);
    expect([...forms.keys()]).to.deep.equal(['d.weight']);
    expect(Object.fromEntries(keptFloat.map(({ name, reason }) => [name, reason]))).to.deep.equal({
      'a.weight': 'it is transposed while it is loaded',
      'b.weight': 'its numbers are changed while it is loaded',
      'c.weight': 'it is packed with "b.weight", which stays floats',
      'e.weight': '"e.weight" reads it as floats',
      'f.weight': 'its numbers are changed while it is loaded',
      'experts.w1': 'it is a stack of matrices',
    });
  });
});

describe('weights beside linears', () => {
  const folder = temporaryFolder();
  it('are changed by the engine and by readTensor alike', async () => {
    const file = folder('model.safetensors');
    const experts = numbers([3, 8, 5], 6);
    const norm = numbers([8], 7);
    const head = numbers([4, 5], 8);
    const data = ({ data: values }: Tensor) => new Uint8Array(values.buffer);
    writeFileSync(
      file,
      safetensorsBytes([
        { name: 'experts', dtype: 'BF16', shape: [3, 8, 5], data: data(experts) },
        { name: 'norm', dtype: 'BF16', shape: [8], data: data(norm) },
        { name: 'head', dtype: 'BF16', shape: [4, 5], data: data(head) },
      ]),
    );
    const weights = (await Checkpoint.openFile(file)).weights({ dtype: 'f32' });
    const refs = [
      transposed(expertOf(weights.get('experts', [3, 8, 5]), 1)),
      plus(weights.get('norm', [8]), 1),
      constantWeight('beta', [8], 0.5),
      unitRows(weights.get('head', [4, 5])),
    ];
    const engine = createEngine({ threads: 1 });
    try {
      await loadWeights(engine, weightStorage(refs), [], 'f32');
      const [expert, gain, beta, unit] = refs.map(
        ({ name }) => engine.exportTensor(name).data as Float32Array,
      );
      const stored = toFloat32(experts);
      expect(expert).to.deep.equal(
        Float32Array.from({ length: 40 }, (_, i) => stored[40 + (i % 8) * 5 + Math.floor(i / 8)] as number),
      );
      expect(gain).to.deep.equal(toFloat32(norm).map((x) => Math.fround(x) + 1));
      expect(beta).to.deep.equal(new Float32Array(8).fill(0.5));
      for (let row = 0; row < 4; row++)
        expect(Math.hypot(...(unit as Float32Array).subarray(5 * row, 5 * row + 5))).to.be.closeTo(1, 1e-6);
      for (const ref of refs) {
        const { dtype, data: read } = await readTensor(ref);
        const bits = toDType(
          engine.exportTensor(ref.name).data as Float32Array,
          ref.shape,
          dtype as FloatDType,
        );
        expect(read).to.deep.equal(bits.data);
      }
    } finally {
      engine.dispose();
    }
  });
});

describe('tensors that a model does not read', () => {
  const tensor = (offset: number, shape: readonly number[], dtype: DType = 'bf16') => ({
    file: 'f',
    offset,
    shape,
    dtype: dtype.toUpperCase(),
    bytes: elementCount(shape) * 2,
  });
  const tensors = new Map([
    ['a', tensor(0, [6, 4])],
    ['b', tensor(48, [2, 5, 3])],
    ['c', tensor(108, [4, 6])],
    ['none', tensor(108, [0])],
  ]);
  const ref = (name: string): TensorRef => {
    const { file, offset, shape } = tensors.get(name) as ReturnType<typeof tensor>;
    return { name, dtype: 'bf16', shape, parts: [{ file, offset, dtype: 'bf16', shape }] };
  };

  it('are told by their bytes, in the order of the checkpoint', () => {
    expect(unreadTensors({ tensors }, [])).to.deep.equal([
      { name: 'a', bytes: 48, unreadBytes: 48 },
      { name: 'b', bytes: 60, unreadBytes: 60 },
      { name: 'c', bytes: 48, unreadBytes: 48 },
    ]);
    expect(unreadTensors({ tensors }, [ref('a'), ref('b'), transposed(ref('c'))])).to.deep.equal([]);
  });

  it('count where a part of them is not read', () => {
    const some = [
      rowsOf(ref('a'), 0, 2),
      withRowOrder(ref('a'), Int32Array.of(5, 1, 5)),
      expertOf(ref('b'), 1),
      rowsOf(transposed(ref('c')), 1, 3),
    ];
    expect(unreadTensors({ tensors }, some)).to.deep.equal([
      { name: 'a', bytes: 48, unreadBytes: 24 },
      { name: 'b', bytes: 60, unreadBytes: 30 },
      { name: 'c', bytes: 48, unreadBytes: 24 },
    ]);
  });
});
