import type { Policy } from './policy.js';

/** First come, first served; among clients, who has been served least. */
export const fcfs = (): Policy => ({ rank: () => 0 });
