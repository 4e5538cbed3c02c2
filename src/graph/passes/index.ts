import { AtbError } from '../../errors.js';
import { type ArgumentKind, requireArgument } from '../../require-argument.js';
import { GraphInterner, type GraphSpec, type NodeSpec, withoutUnread } from '../graph-spec.js';
import { requireGraph, wellFormed } from '../require-graph.js';
import { validateGraph } from '../validate.js';
import { activationEpilogue } from './activation-epilogue.js';
import { attentionFromCache } from './attention-from-cache.js';
import { dynamicQuant } from './dynamic-quant.js';
import { exactGroups } from './exact-groups.js';
import { fuseExperts } from './fused-experts.js';
import { fusedMultiply } from './fused-multiply.js';
import { gatherFirst } from './gather-first.js';
import { headProducts } from './head-products.js';
import { implicitMasks } from './implicit-masks.js';
import { logitsF32 } from './logits-f32.js';
import { normLinear } from './norm-linear.js';
import type { GraphPass } from './pass.js';
import { residualEpilogue } from './residual-epilogue.js';
import { ropeCache } from './rope-cache.js';

export type { GraphPass } from './pass.js';

/** Every pass, in the order in which they run: later ones find more where earlier ones ran, but need none of them. */
export const PASSES: readonly GraphPass[] = [
  implicitMasks,
  attentionFromCache,
  ropeCache,
  headProducts,
  gatherFirst,
  exactGroups,
  dynamicQuant,
  fuseExperts,
  activationEpilogue,
  residualEpilogue,
  normLinear,
  fusedMultiply,
  logitsF32,
];

const SELECTION: ArgumentKind = {
  expected: 'all, none or a list of names of passes',
  holds: (value) => Array.isArray(value),
};

export type PassSelection = 'all' | 'none' | readonly string[];

/** The passes that a selection names, in running order. Throws GRAPH_PASS_UNKNOWN. */
export function selectPasses(selection: PassSelection): readonly GraphPass[] {
  if (selection === 'all') return PASSES;
  if (selection === 'none') return [];
  const known = PASSES.map((pass) => pass.name);
  requireArgument('applyPasses', 'the selection', SELECTION, selection);
  for (const pass of selection) {
    if (!known.includes(pass)) throw new AtbError('GRAPH_PASS_UNKNOWN', { pass, known });
  }
  return PASSES.filter((pass) => selection.includes(pass.name));
}

/** The graph after the selected passes, validated and frozen; `spec` itself stays as it is. */
export function applyPasses(spec: GraphSpec, selection: PassSelection): GraphSpec {
  requireGraph('applyPasses', spec);
  const interner = new GraphInterner();
  return wellFormed(interner.intern(selectPasses(selection).reduce(applyPass, spec)));
}

/** Runs one pass on a graph and, first, on each distinct sub-graph of it; inputs that nobody reads any more are dropped. */
export function applyPass(spec: GraphSpec, pass: GraphPass): GraphSpec {
  const rewritten = new Map<GraphSpec, GraphSpec>();
  const rewrite = (graph: GraphSpec): GraphSpec => {
    const known = rewritten.get(graph);
    if (known) return known;
    const added = new Set<string>();
    const nodes = graph.nodes.map((node) => {
      if (!('graph' in node.op)) return node;
      const inner = rewrite(node.op.graph);
      if (inner === node.op.graph) return node;
      for (const name of inner.inputs) if (!node.op.graph.inputs.includes(name)) added.add(name);
      return replaceGraph(node, node.op.graph, inner);
    });
    const changed = nodes.some((node, index) => node !== graph.nodes[index]);
    const inputs = [...graph.inputs, ...[...added].filter((name) => !isDefined(graph, name))];
    const base = changed ? { ...graph, inputs, nodes } : graph;
    const result = pass.rewrite(base, { isRoot: graph === spec });
    const pruned = result === graph ? graph : withoutUnread(result);
    if (pruned !== graph) validateGraph(pruned);
    rewritten.set(graph, pruned);
    return pruned;
  };
  return rewrite(spec);
}

/** A node that placed `before` places `after`, which may have lost inputs; a new one is the tensor of its name here. */
function replaceGraph(node: NodeSpec, before: GraphSpec, after: GraphSpec): NodeSpec {
  const bound = new Map(before.inputs.map((name, index) => [name, node.inputs[index] as string]));
  return { ...node, op: { graph: after }, inputs: after.inputs.map((name) => bound.get(name) ?? name) };
}

const isDefined = ({ inputs, views, nodes }: GraphSpec, name: string): boolean =>
  inputs.includes(name) || name in views || nodes.some(({ outputs }) => outputs.includes(name));
