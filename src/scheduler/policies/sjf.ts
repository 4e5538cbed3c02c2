import type { Policy } from './policy.js';

/** Shortest job first: by the tokens that a request brings and may generate. */
export const sjf = (): Policy => ({ rank: ({ promptLen, maxTokens }) => promptLen + maxTokens });
