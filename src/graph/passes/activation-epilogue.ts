import type { NodeSpec } from '../graph-spec.js';
import type { ActivationParam } from '../ops/activation.js';
import type { ProductActivation } from '../ops/fused-linear.js';
import type { GraphPass } from './pass.js';
import { type Pattern, paramOf, type Rewriting, rewriteMatches } from './pattern.js';
import { fusedLinear, productOf } from './product.js';

/**
 * A product whose only reader is an activation, which meets its numbers while they are in registers. Where it is a product
 * of gate and up, pairs of panels meet there: SwiGLU, and a GELU of the gate that is multiplied with up.
 */
export const activationEpilogue: GraphPass = {
  name: 'activation-epilogue',
  summary: 'applies the activation, gated or not, inside the product before it',
  rewrite: (spec) => rewriteMatches(spec, match),
};

function match(pattern: Pattern, node: NodeSpec): Rewriting | undefined {
  const product = productOf(pattern.spec, node);
  if (!product || product.activation || product.residual !== undefined || product.outDataType)
    return undefined;
  const [out] = node.outputs as [string];
  const reader = soleReader(pattern, out);
  const found = reader && (squared(pattern, reader) ?? activated(reader) ?? gated(pattern, reader));
  if (!found) return undefined;
  const { activation, nodes, output } = found;
  return new Map<NodeSpec, readonly NodeSpec[]>([
    [node, [fusedLinear(node.name, { ...product, activation }, output)]],
    ...nodes.map((gone) => [gone, []] as const),
  ]);
}

/** What some nodes make of a product. */
export interface Activated {
  readonly activation: ProductActivation;
  readonly nodes: readonly NodeSpec[];
  readonly output: string;
}

function activated(node: NodeSpec): Activated | undefined {
  const param = paramOf(node, 'Activation');
  const activation = param && activationOf(param);
  const [output] = node.outputs as [string];
  return activation && { activation, nodes: [node], output };
}

/** relu(x) times itself. */
function squared(pattern: Pattern, relu: NodeSpec): Activated | undefined {
  const found = activated(relu);
  if (found?.activation !== 'relu' || pattern.isOutput(found.output)) return undefined;
  const [one, other, ...more] = pattern.readings(found.output);
  const isSquare = paramOf(one?.node, 'Elewise')?.elewiseType === 'ELEWISE_MUL' && one?.node === other?.node;
  if (
    one === undefined ||
    !isSquare ||
    more.length > 0 ||
    one.node.inputs.some((name) => name !== found.output)
  )
    return undefined;
  const [output] = one.node.outputs as [string];
  return { activation: 'relu2', nodes: [relu, one.node], output };
}

const GATED = { gelu: 'geglu', 'gelu-tanh': 'geglu-tanh', swish: 'swiglu' } as const;

/** Split in gate and up, activation of the gate, product of both. */
export function gated(pattern: Pattern, split: NodeSpec): Activated | undefined {
  const param = paramOf(split, 'Split');
  if (param?.splitNum !== 2 || ![1, -1].includes(param.splitDim)) return undefined;
  const [first, second] = param.splitSizes ?? [];
  const [gate, up] = split.outputs as [string, string];
  const act = soleReader(pattern, gate);
  const found = act && activated(act);
  const name = found && (GATED as Partial<Record<ProductActivation, ProductActivation>>)[found.activation];
  if (first !== second || !found || !name) return undefined;
  const product = soleReader(pattern, found.output);
  if (!product || paramOf(product, 'Elewise')?.elewiseType !== 'ELEWISE_MUL') return undefined;
  if (soleReader(pattern, up) !== product) return undefined;
  const [output] = product.outputs as [string];
  return { activation: name, nodes: [split, ...found.nodes, product], output };
}

/** The only node that reads a tensor, as it is and not through a view. */
function soleReader(pattern: Pattern, name: string): NodeSpec | undefined {
  const reading = pattern.soleReading(name);
  return reading?.name === name ? reading.node : undefined;
}

/** Swish by its scale: that of 1.702 is what ATB calls a fast GELU, written in another way. */
const SWISHES: ReadonlyMap<number, ProductActivation> = new Map([
  [1, 'swish'],
  [1.702, 'fast-gelu'],
]);

/** FusedLinear's name of an activation. */
function activationOf(param: ActivationParam): ProductActivation | undefined {
  switch (param.activationType) {
    case 'ACTIVATION_RELU':
      return 'relu';
    case 'ACTIVATION_GELU':
      return param.geluMode === 'NONE_MODE' ? 'gelu' : 'gelu-tanh';
    case 'ACTIVATION_FAST_GELU':
      return 'fast-gelu';
    case 'ACTIVATION_SWISH':
      return SWISHES.get(param.scale ?? 1);
    case 'ACTIVATION_SWIGLU_FORWARD':
      return param.dim === -1 && !param.limit ? 'swiglu' : undefined;
    default:
      return undefined;
  }
}
