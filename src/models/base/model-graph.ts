import { AtbGraph, type GraphSpec } from '../../graph/atb-graph.js';
import type { StepInput } from '../../step-inputs/index.js';

/**
 * A graph of a model that declares `input`, its weights and caches, and those of `stepInputs` that it reads. `build` adds the
 * operations and returns the name of the one output.
 */
export function modelGraph(
  name: string,
  input: readonly string[],
  stepInputs: readonly StepInput[],
  build: (graph: AtbGraph) => string,
): GraphSpec {
  const graph = new AtbGraph(name);
  graph.addInputOutput({ input, output: [] });
  graph.addOptionalInputs(stepInputs.flatMap(({ names }) => names));
  graph.addInputOutput({ input, output: [build(graph)] });
  return graph.build();
}
