import { expertOf, named, rowsOf } from './weight-changes.js';
import type { TensorRef, WeightSource, Weights } from './weights.js';

/** Where a projection of every expert lies in one tensor [experts, rows, inFeatures]. */
export interface ExpertStack {
  readonly tensor: string;
  /** The rows of an expert that are the projection's, where the tensor holds several; all when absent. */
  readonly rows?: { readonly from: number; readonly count: number };
}

/**
 * The same weights, where `3.gate_proj.weight` is found in a stack: `stacks` says in which, by the names of projections.
 * Tensors of single experts come first.
 */
export const unstacked = (weights: Weights, stacks: Readonly<Record<string, ExpertStack>>): Weights =>
  weights.mapped((source) => ({
    ...delegating(source),
    has: (name) => source.has(name) || stackOf(weights, stacks, name) !== undefined,
    find: (name, expected) => source.find(name, expected) ?? fromStack(source, weights, stacks, name),
  }));

/** A source as an object of its own, whatever class it is. */
const delegating = (source: WeightSource): WeightSource => ({
  label: source.label,
  has: (name) => source.has(name),
  find: (name, expected) => source.find(name, expected),
  nearest: (name) => source.nearest?.(name),
  remedy: (name) => source.remedy?.(name),
  quantOf: (linear, role) => source.quantOf?.(linear, role),
});

interface Place {
  readonly expert: number;
  readonly stack: ExpertStack;
}

function stackOf(
  weights: Weights,
  stacks: Readonly<Record<string, ExpertStack>>,
  name: string,
): Place | undefined {
  const inside = name.startsWith(`${weights.path()}.`) ? name.slice(weights.path().length + 1) : '';
  const [, expert, projection = ''] = /^(\d+)\.(\w+)\.weight$/.exec(inside) ?? [];
  const stack = Object.hasOwn(stacks, projection) ? stacks[projection] : undefined;
  return stack && weights.has(stack.tensor) ? { expert: Number(expert), stack } : undefined;
}

function fromStack(
  source: WeightSource,
  weights: Weights,
  stacks: Readonly<Record<string, ExpertStack>>,
  name: string,
): TensorRef | undefined {
  const place = stackOf(weights, stacks, name);
  const whole = place && source.find(weights.path(place.stack.tensor), []);
  if (!whole) return undefined;
  const own = expertOf(whole, place.expert);
  const { rows } = place.stack;
  return named(rows ? rowsOf(own, rows.from, rows.count) : own, name);
}
