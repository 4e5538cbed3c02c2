import type { ExpertStacks } from '../../weights/expert-stacks.js';
import { rowsOf } from '../../weights/weight-changes.js';

/** The checkpoint's names of an expert's projections, `experts.3.gate_proj`: these where absent. */
export interface ExpertNames {
  readonly gate?: string;
  readonly up?: string;
  readonly down?: string;
  /** Where tensors of all experts lie in one; transformers' stacks when absent. */
  readonly stacks?: ExpertStacks;
  /** What transformers' stacks are called. */
  readonly stacked?: StackedTensors;
}

/** The tensors of stacks with the gates of each expert over what they gate. */
export interface StackedTensors {
  /** [experts, 2 * width, hidden] */
  readonly gateUp: string;
  /** [experts, hidden, width] */
  readonly down: string;
}

/** As transformers 5 holds them in memory. */
export const IN_MEMORY: StackedTensors = { gateUp: 'gate_up_proj', down: 'down_proj' };
/** Where stacks have what tensors of single experts are called; `width` of an expert that has a gate. */
export const stacksOf = (
  { gate, up, down }: Record<'gate' | 'up' | 'down', string>,
  tensors: StackedTensors,
  width: number | undefined,
): ExpertStacks => ({
  ...(width === undefined
    ? { [`${up}.weight`]: { tensor: up } }
    : {
        [`${gate}.weight`]: { tensor: tensors.gateUp, part: (own) => rowsOf(own, 0, width) },
        [`${up}.weight`]: { tensor: tensors.gateUp, part: (own) => rowsOf(own, width, width) },
      }),
  [`${down}.weight`]: { tensor: tensors.down },
});
