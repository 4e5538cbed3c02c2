import { rowsInTurn } from '../../weights/row-orders.js';
import { expertOf, named, transposed, withRowOrder } from '../../weights/weight-changes.js';
import type { TensorRef, WeightSource, Weights } from '../../weights/weights.js';

/** A tensor of one expert: `3.gate_proj.bias`. */
interface Place {
  readonly expert: number;
  readonly projection: 'gate' | 'up' | 'down';
  readonly kind: 'weight' | 'bias';
}

/**
 * The tensors of single experts out of gpt-oss's stacks: `gate_up_proj` [experts, hidden, 2 * width], the columns of gate and
 * up in turn, `gate_up_proj_bias` [experts, 2 * width], `down_proj` [experts, width, hidden], `down_proj_bias`. Stacks of
 * mxfp4 are read where such weights are (`weights/formats/mxfp4.ts`); their biases are these.
 */
export const ofStacks = (weights: Weights): Weights =>
  weights.mapped((source) => ({
    label: source.label,
    has: (name) => source.has(name) || stackOf(source, weights, name) !== undefined,
    find(name, expected) {
      const stack = stackOf(source, weights, name);
      return (stack && fromStack(source, stack, name)) ?? source.find(name, expected);
    },
    nearest: (name) => source.nearest?.(name),
    remedy: (name) => source.remedy?.(name),
    quantOf: (linear, role) => source.quantOf?.(linear, role),
  }));

interface Stack extends Place {
  readonly tensor: string;
}

function stackOf(source: WeightSource, weights: Weights, name: string): Stack | undefined {
  const inside = name.startsWith(`${weights.path()}.`) ? name.slice(weights.path().length + 1) : '';
  const [, expert, projection, kind] = /^(\d+)\.(gate|up|down)_proj\.(weight|bias)$/.exec(inside) ?? [];
  if (expert === undefined) return undefined;
  const stem = projection === 'down' ? 'down_proj' : 'gate_up_proj';
  const tensor = weights.path(kind === 'bias' ? `${stem}_bias` : stem);
  const place = { expert: Number(expert), projection, kind } as Place;
  return source.has(tensor) ? { ...place, tensor } : undefined;
}

function fromStack(source: WeightSource, stack: Stack, name: string): TensorRef | undefined {
  const { tensor, expert, projection, kind } = stack;
  const whole = source.find(tensor, []);
  if (whole === undefined) return undefined;
  const own = expertOf(whole, expert);
  const rows = kind === 'bias' ? own : transposed(own);
  if (projection === 'down') return named(rows, name);
  const order = rowsInTurn(projection === 'gate' ? 0 : 1, Math.floor((rows.shape[0] ?? 0) / 2));
  return named(withRowOrder(rows, order), name);
}
