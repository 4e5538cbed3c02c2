import type { Tensor } from '../dtype.js';
import type { GraphSpec } from '../graph/atb-graph.js';
import type { GraphKind } from '../graph/graph-kind.js';
import type { NativeEngine, PlannedInput } from '../native/index.js';
import type { RunFacts, Step, StepInput, StepSizes } from '../step-inputs/index.js';

/** Gives each graph the step inputs that it reads: those of the whole run once, the others with every step. */
export class ServedInputs {
  /** By kind of graph: what to make for a step, and which of its names the graph reads. */
  readonly #made: ReadonlyMap<GraphKind, readonly { input: StepInput; names: readonly string[] }[]>;

  /** Hands tensors that stay for the run to the engine, which binds graphs that are loaded later to them. */
  constructor(
    inputs: readonly StepInput[],
    graphs: ReadonlyMap<GraphKind, GraphSpec>,
    private readonly run: RunFacts,
    engine: NativeEngine,
  ) {
    const read = new Set([...graphs.values()].flatMap((spec) => spec.inputs));
    const held = new Set<string>();
    for (const input of inputs.filter(({ names }) => names.some((name) => read.has(name)))) {
      for (const [name, tensor] of Object.entries(input.hold?.(run) ?? {})) {
        engine.setTensor(name, tensor);
        held.add(name);
      }
    }
    this.#made = new Map(
      [...graphs].map(([kind, spec]) => [
        kind,
        inputs.flatMap((input) => {
          const names = input.names.filter((name) => spec.inputs.includes(name) && !held.has(name));
          return names.length > 0 && input.make ? [{ input, names }] : [];
        }),
      ]),
    );
  }

  /** Their descriptions, for the largest step of its graph. */
  describe(sizes: StepSizes): Record<string, PlannedInput> {
    const described: Record<string, PlannedInput> = {};
    for (const { input, names } of this.#made.get(sizes.kind) ?? []) {
      const all = input.describe(sizes);
      for (const name of names) if (all[name]) described[name] = all[name];
    }
    return described;
  }

  /** The tensors that a step's graph wants with it. Throws REQUEST_INVALID for a step that cannot be. */
  make(step: Step): Record<string, Tensor> {
    const tensors: Record<string, Tensor> = {};
    for (const { input, names } of this.#made.get(step.kind) ?? []) {
      const made = input.make?.(step, this.run) ?? {};
      for (const name of names) {
        const tensor = made[name];
        if (tensor) tensors[name] = tensor;
      }
    }
    return tensors;
  }
}
