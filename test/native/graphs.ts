import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Tensor } from '../../src/dtype.js';
import { AtbError, type ErrorCode } from '../../src/errors.js';
import type { GraphSpec } from '../../src/graph/graph-spec.js';
import type { KvCacheDesc, SamplerOptions } from '../../src/native/index.js';

export const f32 = (shape: readonly number[], data: Iterable<number>): Tensor<'f32'> => ({
  dtype: 'f32',
  shape,
  data: Float32Array.from(data),
});

export const i32 = (data: readonly number[]): Tensor<'i32'> => ({
  dtype: 'i32',
  shape: [data.length],
  data: Int32Array.from(data),
});

/** The numbers of a tensor of f32, or of an absent one: none. */
export const numbers = (tensor: Tensor | undefined): number[] => [
  ...((tensor?.data ?? []) as Iterable<number>),
];

/** A graph of one operation. `type` and `param` are as free as JavaScript is: wrong ones are tested too. */
export function single(
  type: string,
  param: object,
  inputs: readonly string[],
  outputs: readonly string[],
): GraphSpec {
  const node = { name: 'op', op: { type, param }, inputs, outputs };
  return { name: 'single', inputs, outputs, views: {}, nodes: [node] } as GraphSpec;
}

export const add = single('Elewise', { elewiseType: 'ELEWISE_ADD' }, ['a', 'b'], ['sum']);

/** `depth` products of x[rows, size] with one matrix: work without much data. */
export function products(depth: number): GraphSpec {
  const nodes = Array.from({ length: depth }, (_, i) => ({
    name: `product_${i}`,
    op: { type: 'Linear' as const, param: { hasBias: false, transposeB: true } },
    inputs: [i === 0 ? 'x' : `y${i - 1}`, 'w'],
    outputs: [`y${i}`],
  }));
  return { name: 'products', inputs: ['x', 'w'], outputs: [`y${depth - 1}`], views: {}, nodes };
}

/** The caches of layers that are all alike: `layer_0_k_cache`, `layer_0_v_cache`, … */
export const sameCaches = (layers: number, heads: number, size: number): KvCacheDesc[] =>
  Array.from({ length: layers }, (_, i) => ({
    key: `layer_${i}_k_cache`,
    value: `layer_${i}_v_cache`,
    heads,
    keySize: size,
    valueSize: size,
  }));

export const greedy: SamplerOptions = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  frequencyPenalty: 0,
  presencePenalty: 0,
  logitBias: [],
  seed: 0,
  topLogprobs: -1,
  promptTokens: new Int32Array(0),
};

/** The engine's own code of the AtbError that `call` throws or rejects with; its reason must match. */
export async function expectNative(
  code: string | RegExp,
  reason: RegExp,
  call: () => unknown,
): Promise<void> {
  const error = await failure(call);
  expect(error.code, error.message).to.equal('NATIVE_ERROR');
  const detail = error.detail as { nativeCode: string; reason: string };
  if (typeof code === 'string') expect(detail.nativeCode, error.message).to.equal(code);
  else expect(detail.nativeCode, error.message).to.match(code);
  expect(detail.reason).to.match(reason);
}

export async function expectCode(code: ErrorCode, call: () => unknown): Promise<void> {
  const error = await failure(call);
  expect(error.code, error.message).to.equal(code);
}

async function failure(call: () => unknown): Promise<AtbError> {
  try {
    await call();
  } catch (error) {
    if (error instanceof AtbError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

/** A folder for one suite, gone after it. */
export function temporaryFolder(): { path: (name: string) => string } {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'atb-native-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));
  return { path: (name) => join(folder, name) };
}
