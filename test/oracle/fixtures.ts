import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DType, Tensor } from '../../src/dtype.js';
import { openSafetensors } from '../../src/weights/safetensors-file.js';

export const ORACLE_DIR = join(import.meta.dirname, '../../../test/fixtures/oracle');

/** One checkpoint, configuration and dtype whose logits `transformers` recorded (tools/oracle/make_fixtures.py). */
export interface OracleCase {
  readonly name: string;
  readonly model: string;
  /** Merged over the checkpoint's config.json; null removes a key. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly dtype: 'float32' | 'bfloat16' | 'float16';
  readonly reference: string;
  /** 16-bit cases: how far these logits are from f32 arithmetic on the same rounded weights. */
  readonly rounding?: { readonly max: number };
  readonly prompts: readonly { readonly length: number; readonly greedy_comparable: boolean }[];
}

export const oracleCases: readonly OracleCase[] = JSON.parse(
  readFileSync(join(ORACLE_DIR, 'cases.json'), 'utf8'),
).cases;

export const DTYPES = { float32: 'f32', bfloat16: 'bf16', float16: 'f16' } as const;

/** The case's model directory in a temporary folder; call `remove` when done. */
export function caseDirectory({ model, config }: OracleCase): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'atb-oracle-'));
  cpSync(join(ORACLE_DIR, model), path, { recursive: true });
  const file = join(path, 'config.json');
  const merged = Object.entries({ ...JSON.parse(readFileSync(file, 'utf8')), ...config }).filter(
    ([, value]) => value !== null,
  );
  writeFileSync(file, JSON.stringify(Object.fromEntries(merged)));
  return { path, remove: () => rmSync(path, { recursive: true }) };
}

const ARRAYS = {
  F32: { dtype: 'f32', make: (b: ArrayBuffer) => new Float32Array(b) },
  F16: { dtype: 'f16', make: (b: ArrayBuffer) => new Uint16Array(b) },
  BF16: { dtype: 'bf16', make: (b: ArrayBuffer) => new Uint16Array(b) },
  I8: { dtype: 'i8', make: (b: ArrayBuffer) => new Int8Array(b) },
  I32: { dtype: 'i32', make: (b: ArrayBuffer) => new Int32Array(b) },
  U8: { dtype: 'u8', make: (b: ArrayBuffer) => new Uint8Array(b) },
  F8_E4M3: { dtype: 'e4m3', make: (b: ArrayBuffer) => new Uint8Array(b) },
  I64: { dtype: 'i64', make: (b: ArrayBuffer) => new BigInt64Array(b) },
} as const;

/** All tensors of a small fixture file. */
export async function readTensors(file: string): Promise<Map<string, Tensor>> {
  const { tensors } = await openSafetensors(file);
  const bytes = readFileSync(file);
  return new Map(
    [...tensors].map(([name, { dtype, shape, offset, bytes: length }]) => {
      const kind = ARRAYS[dtype as keyof typeof ARRAYS];
      const copy = Uint8Array.prototype.slice.call(bytes, offset, offset + length);
      return [
        name,
        { dtype: kind.dtype as DType, shape, data: kind.make(copy.buffer as ArrayBuffer) } as Tensor,
      ];
    }),
  );
}

/** What transformers recorded for one prompt. */
export interface OraclePrompt {
  readonly prompt: Int32Array;
  /** [prompt.length, vocab] */
  readonly logits: Tensor<'f32'>;
  /** Greedy continuation, and how far ahead each of its tokens was. */
  readonly greedy: Int32Array;
  readonly margins: Float32Array;
  readonly isGreedyComparable: boolean;
}

export async function readReference({ reference, prompts }: OracleCase): Promise<OraclePrompt[]> {
  const tensors = await readTensors(join(ORACLE_DIR, reference));
  const get = <T extends Tensor>(name: string): T => tensors.get(name) as T;
  return prompts.map(({ greedy_comparable: isGreedyComparable }, i) => ({
    prompt: get<Tensor<'i32'>>(`prompt.${i}`).data,
    logits: get<Tensor<'f32'>>(`logits.${i}`),
    greedy: get<Tensor<'i32'>>(`greedy.${i}`).data,
    margins: get<Tensor<'f32'>>(`greedy_margin.${i}`).data,
    isGreedyComparable,
  }));
}
