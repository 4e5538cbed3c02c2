import type { NodeSpec } from '../graph-spec.js';
import { attentionKeysOf } from '../ops/attention.js';
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
  // Without a mask, the inputs are q, k, v and the lengths.
  if (!param?.causal || (param.maskType ?? 'MASK_TYPE_UNDEFINED') !== 'MASK_TYPE_UNDEFINED') return undefined;
  const [q, k, v, seqLen] = node.inputs as [string, string, string, string];
  if (!pattern.spec.inputs.includes(BLOCK_TABLES) && pattern.isDefined(BLOCK_TABLES)) return undefined;
  const cached = pattern
    .readings(k)
    .find(
      ({ node: writer, at: place }) =>
        paramOf(writer, 'ReshapeAndCache') && place < at && writer.inputs[0] === k && writer.inputs[1] === v,
    );
  if (!cached || !pattern.canMove(cached.at, at)) return undefined;
  const [, , kCache, vCache] = cached.node.inputs as [string, string, string, string];
  const { headNum, kvHeadNum, qkScale } = param;
  const paged: PagedAttentionParam = {
    headNum,
    kvHeadNum,
    qkScale,
    maskType: 'MASK_TYPE_UNDEFINED',
    calcType: 'CALC_TYPE_SPEC',
    ...attentionKeysOf(param),
  };
  const inputs = [q, kCache, vCache, BLOCK_TABLES, seqLen, seqLen];
  return new Map([[node, [{ ...node, op: { type: 'PagedAttention', param: paged }, inputs }]]]);
}
