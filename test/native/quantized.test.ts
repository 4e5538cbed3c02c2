import { writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { type DType, type Tensor, toDType, toFloat32 } from '../../src/dtype.js';
import { availableIsas, createEngine, type NativeEngine, type WeightLoad } from '../../src/native/index.js';
import { expectNative, f32, i32, numbers, sameCaches, single, temporaryFolder } from './graphs.js';

const i8 = (shape: readonly number[], data: Iterable<number>): Tensor<'i8'> => ({
  dtype: 'i8',
  shape,
  data: Int8Array.from(data),
});

const floatsOf = (tensor: Tensor | undefined): number[] => [...toFloat32(tensor as Tensor)];

/** Numbers in [-1, 1) that look random. */
function* random(count: number, seed = 1): Generator<number> {
  let state = seed;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state / 2 ** 31 - 1;
  }
}

const floats = (count: number, seed?: number): Float32Array => Float32Array.from(random(count, seed));

/** x [m, k] times the transpose of w [n, k]. */
function product(x: ArrayLike<number>, w: ArrayLike<number>, k: number): number[] {
  const [m, n] = [x.length / k, w.length / k];
  return Array.from({ length: m * n }, (_, at) => {
    const [row, column] = [Math.floor(at / n), at % n];
    let sum = 0;
    for (let i = 0; i < k; i++) sum += (x[row * k + i] as number) * (w[column * k + i] as number);
    return sum;
  });
}

function expectClose(found: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(found.length).to.equal(expected.length);
  for (let i = 0; i < expected.length; i++)
    expect(found[i], `element ${i}`).to.be.closeTo(expected[i] as number, tolerance);
}

for (const isa of availableIsas()) {
  describe(`operations on integers, ${isa} kernels`, () => {
    let engine: NativeEngine;
    before(() => {
      engine = createEngine({ threads: 2, isa });
    });
    after(() => engine.dispose());

    const run = async (
      type: string,
      param: object,
      inputs: Readonly<Record<string, Tensor>>,
      outputs = ['y'],
    ) => (await engine.forward(single(type, param, Object.keys(inputs), outputs), inputs)).outputs;

    it('W8A16MatMul multiplies by (w + offset) * scale and adds the bias', async () => {
      const inputs = {
        x: f32([2, 3], [1, 2, 3, -4, 0.5, 6]),
        w: i8([2, 3], [10, -20, 30, 127, -128, 1]),
        scale: f32([2], [0.5, 2]),
        offset: f32([2], [0, 0]),
        bias: f32([2], [1, -1]),
      };
      const param = { transposeB: true, hasBias: true };
      const { y } = await run('W8A16MatMul', param, inputs);
      expect(numbers(y)).to.deep.equal([31, -253, 66, -1133]);
      const asymmetric = await run('W8A16MatMul', param, { ...inputs, offset: f32([2], [4, -1]) });
      expect(numbers(asymmetric.y)).to.deep.equal([43, -265, 71, -1138]);
    });

    it('ELEWISE_QUANT_PER_CHANNEL rounds to the nearest even whole number that int8 has', async () => {
      const x = f32([2, 4], [0.5, 1.5, -2.5, 1000, -1000, 3, NaN, 0]);
      const param = { elewiseType: 'ELEWISE_QUANT_PER_CHANNEL' };
      const one = { x, scale: f32([1], [1]), offset: i8([1], [0]) };
      expect(numbers((await run('Elewise', param, one)).y)).to.deep.equal([0, 2, -2, 127, -128, 3, 0, 0]);
      const each = { x, scale: f32([4], [0.5, 1, 2, 100]), offset: f32([4], [1, -2, 3, -4]) };
      expect(numbers((await run('Elewise', param, each)).y)).to.deep.equal([2, 0, 2, 6, -128, 1, 0, -4]);
      const three = { ...one, scale: f32([3], [1, 1, 1]) };
      await expectNative('NATIVE_INPUT_INVALID', /one number or 4/, () => run('Elewise', param, three));
    });

    it('Linear of int8 adds whole numbers before it multiplies by scales', async () => {
      const inputs = {
        x: i8([2, 3], [1, 2, 3, -4, 5, 127]),
        w: i8([2, 3], [10, -20, 30, 127, -128, 1]),
        bias: i32([7, -1000]),
        scale: f32([2], [0.5, 2]),
      };
      const param = { transposeB: true, hasBias: true, outDataType: 'ACL_BF16' };
      expect(floatsOf((await run('Linear', param, inputs)).y)).to.deep.equal([33.5, -2256, 1840, -4048]);
      const { bias: _, ...without } = inputs;
      const plain = { ...param, hasBias: false, outDataType: 'ACL_FLOAT16' };
      expect(floatsOf((await run('Linear', plain, without)).y)).to.deep.equal([30, -252, 1835, -2042]);
    });

    it('W8A16MatMul reads a weight [k, n] and scales of groups', async () => {
      const k = 64;
      const w = Int8Array.from(random(2 * k, 3), (x) => Math.round(x * 100));
      const columns = Int8Array.from(w, (_, at) => w[(at % 2) * k + (at >> 1)] as number);
      const x = floats(3 * k, 5);
      const { y } = await run(
        'W8A16MatMul',
        { quantGroupSize: 32 },
        {
          x: f32([3, k], x),
          w: i8([k, 2], columns),
          scale: f32([2, 2], [0.5, 1, 2, 4]),
          offset: f32([2, 2], [0, 0, 0, 0]),
        },
      );
      const scaled = Array.from(w, (q, at) => q * ([0.5, 2, 1, 4][Math.floor(at / 32)] as number));
      // Each number of a row is right to 2^-23 of its largest.
      expectClose(numbers(y), product(x, scaled, k), 64 * 400 * 2 ** -22);
    });

    it('W4A16MatMul reads two integers of a byte, the lower half first', async () => {
      const inputs = {
        x: f32([1, 4], [1, 10, 100, 1000]),
        w: i8([2, 2], [0x21, 0x43, 0x78, -1]),
        scale: f32([2], [1, 0.5]),
        offset: f32([1], [0]),
      };
      const { y } = await run('W4A16MatMul', { transposeB: true }, inputs);
      expect(numbers(y)).to.deep.equal([4321, (-8 + 70 - 100 - 1000) / 2]);
    });

    it('DynamicQuant rounds each row to 127 steps, half to even', async () => {
      const x = f32([3, 4], [127, -63.5, 0.5, 1.5, 0, 0, 0, 0, 254, -254, 1, -3]);
      const { q, scale } = await run('DynamicQuant', {}, { x }, ['q', 'scale']);
      expect(q).to.deep.equal(i8([3, 4], [127, -64, 0, 2, 0, 0, 0, 0, 127, -127, 0, -2]));
      expect(scale).to.deep.equal(f32([3], [1, 0, 2]));
    });

    it('W8A8MatMul scales sums of integers by columns and rows', async () => {
      const inputs = {
        x: i8([2, 3], [1, -2, 3, 127, -128, 0]),
        w: i8([2, 3], [10, -20, 30, 127, 127, -128]),
        scale: f32([2], [0.5, 2]),
        rows: f32([2], [1, 10]),
        bias: f32([2], [1, -1]),
      };
      const param = { transposeB: true, hasBias: true, hasPerTokenScale: true };
      const { y } = await run('W8A8MatMul', { ...param, outDataType: 'ACL_FLOAT' }, inputs);
      expect(numbers(y)).to.deep.equal([71, -1023, 19151, -2541]);
      const half = (
        await run('W8A8MatMul', { ...param, isBF16: false }, { ...inputs, bias: f32([2], [1, -1]) })
      ).y;
      expect(half?.dtype).to.equal('f16');
      expect([...toFloat32(half as Tensor)]).to.deep.equal([71, -1023, 19152, -2540]);
    });

    it('DynamicQuant and W8A8MatMul come close to the product of floats', async () => {
      const [m, n, k] = [5, 24, 96];
      const x = floats(m * k, 7);
      const w = Int8Array.from(random(n * k, 8), (value) => Math.round(value * 127));
      const { q, scale } = await run('DynamicQuant', {}, { x: f32([m, k], x) }, ['q', 'scale']);
      const { y } = await run(
        'W8A8MatMul',
        { transposeB: true, hasPerTokenScale: true, outDataType: 'ACL_FLOAT' },
        { q: q as Tensor, w: i8([n, k], w), scale: f32([n], Array(n).fill(0.01)), rows: scale as Tensor },
      );
      const exact = product(x, w, k).map((value) => value * 0.01);
      const error = Math.hypot(...numbers(y).map((value, i) => value - (exact[i] as number)));
      expect(error / Math.hypot(...exact)).to.be.within(1e-5, 0.01);
    });

    it('GatherDequant reads rows as floats', async () => {
      const inputs = {
        table: i8([3, 2], [1, 2, 3, 4, -128, 127]),
        ids: i32([2, 0]),
        scale: f32([3, 1], [1, 1, 0.5]),
      };
      const { y } = await run('GatherDequant', { outDataType: 'ACL_BF16' }, inputs);
      expect(y).to.deep.equal(toDType(Float32Array.of(-64, 63.5, 1, 2), [2, 2], 'bf16'));
    });
  });
}

describe('weights of integers in the engine', () => {
  const folder = temporaryFolder();
  let engine: NativeEngine;
  beforeEach(() => {
    engine = createEngine({ threads: 2 });
  });
  afterEach(() => engine.dispose());

  const [n, k] = [40, 96];
  const part = (name: string, data: Float32Array | Int8Array, dtype: DType, shape: readonly number[]) => {
    const file = folder.path(name);
    writeFileSync(file, data);
    return { file, offset: 0, dtype, shape };
  };
  const quantized = (
    bits: 8 | 4,
    groupSize: number,
    layout: WeightLoad['layout'] = 'linear',
  ): WeightLoad => ({
    name: 'w',
    dtype: 'f32',
    shape: [n, k],
    layout,
    parts: [part('floats', floats(n * k, 11), 'f32', [n, k])],
    quantize: { bits, groupSize, activations: 'float', scaleName: 'w_scale' },
  });
  const offset = f32([1], [0]);
  const multiply = async (type: string, quantGroupSize: number, x: Tensor): Promise<Tensor> => {
    engine.setTensor('w_offset', offset);
    const spec = single(type, { transposeB: true, quantGroupSize }, ['x', 'w', 'w_scale', 'w_offset'], ['y']);
    return (await engine.forward(spec, { x })).outputs.y as Tensor;
  };

  for (const layout of ['linear', 'linear-interleaved'] as const) {
    for (const [bits, groupSize] of [
      [8, 0],
      [8, 32],
      [4, 0],
      [4, 64],
    ] as const) {
      it(`come out as they are multiplied: ${bits} bits, groups of ${groupSize}, ${layout}`, async () => {
        await engine.loadWeights([quantized(bits, groupSize, layout)]);
        const w = engine.exportTensor('w') as Tensor<'i8'>;
        const scale = engine.exportTensor('w_scale') as Tensor<'f32'>;
        const groups = groupSize === 0 ? 1 : Math.ceil(k / groupSize);
        expect(w.dtype).to.equal('i8');
        expect(w.shape).to.deep.equal([n, (k * bits) / 8]);
        expect(scale.shape).to.deep.equal([n, groups]);
        const integers =
          bits === 8 ? [...w.data] : [...w.data].flatMap((byte) => [(byte << 28) >> 28, byte >> 4]);
        const dequantized = integers.map(
          (q, at) =>
            q * (scale.data[Math.floor(at / k) * groups + Math.floor((at % k) / (groupSize || k))] as number),
        );
        expectClose(dequantized, floats(n * k, 11), bits === 8 ? 0.5 / 127 : 2 / 9);
        const x = floats(3 * k, 12);
        const y = await multiply(`W${bits}A16MatMul`, groupSize, f32([3, k], x));
        expectClose(numbers(y), product(x, dequantized, k), 1e-4);
        // The same integers out of files give the same bits.
        const again = createEngine({ threads: 1 });
        try {
          const load = quantized(bits, groupSize, layout);
          await again.loadWeights([
            { ...load, dtype: 'i8', shape: w.shape, parts: [part('integers', w.data, 'i8', w.shape)] },
            {
              name: 'w_scale',
              dtype: 'f32',
              shape: scale.shape,
              layout: 'plain',
              parts: [part('scales', scale.data, 'f32', scale.shape)],
            },
          ]);
          expect(again.exportTensor('w')).to.deep.equal(w);
          expect(again.exportTensor('w_scale')).to.deep.equal(scale);
          const first = engine;
          engine = again;
          expect(await multiply(`W${bits}A16MatMul`, groupSize, f32([3, k], x))).to.deep.equal(y);
          engine = first;
        } finally {
          again.dispose();
        }
      });
    }
  }

  it('of 4 bits may be a byte each, which must be theirs', async () => {
    const integers = Int8Array.from(random(n * k, 13), (x) => Math.round(x * 7.5 - 0.5));
    const pairs = Int8Array.from(
      { length: integers.length / 2 },
      (_, i) => ((integers[2 * i] as number) & 15) | ((integers[2 * i + 1] as number) << 4),
    );
    const scales = {
      ...({ name: 'w_scale', dtype: 'f32', shape: [n, 1], layout: 'plain' } as const),
      parts: [part('scales', floats(n), 'f32', [n, 1])],
    };
    const { name, layout, quantize } = quantized(4, 0);
    const load = (data: Int8Array) => {
      const stored = { ...part('bytes', data, 'i8', [n, k]), unpaired: true } as const;
      return engine.loadWeights([
        { name, layout, dtype: 'i8', shape: [n, k], parts: [stored], ...(quantize && { quantize }) },
        scales,
      ]);
    };
    await load(integers);
    expect(engine.exportTensor('w')).to.deep.equal(i8([n, k / 2], pairs));
    for (const wrong of [8, -9])
      await expectNative('NATIVE_VALUE_OUT_OF_RANGE', new RegExp(`from -8 to 7, found ${wrong}`), () =>
        load(integers.with(n * k - 1, wrong)),
      );
  });

  it('take about the bytes of their integers', async () => {
    await engine.loadWeights([quantized(4, 32)]);
    // 48 rows of 128 padded channels of half a byte, and a scale and three multipliers of a byte each, in cache lines.
    expect(engine.memory().weightBytes).to.equal(48 * (64 + 4) + Math.ceil((48 * 3) / 64) * 64);
  });

  it('give an embedding its rows', async () => {
    await engine.loadWeights([quantized(8, 0)]);
    const spec = single('GatherDequant', { outDataType: 'ACL_FLOAT' }, ['w', 'ids', 'w_scale'], ['y']);
    const { y } = (await engine.forward(spec, { ids: i32([39, 0]) })).outputs;
    const [w, scale] = [engine.exportTensor('w'), engine.exportTensor('w_scale')] as [
      Tensor<'i8'>,
      Tensor<'f32'>,
    ];
    const row = (at: number) =>
      [...w.data.subarray(at * k, (at + 1) * k)].map((q) => Math.fround(q * (scale.data[at] as number)));
    expect(numbers(y)).to.deep.equal([...row(39), ...row(0)]);
  });

  it('must be multiplied as what they are', async () => {
    await engine.loadWeights([quantized(4, 32)]);
    const x = f32([1, k], floats(k, 3));
    await expectNative('NATIVE_SHAPE_MISMATCH', /in2/, () => multiply('W4A16MatMul', 64, x));
    engine.setTensor('one', f32([1], [1]));
    const spec = single(
      'W4A16MatMul',
      { transposeB: true, quantGroupSize: 32 },
      ['x', 'w', 'w_scale', 'one'],
      ['y'],
    );
    await expectNative('NATIVE_VALUE_OUT_OF_RANGE', /in3 must be all zeros/, () =>
      engine.forward(spec, { x }),
    );
  });

  it('are not mistaken for others of the same shape', async () => {
    await engine.loadWeights([quantized(4, 0)]);
    const x = f32([1, k / 2], floats(k / 2));
    await expectNative('NATIVE_LAYOUT_MISMATCH', /int8/, () => multiply('W8A16MatMul', 0, x));
  });

  it('are refused when they are asked for wrongly', async () => {
    const load = quantized(8, 0);
    const wrong = (quantize: object, rest: object = {}) =>
      engine.loadWeights([{ ...load, ...rest, quantize: { ...load.quantize, ...quantize } } as WeightLoad]);
    await expectNative('NATIVE_ARGUMENT_INVALID', /bits/, () => wrong({ bits: 6 }));
    await expectNative('NATIVE_ARGUMENT_INVALID', /bits/, () => wrong({ bits: '8' }));
    await expectNative('NATIVE_ARGUMENT_INVALID', /groupSize/, () => wrong({ groupSize: 48 }));
    await expectNative('NATIVE_ARGUMENT_INVALID', /activations/, () => wrong({ activations: 'f32' }));
    await expectNative('NATIVE_ARGUMENT_INVALID', /scaleName/, () => wrong({ scaleName: undefined }));
    await expectNative('NATIVE_ARGUMENT_INVALID', /int8 activations/, () =>
      wrong({ groupSize: 32, activations: 'int8' }),
    );
    const floats = [{ ...load.parts[0], unpaired: true }];
    await expectNative('NATIVE_ARGUMENT_INVALID', /unpaired/, () => wrong({ bits: 4 }, { parts: floats }));
    await expectNative('NATIVE_ARGUMENT_INVALID', /packed/, () => wrong({}, { layout: 'plain' }));
    await expectNative('NATIVE_TENSOR_UNKNOWN', /"w"/, () => engine.exportTensor('w'));
    await expectNative('NATIVE_ARGUMENT_INVALID', /name/, () => engine.exportTensor(7 as unknown as string));
  });

  it('leave floats as they are when exported, and caches inside', async () => {
    engine.setTensor('t', f32([2, 2], [1, 2, 3, 4]));
    expect(engine.exportTensor('t')).to.deep.equal(f32([2, 2], [1, 2, 3, 4]));
    const { quantize: _, ...plain } = quantized(8, 0, 'linear-interleaved');
    await engine.loadWeights([plain]);
    expect(engine.exportTensor('w')).to.deep.equal(f32([n, k], floats(n * k, 11)));
    engine.allocateKvCache({ numBlocks: 1, blockSize: 32, dtype: 'f32', caches: sameCaches(1, 1, 8) });
    await expectNative('NATIVE_LAYOUT_MISMATCH', /cache/, () => engine.exportTensor('layer_0_k_cache'));
    engine.dispose();
    expect(() => engine.exportTensor('t'))
      .to.throw()
      .with.property('code', 'ENGINE_DISPOSED');
  });
});
