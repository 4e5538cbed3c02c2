import { join } from 'node:path';
import { PHASES, type Phase } from '../../src/common-op-builders/index.js';
import type { FloatDType } from '../../src/dtype.js';
import { type FlatGraph, flatten } from '../../src/graph/flatten.js';
import type { GraphSpec } from '../../src/graph/graph-spec.js';
import { inputDescs } from '../../src/models/base/input-descs.js';
import { getModel } from '../../src/models/get-model.js';
import type { CausalLM } from '../../src/router/index.js';
import { declaredWeights } from '../../src/weights/weights.js';

const CHECKPOINTS = join(import.meta.dirname, '../../../test/fixtures/oracle');

/** Folders of small checkpoints: one of each family, and llama with one key head for each query head and tied embeddings. */
export const FAMILIES = ['llama', 'llama-tied', 'mistral', 'qwen2', 'qwen3'] as const;
export type Family = (typeof FAMILIES)[number];

export const familyPath = (family: Family): string => join(CHECKPOINTS, family);

export async function familyModel(family: Family, dtype: FloatDType = 'bf16'): Promise<CausalLM> {
  const router = await getModel(familyPath(family));
  return router.createModel(declaredWeights(dtype));
}

export const flat = (model: CausalLM, spec: GraphSpec, phase: Phase, dtype: FloatDType = 'bf16'): FlatGraph =>
  flatten(spec, inputDescs(model, phase, dtype, { batch: 2, tokens: 40, blockSize: 16 })).graph;

/** Every family and phase. */
export const familyPhases = FAMILIES.flatMap((family) => PHASES.map((phase) => ({ family, phase })));
