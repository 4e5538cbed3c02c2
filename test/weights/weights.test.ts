import { expect } from 'chai';
import {
  concatRows,
  declaredWeights,
  type TensorRef,
  type WeightSource,
  Weights,
  weightBytes,
} from '../../src/weights/weights.js';
import { failure } from './safetensors-writer.js';

function ref(name: string, shape: readonly number[], offset = 0): TensorRef {
  return { name, dtype: 'bf16', shape, parts: [{ file: 'f', offset, dtype: 'bf16', shape }] };
}

function sourceOf(...refs: readonly TensorRef[]): WeightSource {
  const byName = new Map(refs.map((each) => [each.name, each]));
  return {
    label: 'a folder',
    has: (name) => byName.has(name),
    find: (name) => byName.get(name),
    nearest: () => refs[0]?.name,
  };
}

describe('a cursor over weights', () => {
  const norm = ref('model.layers.3.norm.weight', [8]);
  const weights = new Weights(sourceOf(norm));

  it('builds full names from windows and numbers', () => {
    const layer = weights.at('model').at('layers').at(3);
    expect(layer.path()).to.equal('model.layers.3');
    expect(layer.path('norm.weight')).to.equal('model.layers.3.norm.weight');
    expect(weights.path()).to.equal('');
    expect(weights.path('model')).to.equal('model');
  });

  it('returns the tensor when its shape is the expected one', () => {
    expect(weights.at('model.layers').at(3).get('norm.weight', [8])).to.equal(norm);
  });

  it('names the missing tensor, its shape, the source and a similar name', async () => {
    const { detail, message } = await failure('WEIGHT_NOT_FOUND', () =>
      weights.at('layers').get('w', [2, 3]),
    );
    expect(detail).to.include({ name: 'layers.w', where: 'a folder', nearest: norm.name });
    expect(message).to.contain('"layers.w" of shape [2,3] is not in a folder').and.contain(norm.name);
  });

  it('names expected and found shapes when they differ in size or in rank', async () => {
    for (const shape of [[9], [8, 1], [], [8, 8]]) {
      const error = await failure('WEIGHT_SHAPE_MISMATCH', () => weights.get(norm.name, shape));
      expect(error.detail).to.deep.equal({ name: norm.name, expected: shape, found: [8] });
    }
  });

  it('gives undefined for an absent optional tensor, and still checks the shape of a present one', async () => {
    expect(weights.getOptional('model.bias', [8])).to.equal(undefined);
    expect(weights.getOptional(norm.name, [8])).to.equal(norm);
    await failure('WEIGHT_SHAPE_MISMATCH', () => weights.getOptional(norm.name, [4]));
  });
});

describe('declared weights', () => {
  const weights = declaredWeights('f16');

  it('have every tensor that is asked for, in the declared dtype and without a file', () => {
    expect(weights.at('a').get('b', [2, 3])).to.deep.equal({
      name: 'a.b',
      dtype: 'f16',
      shape: [2, 3],
      parts: [],
    });
    expect(weightBytes(weights.get('w', [2, 3]))).to.equal(12);
  });

  it('have nothing optional', () => {
    expect(weights.has('lm_head.weight')).to.equal(false);
    expect(weights.getOptional('bias', [3])).to.equal(undefined);
  });
});

describe('packing rows', () => {
  it('concatenates along the first axis and keeps every part', () => {
    const packed = concatRows('qkv', [ref('q', [4, 2]), ref('k', [2, 2], 16), ref('v', [2, 2], 24)]);
    expect(packed).to.include({ name: 'qkv', dtype: 'bf16' });
    expect(packed.shape).to.deep.equal([8, 2]);
    expect(packed.parts.map(({ offset }) => offset)).to.deep.equal([0, 16, 24]);
    expect(weightBytes(packed)).to.equal(32);
  });

  it('packs biases and refuses tensors whose other axes differ', async () => {
    expect(concatRows('b', [ref('x', [3]), ref('y', [5])]).shape).to.deep.equal([8]);
    const error = await failure('WEIGHT_SHAPE_MISMATCH', () =>
      concatRows('p', [ref('x', [3, 4]), ref('y', [5, 6])]),
    );
    expect(error.detail).to.deep.equal({ name: 'y', expected: [5, 4], found: [5, 6] });
    await failure('WEIGHT_SHAPE_MISMATCH', () => concatRows('p', [ref('x', [3, 4]), ref('y', [5])]));
  });
});
