import { refuseRequest } from '../errors.js';
import { DECODE, PREFILL } from '../graph/graph-kind.js';
import type { Batch } from '../scheduler/scheduler.js';
import type { Step } from '../step-inputs/index.js';

/** One step in the terms of the original's `forward`: packed token ids against block tables, logits out. */
export interface ForwardInputs {
  /** [tokens], sequences one after another. */
  readonly inputIds: Int32Array;
  /** [tokens] */
  readonly positionIds: Int32Array;
  /** True: whole prompts from position 0. False: one token of each sequence. */
  readonly isPrefill: boolean;
  /** [batch][blocks]: enough blocks for the tokens of each sequence. */
  readonly blockTables: readonly (readonly number[])[];
  /** [tokens]: block * blockSize + offset, as the block tables say. */
  readonly slots: Int32Array;
  /** [batch]: tokens of each sequence that are visible, the new ones included. */
  readonly inputLengths: Int32Array;
  /** Tokens whose logits to return; each prompt's last when absent. Decode returns those of every sequence. */
  readonly lmHeadIndices?: Int32Array;
}

/** A scheduled batch as a step; with `everyToken`, the logits of all its tokens are wanted, not those of the last ones. */
export function stepOfBatch({ kind, entries }: Batch, everyToken: boolean): Step {
  const total = entries.reduce((sum, { count }) => sum + count, 0);
  const tokenIds = new Int32Array(total);
  const positions = new Int32Array(total);
  const [queryLens, seqLens, promptLens, lastTokens] = Array.from(
    { length: 4 },
    () => new Int32Array(entries.length),
  ) as [Int32Array, Int32Array, Int32Array, Int32Array];
  let at = 0;
  for (const [row, { sequence, start, count }] of entries.entries()) {
    for (let position = start; position < start + count; position++, at++) {
      tokenIds[at] = sequence.tokens[position] as number;
      positions[at] = position;
    }
    queryLens[row] = count;
    seqLens[row] = start + count;
    promptLens[row] = sequence.promptLen;
    lastTokens[row] = at - 1;
  }
  return {
    kind,
    tokenIds,
    positions,
    queryLens,
    seqLens,
    promptLens,
    blockTables: entries.map(({ sequence }) => sequence.blockTable.blocks),
    headRows: everyToken ? Int32Array.from(tokenIds.keys()) : lastTokens,
  };
}

/** What a runner with a scheduler of its own asks for, as a step. Throws REQUEST_INVALID when its arrays do not fit together. */
export function stepOfForward(inputs: ForwardInputs): Step {
  const { inputIds, positionIds, isPrefill, blockTables, slots, inputLengths } = inputs;
  const queryLens = isPrefill ? inputLengths : new Int32Array(inputLengths.length).fill(1);
  for (const length of inputLengths) if (length < 1) refuseRequest('inputLengths', 'at least 1 each', length);
  const total = queryLens.reduce((sum, count) => sum + count, 0);
  const what = isPrefill ? `${total} tokens of inputLengths` : `${total} sequences`;
  for (const [field, { length }] of Object.entries({ inputIds, positionIds, slots })) {
    if (length !== total) refuseRequest(field, `one entry for each of the ${what}`, length);
  }
  let end = -1;
  const lastTokens = queryLens.map((count) => {
    end += count;
    return end;
  });
  for (const row of inputs.lmHeadIndices ?? []) {
    if (row < 0 || row >= total) refuseRequest('lmHeadIndices', `from 0 to ${total - 1}`, row);
  }
  return {
    kind: isPrefill ? PREFILL : DECODE,
    tokenIds: inputIds,
    positions: positionIds,
    queryLens,
    seqLens: inputLengths,
    // In decode nobody says how long the prompt was: each token is taken as the last of one.
    promptLens: inputLengths,
    blockTables,
    slots,
    headRows: inputs.lmHeadIndices ?? lastTokens,
  };
}
