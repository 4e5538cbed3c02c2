import { OBJECT, requireArgument } from '../require-argument.js';

/** What of ATB's a graph breaks: the kind of a problem, to count or filter by. */
export type LegalityRule =
  /** A graph's name, or its numbers of nodes and tensors. */
  | 'graph'
  /** dtype and shape of an input of the graph. */
  | 'input'
  /** A tensor that is read but not written, or written twice. */
  | 'tensor'
  /** An operation that ATB does not have, or whose rules are not known here. */
  | 'op'
  /** An operation, or a param key, that only the engine has. */
  | 'extension-op'
  | 'extension-key'
  /** Shapes that only the engine takes, of an operation that ATB has. */
  | 'extension-shape'
  /** A param key that nobody has, and the value of one. */
  | 'key'
  | 'value'
  /** What the operation checks of its own param. */
  | 'param'
  | 'count'
  | 'view'
  | 'shape'
  | 'dtype'
  /** One tensor as mask of two operations that take it for different things. */
  | 'mask';

export interface LegalityProblem {
  readonly rule: LegalityRule;
  /** `node 3 (Linear -> q)`, `input "x"`, `graph "layer"`. */
  readonly where: string;
  /** "hasBias must be true or false, found 1" */
  readonly text: string;
}

/** A problem as one line. */
export function problemText(problem: LegalityProblem): string {
  requireArgument('problemText', 'the problem', OBJECT, problem);
  return `${problem.where}: ${problem.text}`;
}
