/** What a scheduler has done so far. */
export interface SchedulerStats {
  readonly running: number;
  readonly waiting: number;
  /** Preemptions so far, of all sequences. */
  readonly preemptions: number;
  /** Tokens that sequences brought when they started, and how many of those were found in the cache. */
  readonly prefixQueriedTokens: number;
  readonly prefixHitTokens: number;
  /** Tokens that were guessed ahead, and how many of those were right. */
  readonly draftedTokens: number;
  readonly acceptedTokens: number;
  readonly usedBlocks: number;
  readonly freeBlocks: number;
}

/** What schedulers have done one after the other: counts add up, states are the present one's. */
export function sumStats(past: SchedulerStats | undefined, present: SchedulerStats): SchedulerStats {
  if (past === undefined) return present;
  return {
    ...present,
    preemptions: past.preemptions + present.preemptions,
    prefixQueriedTokens: past.prefixQueriedTokens + present.prefixQueriedTokens,
    prefixHitTokens: past.prefixHitTokens + present.prefixHitTokens,
    draftedTokens: past.draftedTokens + present.draftedTokens,
    acceptedTokens: past.acceptedTokens + present.acceptedTokens,
  };
}
