import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import { entryPositions, type RopeConfig, type RotaryTables } from '../../step-inputs/index.js';
import type { RotaryRows } from './rotary-rows.js';

/** Rows of rotary tables in layers with entries, and those at the positions of their entries. */
export const ENTRY_LAYER_ROWS: RotaryRows = { cos: 'compress_cos_embedding', sin: 'compress_sin_embedding' };
export const entryRows = (tokensPerEntry: number): RotaryRows => ({
  cos: `entry_cos_embedding_${tokensPerEntry}`,
  sin: `entry_sin_embedding_${tokensPerEntry}`,
});

/** The tables of layers with entries. */
export const entryTables = (rope: RopeConfig): RotaryTables => ({
  rope,
  cos: 'compress_cos_table',
  sin: 'compress_sin_table',
});

/** Adds rows of tables at the positions of entries. */
export function addEntryRows(graph: AtbGraph, { cos, sin }: RotaryTables, tokensPerEntry: number): void {
  const rows = entryRows(tokensPerEntry);
  const gather = (table: string, out: string) =>
    graph.addOperation(
      new BaseOperation('Gather', { axis: 0 }, out),
      [table, entryPositions(tokensPerEntry)],
      [out],
    );
  gather(cos, rows.cos);
  gather(sin, rows.sin);
}
