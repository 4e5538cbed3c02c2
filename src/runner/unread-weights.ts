import { AtbError } from '../errors.js';
import type { Checkpoint } from '../weights/checkpoint.js';
import { unreadTensors } from '../weights/unread-tensors.js';
import type { TensorRef } from '../weights/weights.js';

/** Tensors of a checkpoint that a model does not read, by what that means. */
export interface UnreadWeights {
  /**
   * They belong to a module or a layer that is read, as a bias beside its weight: the model computes something else than
   * the checkpoint was trained for.
   */
  readonly errors: readonly string[];
  /** They belong to modules of which nothing is read, as an extra head. */
  readonly warnings: readonly string[];
}

/** `harmless` are names of tensors that hold nothing of their own, as tables that are computed anyway. */
export function unreadWeights(
  checkpoint: Checkpoint,
  weights: readonly TensorRef[],
  harmless: readonly RegExp[],
): UnreadWeights {
  const unread = unreadTensors(checkpoint, weights).filter(
    ({ name }) => !harmless.some((pattern) => pattern.test(name)) && !checkpoint.format?.isSpare?.(name),
  );
  const names = new Set(unread.map(({ name }) => name));
  const owners = new Set([...checkpoint.tensors.keys()].filter((name) => !names.has(name)).flatMap(ownersOf));
  const [errors, warnings]: [string[], string[]] = [[], []];
  for (const { name, bytes, unreadBytes } of unread) {
    const isPart = unreadBytes < bytes;
    const belongs = isPart || ownersOf(name).some((owner) => owners.has(owner));
    const shown = isPart ? `${name} (${unreadBytes} of its ${bytes} bytes)` : name;
    (belongs ? errors : warnings).push(shown);
  }
  return { errors, warnings };
}

/** The module and the layer that a tensor belongs to: `model.layers.0.mlp.down_proj` and `model.layers.0`. */
function ownersOf(name: string): string[] {
  const path = name.split('.').slice(0, -1);
  const layer = path.findIndex((part) => /^\d+$/.test(part));
  return [path.join('.'), ...(layer < 0 ? [] : [path.slice(0, layer + 1).join('.')])];
}

/** Throws WEIGHT_UNREAD for what a model leaves out of what it should read. */
export function refuseUnread({ errors }: UnreadWeights, directory: string, modelClass: string): void {
  if (errors.length > 0) throw new AtbError('WEIGHT_UNREAD', { directory, modelClass, tensors: errors });
}
