import type { NodeSpec } from '../graph-spec.js';
import { attentionKeysOf } from '../ops/attention.js';
import { count } from '../ops/definition.js';
import type { PagedAttentionParam } from '../ops/paged-attention.js';
import type { GraphPass } from './pass.js';
import { type Pattern, paramOf, type Rewriting, rewriteMatches } from './pattern.js';

const BLOCK_TABLES = 'block_tables';

/**
 * Prefill's attention over keys and values that were just written to the cache reads them there, packed as its kernel
 * wants them, instead of packing them again; k and v then need no rows of their own. Needs the pass `implicit-masks`,
 * and whole prompts with a slot for each token. Adds the graph input `block_tables`.
 */
export const attentionFromCache: GraphPass = {
  name: 'attention-from-cache',
  summary: "lets prefill's attention read keys and values from the cache",
  rewrite(spec) {
    const rewritten = rewriteMatches(spec, match);
    return rewritten === spec || spec.inputs.includes(BLOCK_TABLES)
      ? rewritten
      : { ...rewritten, inputs: [...spec.inputs, BLOCK_TABLES] };
  },
};

function match(pattern: Pattern, node: NodeSpec, at: number): Rewriting | undefined {
  const param = paramOf(node, 'SelfAttention');
  // Without a mask, the inputs are q, k, v where it is one, the lengths, and what is behind them.
  if (!param?.causal || (param.maskType ?? 'MASK_TYPE_UNDEFINED') !== 'MASK_TYPE_UNDEFINED') return undefined;
  const end = node.inputs.length - count(param.hasSeen, param.hasSinks);
  const behind = node.inputs.slice(end);
  const [q, ...rest] = node.inputs.slice(0, end) as [string, ...string[]];
  const [rows, seqLen] = [rest.slice(0, -1), rest.at(-1) as string];
  if (!pattern.spec.inputs.includes(BLOCK_TABLES) && pattern.isDefined(BLOCK_TABLES)) return undefined;
  const cached = pattern
    .readings(rows[0] as string)
    .find(
      ({ node: writer, at: place }) =>
        paramOf(writer, 'ReshapeAndCache') &&
        place < at &&
        writer.outputs.length === rows.length &&
        rows.every((name, index) => writer.inputs[index] === name),
    );
  if (!cached || !pattern.canMove(cached.at, at)) return undefined;
  const { headNum, kvHeadNum, qkScale, mlaVHeadSize } = param;
  const paged: PagedAttentionParam = {
    headNum,
    kvHeadNum,
    qkScale,
    maskType: 'MASK_TYPE_UNDEFINED',
    calcType: 'CALC_TYPE_SPEC',
    ...(mlaVHeadSize !== undefined && { mlaVHeadSize }),
    ...attentionKeysOf(param),
  };
  const inputs = [q, ...cached.node.outputs, BLOCK_TABLES, seqLen, seqLen, ...behind];
  return new Map([[node, [{ ...node, op: { type: 'PagedAttention', param: paged }, inputs }]]]);
}
