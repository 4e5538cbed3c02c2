import type { TensorRef } from '../weights/weights.js';
import type { CacheRef, StateRef } from './cache-ref.js';

/** What a module is made of: other modules, and things that hold weights, as a `Linear` does. */
interface Part {
  getWeights(): TensorRef[];
  caches?(): CacheRef[];
  states?(): StateRef[];
}

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
}

const isPart = (value: unknown): value is Part =>
  typeof value === 'object' && value !== null && 'getWeights' in value;

function partsOf(module: Module): Part[] {
  return Object.values(module).flat().filter(isPart);
}
