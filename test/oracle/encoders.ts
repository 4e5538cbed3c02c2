import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { AtbError } from '../../src/errors.js';
import type { EncodedText } from '../../src/runner/steps.js';
import { seededCheckpoint } from './families.js';
import { readTensors } from './fixtures.js';

export const ENCODERS_DIR = join(import.meta.dirname, '../../../test/fixtures/encoders');

/** The cases of tools/oracle/make_encoder_fixture.py, by the names of their folders. */
export const encoderCases: readonly string[] = readdirSync(ENCODERS_DIR).sort();

/** A case's checkpoint in a temporary folder, made of its recipe; call `remove` when done. */
export const encoderCheckpoint = (name: string) => seededCheckpoint(join(ENCODERS_DIR, name));

/** What transformers and sentence-transformers recorded for one text. */
export interface EncoderReference extends Required<EncodedText> {
  readonly tokenTypes: Int32Array;
  /** The tokens whose hidden states were kept. */
  readonly rows: readonly number[];
  /** [rows, hidden] in f32. */
  readonly hidden: Float32Array;
  /** The same with weights that were rounded to bf16. */
  readonly roundedHidden: Float32Array;
  readonly hiddenSize: number;
  /** [6 * hidden]: vectors of all modes of sentence-transformers' Pooling, in its order. */
  readonly pooled: Float32Array;
  /** [labels] of a classifier, [vocab] of the last token of a causal language model; undefined for others. */
  readonly logits: Float32Array | undefined;
}

export async function encoderReferences(name: string): Promise<EncoderReference[]> {
  const tensors = await readTensors(join(ENCODERS_DIR, name, 'reference.safetensors'));
  const get = (tensor: string) => {
    const found = tensors.get(tensor);
    if (!found) throw new AtbError('WEIGHT_NOT_FOUND', { name: tensor });
    return found;
  };
  const numbers = (tensor: string) => Array.from(get(tensor).data as ArrayLike<number | bigint>, Number);
  const floats = (tensor: string) => get(tensor).data as Float32Array;
  const texts = [...tensors.keys()].filter((key) => key.endsWith('/tokens')).sort();
  return texts.map((key) => {
    const of = (part: string) => key.replace(/tokens$/, part);
    return {
      tokenIds: Int32Array.from(numbers(key)),
      tokenTypes: Int32Array.from(numbers(of('types'))),
      rows: numbers(of('rows')),
      hidden: floats(of('hidden')),
      roundedHidden: floats(of('hidden_bf16')),
      hiddenSize: get(of('hidden')).shape[1] ?? 0,
      pooled: floats(of('pooled')),
      logits: tensors.has(of('logits')) ? floats(of('logits')) : undefined,
    };
  });
}
