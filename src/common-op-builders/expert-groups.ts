/** Groups of experts that a router chooses first. */
export interface ExpertGroups {
  readonly count: number;
  /** Groups that each token may choose experts of. */
  readonly kept: number;
  /** A group's score is the sum of so many of its highest. */
  readonly scored: number;
}
