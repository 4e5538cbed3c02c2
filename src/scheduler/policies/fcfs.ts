import type { Policy } from './policy.js';

/** First come, first served. */
export const fcfs = (): Policy => ({ rank: () => 0 });
