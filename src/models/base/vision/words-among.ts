import { type AtbGraph, BaseOperation } from '../../../graph/atb-graph.js';
import { gatherRows } from '../../../layers/formulas/gather-rows.js';
import { addScaled } from '../../../layers/formulas/residual.js';
import { WORDS_AMONG } from '../../../step-inputs/index.js';
import type { BaseModelATB } from '../base-model-atb.js';

/** What a model of text makes embeddings of words with. */
export type WordTable = Pick<BaseModelATB, 'embedTokens' | 'embeddingScale'>;

/**
 * Rows of pictures [rows, hidden] and embeddings of the words between them -> both in their order, [tokens, hidden].
 */
export function buildWordsAmongGraph(
  graph: AtbGraph,
  rows: string,
  { embedTokens, embeddingScale }: WordTable,
): string {
  const words = gatherRows(graph, embedTokens.name, WORDS_AMONG.ids, 'word_rows');
  const scaled =
    embeddingScale === undefined ? words : addScaled(graph, words, embeddingScale, 'scaled_word_rows');
  const concat = new BaseOperation('Concat', { concatDim: 0 }, 'rows_before_words');
  graph.addOperation(concat, [rows, scaled], ['rows_before_words']);
  return gatherRows(graph, 'rows_before_words', WORDS_AMONG.rows, 'picture_embeddings');
}
