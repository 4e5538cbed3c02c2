import { CommonOpBuilderManager } from '../../common-op-builders/index.js';
import { AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import { type GraphKind, hasOneQuery } from '../../graph/graph-kind.js';
import { ROTARY_ROWS } from '../../layers/attention/rotary-rows.js';
import { gatherRows } from '../../layers/formulas/gather-rows.js';
import { addResidual } from '../../layers/formulas/residual.js';
import { type ArgumentKind, madeBy, OBJECT, requireArgument, wholes } from '../../require-argument.js';
import {
  ADDED_INDEX,
  ADDED_ROWS,
  DEEP_INDEX,
  DEEP_ROWS,
  EMBEDDING_ROWS,
  GRID_IDS,
  INSERTED_ROWS,
  MROPE_IDS,
  MROPE_TABLES,
} from '../../step-inputs/index.js';

// Where a step brings one word of each sequence, nothing is inserted, and positions on all axes are equal.

const GRAPH = madeBy(AtbGraph, 'an AtbGraph');
const KIND: ArgumentKind = { expected: 'a kind of graph, as PREFILL and DECODE', holds: OBJECT.holds };

/** Words' embeddings `hidden` [tokens, hidden] -> those of words and of what is no word, the same shape. */
export function buildInsertGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
  requireArgument('buildInsertGraph', 'the graph', GRAPH, graph);
  requireArgument('buildInsertGraph', 'the kind', KIND, kind);
  if (hasOneQuery(kind)) return hidden;
  const [known, merged] = ['known_embeddings', 'merged_embeddings'];
  const concat = new BaseOperation('Concat', { concatDim: 0 }, known);
  graph.addOperation(concat, [hidden, INSERTED_ROWS], [known]);
  graph.addOperation(new BaseOperation('Gather', { axis: 0 }, merged), [known, EMBEDDING_ROWS], [merged]);
  return merged;
}

/** Adds to words' embeddings `hidden` [tokens, hidden] what an encoder gave beside them: the same shape. */
export function buildAddedGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
  if (hasOneQuery(kind)) return hidden;
  return addResidual(graph, hidden, gatherRows(graph, ADDED_ROWS, ADDED_INDEX, 'added'), 'added_hidden');
}

const ROTARY_TENSORS = {
  cosTable: 'cos_table',
  sinTable: 'sin_table',
  cosEmbedding: ROTARY_ROWS.cos,
  sinEmbedding: ROTARY_ROWS.sin,
} as const;
const POSITION = { category: 'POSITIONAL_EMBEDDING', opName: 'positional_embedding' } as const;

/** Positions [tokens] on three axes -> the rows of the rotary tables that all layers read, [tokens, headDim] each. */
export function buildMropeGraph(
  graph: AtbGraph,
  kind: GraphKind,
  sections: readonly number[],
  isInterleaved = false,
): void {
  requireArgument('buildMropeGraph', 'the graph', GRAPH, graph);
  requireArgument('buildMropeGraph', 'the kind', KIND, kind);
  requireArgument('buildMropeGraph', 'the sections', wholes(0), sections);
  const tensors = { ...ROTARY_TENSORS, positionIds: MROPE_IDS.time };
  const otherIds = [MROPE_IDS.height, MROPE_IDS.width] as const;
  if (hasOneQuery(kind)) CommonOpBuilderManager.getBuilder(POSITION).build(graph, tensors);
  else if (isInterleaved)
    CommonOpBuilderManager.getBuilder({ ...POSITION, embeddingType: 'mrope_sum' }).build(graph, {
      ...tensors,
      otherIds,
      axisTables: MROPE_TABLES,
    });
  else
    CommonOpBuilderManager.getBuilder({ ...POSITION, embeddingType: 'mrope', sections }).build(graph, {
      ...tensors,
      otherIds,
    });
}

/**
 * The same of `gridAxes`: half of each stretch of a row is a section, of columns, rows and pictures, before which places
 * in the text may have one.
 */
export function buildGridAxesGraph(graph: AtbGraph, kind: GraphKind, sections: readonly number[]): void {
  const places = 'position_ids';
  const all = [places, GRID_IDS.column, GRID_IDS.row, GRID_IDS.picture];
  const [positionIds = places, ...otherIds] = hasOneQuery(kind) ? [] : all.slice(-sections.length);
  const embedding = hasOneQuery(kind) ? {} : ({ embeddingType: 'mrope_row', sections } as const);
  CommonOpBuilderManager.getBuilder({ ...POSITION, ...embedding }).build(graph, {
    ...ROTARY_TENSORS,
    positionIds,
    otherIds,
  });
}

/** Adds what an encoder has as its vectors number `level`: `hidden` [tokens, hidden] -> the same shape. */
export function buildDeepGraph(graph: AtbGraph, kind: GraphKind, hidden: string, level: number): string {
  if (hasOneQuery(kind)) return hidden;
  const rows = `deep_${level}`;
  graph.addOperation(new BaseOperation('Gather', { axis: 0 }, rows), [DEEP_ROWS(level), DEEP_INDEX], [rows]);
  return addResidual(graph, hidden, rows, `deep_hidden_${level}`);
}
