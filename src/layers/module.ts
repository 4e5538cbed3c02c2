import type { TensorRef } from '../weights/weights.js';
import type { CacheRef, StateRef } from './cache-ref.js';

/** What a module is made of: other modules, and things that hold weights, as a `Linear` does. */
interface Part {
  getWeights(): TensorRef[];
  caches?(): CacheRef[];
  states?(): StateRef[];
  borrowed?(): BorrowedTensor[];
  lent?(): string[];
}

/** A tensor of the model's graph that a layer reads: its name in the layer's graph, and in the model's. */
export type BorrowedTensor = readonly [inner: string, outer: string];

/**
 * A piece of a model, which knows how to add itself to a graph. Its parts are its properties: whatever of them holds
 * weights counts as its own, in the order in which it was set.
 */
export abstract class Module {
  /** Every weight of the module and its parts, in the order in which graphs declare them. */
  getWeights(): TensorRef[] {
    return partsOf(this).flatMap((part) => part.getWeights());
  }

  /** Every KV cache that the module and its parts use; none for modules that keep nothing. */
  caches(): CacheRef[] {
    return partsOf(this).flatMap((part) => part.caches?.() ?? []);
  }

  /** Every recurrent state that the module and its parts keep. */
  states(): StateRef[] {
    return partsOf(this).flatMap((part) => part.states?.() ?? []);
  }

  /** Tensors of earlier layers, or of what is before all layers, that the module and its parts read. */
  borrowed(): BorrowedTensor[] {
    return partsOf(this).flatMap((part) => part.borrowed?.() ?? []);
  }

  /** What later layers read of the module and its parts; in the model's graph `_<layerId>` stands behind the names. */
  lent(): string[] {
    return partsOf(this).flatMap((part) => part.lent?.() ?? []);
  }
}

const isPart = (value: unknown): value is Part =>
  typeof value === 'object' && value !== null && 'getWeights' in value;

function partsOf(module: Module): Part[] {
  return Object.values(module).flat().filter(isPart);
}
