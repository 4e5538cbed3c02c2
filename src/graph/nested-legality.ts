import { describeValue } from '../describe-value.js';
import { ATB_DTYPE_NAME } from '../dtype.js';
import { AtbError } from '../errors.js';
import { type DescribedGraph, describedGraphs } from './describe-tensors.js';
import type { FlatGraph, FlatNode } from './flatten.js';
import { graphCounts, limitProblems, MAX_GRAPH_TENSORS } from './graph-limits.js';
import { type GraphSpec, viewRoot } from './graph-spec.js';
import type { TensorDesc } from './infer-shapes.js';
import { operationProblems } from './legality.js';
import { type LegalityProblem, problemText } from './legality-problem.js';
import { asOuterGraph, viewsRead, writesMoreThanItReads } from './outer-graph.js';
import { requireCounts, requireDescs, requireGraph } from './require-graph.js';

/**
 * Everything in a graph and its sub-graphs that ATB would refuse, with the dtypes and shapes that its inputs have. A
 * sub-graph is one operation to ATB and has its limits; the nodes of the outer graph run one by one, as in MindIE.
 * Empty: legal. Throws GRAPH_INPUT_MISSING, and GRAPH_SHAPE_MISMATCH and GRAPH_VIEW_INVALID where shapes do not fit.
 */
export function specProblems(given: GraphSpec, inputs: ReadonlyMap<string, TensorDesc>): LegalityProblem[] {
  requireGraph('specProblems', given);
  requireDescs('specProblems', inputs);
  requireCounts(given);
  const spec = asOuterGraph(given);
  return describedGraphs(spec, inputs).flatMap((graph) => {
    const isOuter = graph.spec === spec;
    const own = [
      ...operationProblems(ownOperations(graph)),
      ...viewOutputProblems(graph.spec),
      ...(isOuter ? outerProblems(spec) : []),
    ];
    if (isOuter) return own;
    const within = own.map((problem) => ({ ...problem, where: `${graph.spec.name}, ${problem.where}` }));
    return [...within, ...limitProblems(graph.spec.name, graphCounts(graph.spec))];
  });
}

/** Throws GRAPH_ILLEGAL with all problems of a graph and its sub-graphs. */
export function assertLegalSpec(spec: GraphSpec, inputs: ReadonlyMap<string, TensorDesc>): void {
  const problems = specProblems(spec, inputs).map(problemText);
  if (problems.length > 0) throw new AtbError('GRAPH_ILLEGAL', { graph: spec.name, problems });
}

/** A graph without its sub-graphs: what those give counts as given. */
function ownOperations({ spec, tensors }: DescribedGraph): FlatGraph {
  const declared: Record<string, { dtype: string; shape: readonly number[] }> = {};
  const declare = (name: string): void => {
    const desc = tensors.get(name);
    if (desc) declared[name] = { dtype: ATB_DTYPE_NAME[desc.dtype], shape: desc.shape };
  };
  spec.inputs.forEach(declare);
  const nodes = spec.nodes.flatMap(({ op, inputs, outputs }): FlatNode[] => {
    if ('graph' in op) {
      outputs.forEach(declare);
      return [];
    }
    const reshape: Record<string, readonly number[]> = {};
    inputs.forEach((name, index) => {
      if (name in spec.views) reshape[index] = tensors.get(name)?.shape ?? [];
    });
    const ins = inputs.map((name) => viewRoot(spec.views, name));
    return [{ type: op.type, param: op.param, in: ins, out: outputs, reshape }];
  });
  const outputs = spec.outputs.filter((name) => !(name in spec.views));
  return { name: spec.name, inputs: declared, outputs, nodes };
}

const viewOutputProblems = ({ outputs, views }: GraphSpec): LegalityProblem[] =>
  outputs
    .filter((name) => name in views)
    .map((name) => ({
      rule: 'view',
      where: `output "${name}"`,
      text: "is a view; ATB's graphs give out tensors",
    }));

/** What MindIE's graph does not do when its nodes run one by one (its graph_operation.cpp, execute_as_single false). */
function outerProblems(spec: GraphSpec): LegalityProblem[] {
  return spec.nodes.flatMap((node) => {
    const { inputs, outputs } = node;
    const where = `node ${describeValue(node.name)}`;
    const problem = (rule: 'graph' | 'view', text: string): LegalityProblem => ({ rule, where, text });
    const found: LegalityProblem[] = [];
    if (writesMoreThanItReads(node))
      found.push(
        problem(
          'graph',
          `writes ${outputs.length} tensors and reads ${inputs.length}; place it in a sub-graph`,
        ),
      );
    const [view] = viewsRead(node, spec);
    if (view !== undefined) found.push(problem('view', `reads the view "${view}"; place it in a sub-graph`));
    if (Math.max(inputs.length, outputs.length) > MAX_GRAPH_TENSORS)
      found.push(problem('graph', `has more than ${MAX_GRAPH_TENSORS} tensors`));
    return found;
  });
}
