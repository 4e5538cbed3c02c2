import type { Sequence } from '../sequence.js';

/**
 * Who starts first among those that wait, and who keeps its blocks when they run out. A sequence gets its rank when it
 * arrives and keeps it; smaller goes first, and among equals who arrived first.
 */
export interface Policy {
  rank(sequence: Sequence): number;
  /** Told when a sequence starts. */
  onStart?(rank: number): void;
}
