/** What a scheduler has done so far. */
export interface SchedulerStats {
  readonly running: number;
  readonly waiting: number;
  /** Preemptions so far, of all sequences. */
  readonly preemptions: number;
  /** Tokens that sequences brought when they started, and how many of those were found in the cache. */
  readonly prefixQueriedTokens: number;
  readonly prefixHitTokens: number;
  readonly usedBlocks: number;
  readonly freeBlocks: number;
}
