import { refuseRequest } from '../errors.js';
import { DECODE, ENCODE, ENCODE_SECOND, PREFILL } from '../graph/graph-kind.js';
import type { EncoderInput } from '../media/index.js';
import { OBJECT, requireArgument } from '../require-argument.js';
import { checkTokenIds } from '../sampling/token-ids.js';
import type { Batch, BatchEntry, StepSequence } from '../scheduler/batch.js';
import type { EncoderPlace, InsertedRows, ShownPlace, Step } from '../step-inputs/index.js';
import { placeOfAdapter } from './lora-modules.js';

/** One text, or a pair of texts as one, in tokens. */
export interface EncodedText {
  readonly tokenIds: Int32Array;
  /** Which text of a pair each token belongs to, from 0; all to the first when absent. */
  readonly tokenTypes?: Int32Array | undefined;
}

/** Which rows of a text's result are wanted. */
export type WantedRows = 'first' | 'last' | 'all';

/** Whole texts as a step that reads them. */
export function stepOfTexts(texts: readonly EncodedText[], rows: WantedRows): Step {
  const lens = Int32Array.from(texts, ({ tokenIds }) => tokenIds.length);
  const total = lens.reduce((sum, length) => sum + length, 0);
  const [tokenIds, positions, tokenTypes] = [
    new Int32Array(total),
    new Int32Array(total),
    new Int32Array(total),
  ];
  const wanted: number[] = [];
  let at = 0;
  for (const text of texts) {
    const { length } = text.tokenIds;
    tokenIds.set(text.tokenIds, at);
    if (text.tokenTypes) tokenTypes.set(text.tokenTypes, at);
    for (let position = 0; position < length; position++) positions[at + position] = position;
    if (rows !== 'all') wanted.push(rows === 'first' ? at : at + length - 1);
    at += length;
  }
  return {
    kind: ENCODE,
    tokenIds,
    positions,
    tokenTypes,
    queryLens: lens,
    seqLens: lens,
    promptLens: lens,
    blockTables: [],
    headRows: rows === 'all' ? Int32Array.from(tokenIds.keys()) : Int32Array.from(wanted),
  };
}

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
  /** [batch]: the LoRA adapter of each sequence, by its name; the model itself when absent. */
  readonly adapters?: readonly (string | undefined)[];
}

/** A whole prompt in the first blocks of the cache, with the logits of every token. */
export function promptInputs(inputIds: Int32Array, blockSize: number): ForwardInputs {
  const positionIds = Int32Array.from(inputIds.keys());
  return {
    inputIds,
    positionIds,
    isPrefill: true,
    blockTables: [[...Array(Math.ceil(inputIds.length / blockSize)).keys()]],
    slots: positionIds,
    inputLengths: Int32Array.of(inputIds.length),
    lmHeadIndices: positionIds,
  };
}

/**
 * Things for one encoder of a model as a step, whose sequences are their frames; several that decide as one stand for
 * their parts. `encoderPlaces`: where what comes of them is kept, if it is.
 */
export function stepOfInputs(inputs: readonly EncoderInput[], encoderPlaces?: readonly EncoderPlace[]): Step {
  const none = new Int32Array();
  const encoderInputs = inputs.flatMap((given) => given.parts?.map(({ input }) => input) ?? [given]);
  const frameLens = Int32Array.from(
    encoderInputs.flatMap(({ shape: [frames, rows, columns] }) => Array<number>(frames).fill(rows * columns)),
  );
  return {
    kind: encoderInputs[0]?.encoder === 'second' ? ENCODE_SECOND : ENCODE,
    tokenIds: none,
    positions: none,
    queryLens: frameLens,
    seqLens: frameLens,
    promptLens: frameLens,
    blockTables: [],
    headRows: none,
    encoderInputs,
    ...(encoderPlaces && { encoderPlaces }),
  };
}

/**
 * A scheduled batch as a step; `inserted`: the embeddings of its tokens that are no words; `shownPlaces`: see `Step`.
 */
export function stepOfBatch(
  { kind, entries }: Batch<StepSequence>,
  inserted: readonly InsertedRows[],
  shownPlaces?: readonly (readonly ShownPlace[])[],
): Step {
  const total = entries.reduce((sum, { count }) => sum + count, 0);
  const tokenIds = new Int32Array(total);
  const positions = new Int32Array(total);
  const [queryLens, seqLens, promptLens] = Array.from(
    { length: 3 },
    () => new Int32Array(entries.length),
  ) as [Int32Array, Int32Array, Int32Array];
  const headRows: number[] = [];
  let at = 0;
  for (const [row, { sequence, start, count, scores, drafts }] of entries.entries()) {
    const { tokens } = sequence;
    for (let position = start; position < start + count; position++, at++) {
      tokenIds[at] = (tokens[position] ?? drafts?.[position - tokens.length]) as number;
      positions[at] = position;
      if (scores || drafts || position === start + count - 1) headRows.push(at);
    }
    queryLens[row] = count;
    seqLens[row] = start + count;
    promptLens[row] = sequence.promptLen;
  }
  return {
    kind,
    tokenIds,
    positions,
    queryLens,
    seqLens,
    promptLens,
    sequences: entries.map(({ sequence }) => sequence.tokens),
    blockTables: entries.map(({ sequence }) => sequence.blockTable.blocks),
    headRows: Int32Array.from(headRows),
    inserts: entries.map(({ sequence }) => sequence.inserts),
    adapters: entries.map(({ sequence }) => sequence.adapter),
    inserted,
    ...(shownPlaces && { shownPlaces }),
  };
}

/** How many rows of logits an entry has among those of its step. */
export function headRowsOf({ count, scores, drafts }: BatchEntry<StepSequence>): number {
  return scores || drafts ? count : 1;
}

/** What bounds a step of `forward`. */
export interface ForwardLimits {
  readonly vocabSize: number;
  /** Tokens that the whole KV cache holds. */
  readonly cacheTokens: number;
  /** LoRA adapters that were loaded. */
  readonly adapters: readonly string[];
}

/**
 * What a runner with a scheduler of its own asks for, as a step. Lengths are compared before anything is made as long as
 * they say.
 * @throws REQUEST_INVALID when the arrays do not fit together, or not the limits
 */
export function stepOfForward(inputs: ForwardInputs, limits: ForwardLimits): Step {
  requireArgument('ModelRunner.forward', 'the inputs', OBJECT, inputs);
  const { inputIds, positionIds, isPrefill, blockTables, slots, inputLengths, lmHeadIndices } = inputs;
  for (const [field, array] of Object.entries({ inputIds, positionIds, slots, inputLengths }))
    if (!(array instanceof Int32Array)) refuseRequest(field, 'an Int32Array', array);
  if (typeof isPrefill !== 'boolean') refuseRequest('isPrefill', 'true or false', isPrefill);
  if (!Array.isArray(blockTables)) refuseRequest('blockTables', 'a list of block tables', blockTables);
  const { cacheTokens, vocabSize } = limits;
  requireEach(
    'inputLengths',
    inputLengths,
    1,
    cacheTokens,
    `at least 1 each, and at most ${cacheTokens}, which the KV cache holds`,
  );
  const total = isPrefill ? inputLengths.reduce((sum, count) => sum + count, 0) : inputLengths.length;
  const what = isPrefill ? `${total} tokens of inputLengths` : `${total} sequences`;
  for (const [field, { length }] of Object.entries({ inputIds, positionIds, slots })) {
    if (length !== total) refuseRequest(field, `one entry for each of the ${what}`, length);
  }
  checkTokenIds('inputIds', inputIds, vocabSize);
  if (lmHeadIndices !== undefined) {
    if (!(lmHeadIndices instanceof Int32Array) || lmHeadIndices.length > total)
      refuseRequest('lmHeadIndices', `an Int32Array of at most ${total} tokens`, lmHeadIndices);
    requireEach('lmHeadIndices', lmHeadIndices, 0, total - 1, `from 0 to ${total - 1}`);
  }
  const queryLens = isPrefill ? inputLengths : new Int32Array(total).fill(1);
  let end = -1;
  const lastTokens = queryLens.map((count) => {
    end += count;
    return end;
  });
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
    headRows: lmHeadIndices ?? lastTokens,
    ...(inputs.adapters && {
      adapters: adapterPlaces(inputs.adapters, inputLengths.length, limits.adapters),
    }),
  };
}

/** Of each sequence the place of its adapter. @throws REQUEST_INVALID */
function adapterPlaces(
  adapters: readonly (string | undefined)[],
  batch: number,
  loaded: readonly string[],
): readonly (number | undefined)[] {
  if (!Array.isArray(adapters) || adapters.length !== batch)
    refuseRequest('adapters', `a list with an entry for each of the ${batch} sequences`, adapters);
  return adapters.map((name, row) => placeOfAdapter(`adapters[${row}]`, name, loaded));
}

function requireEach(field: string, array: Int32Array, min: number, max: number, expected: string): void {
  const index = array.findIndex((value) => value < min || value > max);
  if (index >= 0) refuseRequest(`${field}[${index}]`, expected, array[index]);
}
