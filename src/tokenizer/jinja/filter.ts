import type { Budget } from './budget.js';
import type { CallArguments, Value } from './values.js';

/** What filters need of the one who runs them: limits, and other filters and tests by name. */
export interface FilterContext {
  readonly budget: Budget;
  applyFilter(name: string, operand: Value, args: CallArguments): Value;
  applyTest(name: string, operand: Value, args: CallArguments): boolean;
}

export type Filter = (operand: Value, args: CallArguments, context: FilterContext) => Value;
