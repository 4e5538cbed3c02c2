import type { GgufArchitecture } from './architecture.js';
import { DELTA_MODELS } from './architectures/delta.js';
import { DENSE } from './architectures/dense.js';
import { ENCODERS } from './architectures/encoders.js';
import { EXPERT_MODELS, MIXTRAL } from './architectures/experts.js';
import { GEMMAS } from './architectures/gemma.js';
import { FALCON_OF_TWO_NORMS, OLDER, SECOND_NORM } from './architectures/older.js';
import { STATE_MODELS } from './architectures/states.js';
import type { GgufNumbers } from './numbers.js';

/** By `general.architecture`, as llama.cpp's converter calls them. */
const ARCHITECTURES: ReadonlyMap<string, GgufArchitecture> = new Map(
  Object.entries({
    ...DENSE,
    ...GEMMAS,
    ...EXPERT_MODELS,
    ...DELTA_MODELS,
    ...STATE_MODELS,
    ...OLDER,
    ...ENCODERS,
  }),
);

export const GGUF_ARCHITECTURES: readonly string[] = [...ARCHITECTURES.keys()];

/** An architecture by its name; undefined for one that is not read. Mixtral is a llama with experts. */
export function ggufArchitecture(name: string, numbers: GgufNumbers): GgufArchitecture | undefined {
  if (name === 'llama' && (numbers.optional('expert_count') ?? 0) > 0) return MIXTRAL;
  if (name === 'falcon' && numbers.has(SECOND_NORM)) return FALCON_OF_TWO_NORMS;
  return ARCHITECTURES.get(name);
}
