import type { Weights } from '../../weights/weights.js';
import type { AttentionConfig } from '../attention-config.js';
import type { CacheRef } from '../cache-ref.js';
import type { BorrowedTensor } from '../module.js';
import type { BaseAttention } from './base-attention.js';
import { BorrowingAttention, LENT } from './borrowing-attention.js';

/** Attention of one layer, and whose keys and values it attends to. */
export interface LentAttention {
  readonly selfAttn: BaseAttention;
  /** The layer whose keys and values it attends to, where these are not its own. */
  readonly owner: number | undefined;
  /** Whether later layers attend to its own. */
  readonly isLending: boolean;
}

/** How attention of layers is made. */
export interface LendingParts {
  /** Attention that has keys and values of its own. */
  own(layerId: number, weights: Weights): BaseAttention;
  /** What attention is told that has none. */
  configOf(layerId: number): AttentionConfig & { readonly rmsNormEps: number };
}

/** What says which layers borrow. */
export interface LendingConfig {
  readonly slidingWindows: readonly (number | undefined)[];
  /** How many layers attend to keys and values of others: the last ones. */
  readonly borrowingLayers: number;
}

/** For each layer, whose keys and values it attends to: its own, or behind the last of these the last of its kind. */
function ownersOf({ slidingWindows, borrowingLayers }: LendingConfig): readonly number[] {
  const own = slidingWindows.length - borrowingLayers;
  const lastOf = (window: number | undefined) => slidingWindows.slice(0, own).lastIndexOf(window);
  return slidingWindows.map((window, layer) => (layer < own ? layer : lastOf(window)));
}

/** Makes attention of one layer after another; scores are not scaled. `weights` are those of a layer's attention. */
export function lentAttention(config: LendingConfig, { own, configOf }: LendingParts) {
  const owners = ownersOf(config);
  const caches = new Map<number, CacheRef>();
  return (layerId: number, weights: Weights): LentAttention => {
    const owner = owners[layerId] as number;
    if (owner !== layerId) {
      const options = { scale: 1, cache: caches.get(owner) as CacheRef };
      const selfAttn = new BorrowingAttention(layerId, configOf(layerId), weights, options);
      return { selfAttn, owner, isLending: false };
    }
    const selfAttn = own(layerId, weights);
    caches.set(layerId, selfAttn.caches()[0] as CacheRef);
    return { selfAttn, owner: undefined, isLending: owners.includes(layerId, layerId + 1) };
  };
}

/** Tells layers apart by what they lend and borrow, and by windows. */
export const lendingVariant = (
  { owner, isLending }: Omit<LentAttention, 'selfAttn'>,
  isSliding: boolean,
  ...more: readonly (string | false)[]
): string =>
  [isSliding && 'sliding', owner !== undefined && 'borrowing', isLending && 'lending', ...more]
    .filter((part) => part !== false)
    .join('_');

/** What a layer reads of its owner: for `borrowed()` of a layer. */
export const borrowedKeys = (owner: number | undefined): BorrowedTensor[] =>
  owner === undefined ? [] : LENT.map((name) => [`borrowed_${name}`, `${name}_${owner}`] as const);
