import { expect } from 'chai';
import { storedForms } from '../../src/runner/stored-forms.js';
import type { TensorRef } from '../../src/weights/weights.js';

/** A tensor of a checkpoint, in one part. */
const tensor = (
  name: string,
  shape: readonly number[],
  dtype: 'bf16' | 'f32' | 'i8' = 'bf16',
): TensorRef => ({
  name,
  dtype,
  shape,
  parts: [{ file: `${name}.bin`, offset: 0, dtype, shape }],
});

const activations = 'float';
const scaleName = 'experts.down_proj.weight_scale';
/** Eight experts' integers of 4 bits, two to a byte, with a scale for each 32 inputs. */
const STACK: readonly TensorRef[] = [
  {
    ...tensor('experts.down_proj.weight', [8, 48, 32], 'i8'),
    quantized: {
      role: 'weight',
      bits: 4,
      groupSize: 32,
      inFeatures: 64,
      activations,
      scaleName,
      isStored: true,
      mustBeZero: [],
    },
  },
  { ...tensor(scaleName, [8, 48, 2], 'f32'), quantized: { role: 'scale', activations } },
];

describe('what a decoding step reads of weights', () => {
  const step = { dtype: 'bf16', table: 'embed_tokens.weight' } as const;
  const experts = { numExperts: 8, numExpertsPerToken: 2 };

  it('is each matrix once, but for a table of embeddings and what is no matrix', () => {
    const weights = [
      tensor('embed_tokens.weight', [90, 16]),
      tensor('norm.weight', [16]),
      tensor('q.weight', [24, 16]),
    ];
    expect(storedForms(weights, { ...step, experts: {} })).to.deep.equal({
      forms: [],
      floats: ['q.weight'],
      stepBytes: 24 * 16 * 2,
    });
  });

  it('is of a stack of experts the share that a token is given to', () => {
    const stack = tensor('experts.up_proj.weight', [8, 24, 16]);
    expect(storedForms([stack], { ...step, experts }).stepBytes).to.equal(2 * 24 * 16 * 2);
    // A matrix for each head is read whole.
    expect(storedForms([stack], { ...step, experts: {} }).stepBytes).to.equal(8 * 24 * 16 * 2);
  });

  it('counts the integers of all experts as those of one form', () => {
    const { forms, stepBytes } = storedForms(STACK, { ...step, experts });
    expect(forms).to.have.length(1);
    // 4 bits, and a scale of 32 for each 32 weights.
    expect(forms[0]).to.include({ desc: 'W4A16', groupSize: 32, linears: 1, bitsPerWeight: 5 });
    expect(stepBytes).to.equal((2 * 48 * 64 * 5) / 8);
  });
});
