import { GROUP_INDICES as COUNT } from '../graph/ops/group-topk.js';
import type { StepInput } from './step-input.js';

/** The table that GroupTopk wants: 0, 1, 2, … */
export const GROUP_INDICES = 'group_indices';

/** `group_indices` i32[1024], for routers that choose groups of experts first. */
export const groupIndices: StepInput = {
  names: [GROUP_INDICES],
  describe: () => ({ [GROUP_INDICES]: { dtype: 'i32', shape: [COUNT] } }),
  recipes: () => ({ [GROUP_INDICES]: { made: 'range', count: COUNT } }),
  hold: () => ({
    [GROUP_INDICES]: { dtype: 'i32', shape: [COUNT], data: Int32Array.from({ length: COUNT }, (_, i) => i) },
  }),
};
