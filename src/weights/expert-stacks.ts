import { expertOf, named, rowsOf } from './weight-changes.js';
import type { TensorRef, WeightSource, Weights } from './weights.js';

/** Where a tensor of every expert lies in one, [experts, …]. */
export interface ExpertStack {
  readonly tensor: string;
  /** How many rows of the tensor an expert has, where experts lie one below the other: [experts * rows, …]. */
  readonly rows?: number;
  /** What the tensor is of an expert's part of the stack: all of it when absent. */
  readonly part?: (own: TensorRef) => TensorRef;
}

/** The stacks of a layer, by the names of an expert's tensors: `gate_proj.weight`. */
export type ExpertStacks = Readonly<Record<string, ExpertStack>>;

/** The same weights, where `3.gate_proj.weight` is found in a stack. Tensors of single experts come first. */
export const unstacked = (weights: Weights, stacks: ExpertStacks): Weights =>
  weights.mapped((source) => ({
    label: source.label,
    has: (name) => source.has(name) || placeOf(source, weights, stacks, name) !== undefined,
    find: (name, expected) => source.find(name, expected) ?? fromStack(source, weights, stacks, name),
    nearest: (name) => source.nearest?.(name),
    remedy: (name) => source.remedy?.(name),
    quantOf: (linear, role) => source.quantOf?.(linear, role),
  }));

interface Place {
  readonly expert: number;
  readonly stack: ExpertStack;
}

function placeOf(
  source: WeightSource,
  weights: Weights,
  stacks: ExpertStacks,
  name: string,
): Place | undefined {
  const inside = name.startsWith(`${weights.path()}.`) ? name.slice(weights.path().length + 1) : '';
  const [, expert, tensor = ''] = /^(\d+)\.(.+)$/.exec(inside) ?? [];
  const stack = Object.hasOwn(stacks, tensor) ? stacks[tensor] : undefined;
  return stack && source.has(weights.path(stack.tensor)) ? { expert: Number(expert), stack } : undefined;
}

function fromStack(
  source: WeightSource,
  weights: Weights,
  stacks: ExpertStacks,
  name: string,
): TensorRef | undefined {
  const place = placeOf(source, weights, stacks, name);
  const whole = place && source.find(weights.path(place.stack.tensor), []);
  if (!whole) return undefined;
  const { rows } = place.stack;
  const own = rows === undefined ? expertOf(whole, place.expert) : rowsOf(whole, place.expert * rows, rows);
  return named(place.stack.part?.(own) ?? own, name);
}
