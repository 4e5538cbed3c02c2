import type { GraphPass } from './pass.js';
import { Pattern, paramOf } from './pattern.js';
import { productOf } from './product.js';

/** A sampler reads f32 anyway: logits that are not rounded to 16 bits rank tokens that rounding would tie. */
export const logitsF32: GraphPass = {
  name: 'logits-f32',
  summary: 'keeps logits in f32, as they were summed',
  rewrite(spec, { isRoot }) {
    const [logits] = spec.outputs;
    if (!isRoot || logits === undefined) return spec;
    const head = new Pattern(spec).producer(logits)?.node;
    const product = head && productOf(spec, head);
    // What is added to a product has the dtype of the sum.
    if (!head || !product || product.outDataType || product.residual !== undefined) return spec;
    const type = paramOf(head, 'Linear') ? 'Linear' : 'FusedLinear';
    const param = { ...('type' in head.op ? head.op.param : {}), outDataType: 'ACL_FLOAT' };
    return {
      ...spec,
      nodes: spec.nodes.map((node) => (node === head ? { ...node, op: { type, param } } : node)),
    };
  },
};
