import type { NodeSpec } from '../graph-spec.js';
import type { SwigluClamp } from '../ops/activation.js';
import type { FusedExpertsParam } from '../ops/fused-experts.js';
import { GMM_QUANT } from '../ops/grouped-matmul.js';
import { gated } from './activation-epilogue.js';
import type { GraphPass } from './pass.js';
import { type Pattern, paramOf, type Rewriting, rewriteMatches } from './pattern.js';

/** The choices of tokens, sorted and given to their experts, as one operation that keeps its sums in f32. */
export const fuseExperts: GraphPass = {
  name: 'fused-experts',
  summary: 'computes chosen experts and the sum of their results in one operation',
  rewrite: (spec) => rewriteMatches(spec, match),
};

/** A GroupedMatmul, with what quantises its rows. */
interface ExpertProduct {
  readonly nodes: readonly NodeSpec[];
  readonly at: number;
  readonly x: string;
  readonly ends: string;
  /** The matrices, the scales of integers, their offsets, what becomes of rows, and the biases. */
  readonly weights: readonly string[];
  readonly hasOffset: boolean;
  readonly hasBias: boolean;
  readonly bits?: 8 | 4;
  readonly int8Rows: boolean;
  readonly isStatic: boolean;
  readonly hasChannels: boolean;
}

function match(pattern: Pattern, node: NodeSpec, at: number): Rewriting | undefined {
  if (!paramOf(node, 'MoeTokenUnpermute')) return undefined;
  const [results, places, probs] = node.inputs as [string, string, string];
  const down = productOf(pattern, results);
  const act = down && activatedBy(pattern, down.x);
  if (!act || !pattern.soleReading(down.x)) return undefined;
  const gateUp = pattern.soleReading(act.input) && productOf(pattern, act.input);
  const routing = gateUp && pattern.producer(gateUp.x);
  const ends = gateUp && pattern.producer(gateUp.ends);
  if (!routing || !ends || !paramOf(routing.node, 'MoeInitRouting')) return undefined;
  const [rows, ownPlaces, counts] = routing.node.outputs as [string, string, string];
  if (
    gateUp.x !== rows ||
    gateUp.ends !== down.ends ||
    places !== ownPlaces ||
    ends.node.inputs[0] !== counts
  )
    return undefined;
  if (gateUp.int8Rows !== down.int8Rows || gateUp.isStatic !== down.isStatic) return undefined;
  if (gateUp.hasBias !== down.hasBias || down.hasChannels) return undefined;
  if (
    !isAlone(pattern, rows, places, counts) ||
    pattern.readings(gateUp.ends).length !== 2 ||
    !pattern.canMove(routing.at, at)
  )
    return undefined;
  const param: FusedExpertsParam = {
    ...act.param,
    ...(gateUp.bits && { gateUpBits: gateUp.bits }),
    ...(down.bits && { downBits: down.bits }),
    ...(gateUp.hasOffset && { gateUpOffset: true }),
    ...(down.hasOffset && { downOffset: true }),
    ...(down.hasBias && { hasBias: true }),
    ...(gateUp.int8Rows && { int8Activations: true }),
    ...(gateUp.isStatic && { staticActivations: true }),
    ...(gateUp.hasChannels && { gateUpChannels: true }),
  };
  const [x, chosen] = routing.node.inputs as [string, string];
  const fused: NodeSpec = {
    name: routing.node.name.replace(/_routing$/, ''),
    op: { type: 'FusedExperts', param },
    inputs: [x, chosen, probs, ...gateUp.weights, ...down.weights],
    outputs: node.outputs,
  };
  const gone = [routing.node, ends.node, ...act.nodes, ...gateUp.nodes, ...down.nodes];
  return new Map<NodeSpec, readonly NodeSpec[]>([
    ...gone.map((each) => [each, []] as const),
    [node, [fused]],
  ]);
}

/** What makes of gates and what they gate one tensor. */
interface ExpertActivation {
  readonly param: Pick<FusedExpertsParam, 'activation' | keyof SwigluClamp>;
  readonly nodes: readonly NodeSpec[];
  readonly input: string;
}

/** A SwiGLU, or a GELU of gates times what they gate. */
function activatedBy(pattern: Pattern, name: string): ExpertActivation | undefined {
  const node = pattern.producer(name)?.node;
  const clamp = node && clampOf(node);
  if (clamp)
    return { param: { activation: 'swiglu', ...clamp }, nodes: [node], input: node.inputs[0] as string };
  const gelu = pattern.producer(node?.inputs[0] ?? '')?.node;
  const split = pattern.producer(gelu?.inputs[0] ?? '')?.node;
  const found = split && gated(pattern, split);
  const activation = GELUS.find((known) => known === found?.activation);
  if (!found || !activation || found.output !== name) return undefined;
  return { param: { activation }, nodes: found.nodes, input: split.inputs[0] as string };
}

const GELUS = ['geglu', 'geglu-tanh'] as const;

/** How a SwiGLU clamps; undefined where a node is none. */
function clampOf(node: NodeSpec): SwigluClamp | undefined {
  const param = paramOf(node, 'Activation');
  if (param?.activationType !== 'ACTIVATION_SWIGLU_FORWARD' || (param.dim ?? -1) !== -1) return undefined;
  const { limit, gateScale, clampForm } = param;
  if (!limit) return {};
  return { limit, ...(gateScale !== undefined && { gateScale }), ...(clampForm && { clampForm }) };
}

const isAlone = (pattern: Pattern, ...names: readonly string[]): boolean =>
  names.every((name) => pattern.soleReading(name) !== undefined);

/** The product that makes a tensor which nobody else reads. */
function productOf(pattern: Pattern, name: string): ExpertProduct | undefined {
  const { node, at } = pattern.producer(name) ?? {};
  const param = paramOf(node, 'GroupedMatmul');
  if (!node || at === undefined || !param?.transposeB || !pattern.soleReading(name)) return undefined;
  const { hasBias = false, hasChannels = false, staticActivations: isStatic = false } = param;
  const [x = '', weight = '', ...others] = node.inputs;
  const ends = others.pop() ?? '';
  const bias = others.splice(0, hasBias ? 1 : 0);
  const channels = others.splice(-1, hasChannels ? 1 : 0);
  const [scale = '', third = ''] = others;
  const product = {
    nodes: [node],
    at,
    x,
    ends,
    weights: [weight, ...others, ...channels, ...bias],
    hasBias,
    hasOffset: false,
    int8Rows: false,
    isStatic,
    hasChannels,
  };
  if (!pattern.spec.inputs.includes(weight)) return undefined;
  if (param.quantType === GMM_QUANT.NONE) return product;
  const { symmetric = false, packedOffsets: hasOffset = false } = node.hint ?? {};
  if (!symmetric && !hasOffset) return undefined;
  if (isStatic) return { ...product, bits: 8 };
  const weights = [weight, scale, ...(hasOffset ? [third] : []), ...channels, ...bias];
  if (param.quantType !== GMM_QUANT.W8A8_TOKEN)
    return {
      ...product,
      weights,
      hasOffset,
      bits: param.quantType === GMM_QUANT.W4A16_CHANNEL ? 4 : 8,
      int8Rows: param.int8Activations === true,
    };
  const quant = pattern.producer(x);
  if (!quant || !paramOf(quant.node, 'DynamicQuant') || !isAlone(pattern, x, third)) return undefined;
  const [floats = ''] = quant.node.inputs;
  return { ...product, nodes: [node, quant.node], x: floats, weights, bits: 8, int8Rows: true };
}
