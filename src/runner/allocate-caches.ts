import type { NativeEngine } from '../native/index.js';
import type { CausalLM } from '../router/index.js';
import { shownCachesOf } from './kv-block-bytes.js';
import type { OpenModel } from './open-model.js';
import { DEFAULT_SHOWN_PLACES } from './runner-options.js';
import { ShownPlaces } from './shown-places.js';

/** How many blocks the caches of sequences have, and things those of what is shown. */
export interface CacheSizes {
  readonly numBlocks: number;
  readonly blockSize: number;
  readonly dtype: OpenModel['cacheDType'];
  readonly shownPlaces?: number | undefined;
}

/**
 * Has the engine make all that a model keeps. Returns the places of what is shown, for models that keep that beside
 * sequences.
 */
export function allocateCaches(
  engine: NativeEngine,
  model: CausalLM,
  { shownPlaces = DEFAULT_SHOWN_PLACES, ...sizes }: CacheSizes,
): ShownPlaces | undefined {
  const shown = shownCachesOf(model, sizes.blockSize, shownPlaces);
  const caches = [...model.caches(), ...shown];
  engine.allocateKvCache({ ...sizes, caches, states: model.states?.() ?? [] });
  return shown.length > 0 ? new ShownPlaces(shownPlaces) : undefined;
}
