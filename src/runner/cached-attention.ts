import { AtbError } from '../errors.js';
import type { GraphSpec } from '../graph/atb-graph.js';

/**
 * Attention over a prompt's own keys sees them before they are rounded, where a later step reads them rounded: results
 * would depend on how a prompt is cut.
 */
export function requireCachedAttention(prefill: GraphSpec | undefined): void {
  const attends = ({ nodes }: GraphSpec): boolean =>
    nodes.some(({ op }) => ('graph' in op ? attends(op.graph) : op.type === 'SelfAttention'));
  if (prefill === undefined || !attends(prefill)) return;
  const passes = 'implicit-masks and attention-from-cache';
  throw new AtbError('OPTION_UNSUPPORTED', {
    option: 'kv_quant',
    found: 'int8',
    reason: `without the graph passes ${passes}, prefill attends to keys and values before they are rounded`,
  });
}
