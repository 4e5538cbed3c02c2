import type { Inputs, TensorDesc } from './inputs.js';

/**
 * What operations with a recurrent state read last: the state f32 [blocks, numbers], i32 [batch] the block with a
 * sequence's state before its first token or -1, i32 [tokens] the block that gets the state behind a token or -1, i32
 * [batch] the tokens that each sequence brings.
 */
export const STATE_INPUTS = 4;

/** Checks these inputs, of which `first` is the state, and returns it. */
export function stateOf(inputs: Inputs, first: number, numbers: number): TensorDesc {
  const state = inputs.at(first, 2);
  inputs.equal('numbers of a state', inputs.size(first, 1), numbers);
  inputs.sameShape(first + 2, [inputs.size(0, 0)]);
  inputs.sameShape(first + 3, [inputs.size(first + 1, 0)]);
  return state;
}
