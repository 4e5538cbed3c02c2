import type { GraphSpec, NodeSpec } from '../graph-spec.js';
import type { GraphPass } from './pass.js';
import { Pattern, paramOf } from './pattern.js';
import { productOf } from './product.js';

const PRODUCTS_OF_INTEGERS = ['W8A16MatMul', 'W4A16MatMul', 'W8A8MatMul'] as const;

/** A sampler reads f32 anyway: logits that are not rounded to 16 bits rank tokens that rounding would tie. */
export const logitsF32: GraphPass = {
  name: 'logits-f32',
  summary: 'keeps logits in f32, as they were summed',
  rewrite(spec, { isRoot }) {
    const [logits] = spec.outputs;
    if (!isRoot || logits === undefined) return spec;
    const head = headOf(new Pattern(spec), logits);
    if (!head || !('type' in head.op) || !canWiden(spec, head)) return spec;
    const { type, param } = head.op;
    const op = { type, param: { ...param, outDataType: 'ACL_FLOAT' } };
    return { ...spec, nodes: spec.nodes.map((node) => (node === head ? { ...node, op } : node)) };
  },
};

/** What logits come from, before they are scaled or bounded: those operations compute in the dtype of their input. */
function headOf(pattern: Pattern, logits: string): NodeSpec | undefined {
  const node = pattern.producer(logits)?.node;
  const type = paramOf(node, 'Elewise')?.elewiseType;
  const [input] = node?.inputs ?? [];
  if (input === undefined || (type !== 'ELEWISE_MULS' && type !== 'ELEWISE_TANH')) return node;
  return pattern.soleReading(input) && headOf(pattern, input);
}

function canWiden(spec: GraphSpec, head: NodeSpec): boolean {
  const integers = PRODUCTS_OF_INTEGERS.map((type) => paramOf(head, type)).find((param) => param);
  if (integers) return integers.outDataType !== 'ACL_FLOAT';
  const product = productOf(spec, head);
  // What is added to a product has the dtype of the sum.
  return product !== undefined && !product.outDataType && product.residual === undefined;
}
