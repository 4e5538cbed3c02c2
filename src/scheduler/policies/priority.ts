import type { Policy } from './policy.js';

/** Requests of a lower `priority` number first, as in vLLM. */
export const priority = (): Policy => ({ rank: (sequence) => sequence.priority });
