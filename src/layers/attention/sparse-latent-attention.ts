import type { AtbGraph } from '../../graph/atb-graph.js';
import type { RopeConfig } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import type { LatentAttentionConfig } from '../attention-config.js';
import type { CacheRef } from '../cache-ref.js';
import type { BorrowedTensor } from '../module.js';
import { CHOSEN_KEYS, Indexer, type IndexerConfig } from './indexer.js';
import { LatentAttention, type LatentOptions } from './latent-attention.js';

/** What sparse attention is told by the configuration. */
export interface SparseAttentionConfig extends LatentAttentionConfig, IndexerConfig {
  readonly qLoraRank: number;
  readonly rope?: RopeConfig | undefined;
  /** For each layer, the one whose indexer chooses its keys: itself, or one before it. */
  readonly indexOwners: readonly number[];
}

/** Of a layer: whether it has an indexer, and whether others use what that chooses. */
export function indexerRoles({ indexOwners }: Pick<SparseAttentionConfig, 'indexOwners'>, layerId: number) {
  const owner = indexOwners[layerId] ?? layerId;
  return {
    owner,
    isOwn: owner === layerId,
    isLending: owner === layerId && indexOwners[layerId + 1] === layerId,
  };
}

/** Tells layers apart by what they do for the choice of keys. */
export const indexerVariant = (
  config: Pick<SparseAttentionConfig, 'indexOwners'>,
  layerId: number,
): string => {
  const { isOwn, isLending } = indexerRoles(config, layerId);
  return isOwn ? (isLending ? 'lending' : '') : 'shared';
};

/** Latent attention of each query to those keys alone that an indexer chose, of this layer or of one before it. */
export class SparseLatentAttention extends LatentAttention {
  readonly indexer: Indexer | undefined;
  private readonly owner: number;
  private readonly isLending: boolean;

  /** `Choice`: of what kind its indexer is. Throws what `LatentAttention` and `Indexer` throw. */
  constructor(
    layerId: number,
    config: SparseAttentionConfig,
    weights: Weights,
    options?: LatentOptions,
    Choice: typeof Indexer = Indexer,
  ) {
    super(layerId, config, weights, options);
    const { owner, isOwn, isLending } = indexerRoles(config, layerId);
    this.indexer = isOwn ? new Choice(layerId, config, weights.at('indexer')) : undefined;
    this.owner = owner;
    this.isLending = isLending;
  }

  override caches(): CacheRef[] {
    return [...super.caches(), ...(this.indexer?.caches() ?? [])];
  }

  override borrowed(): BorrowedTensor[] {
    return this.indexer ? [] : [[CHOSEN_KEYS, `${CHOSEN_KEYS}_${this.owner}`]];
  }

  override lent(): string[] {
    return this.isLending ? [CHOSEN_KEYS] : [];
  }

  protected override buildChoiceGraph(graph: AtbGraph, input: string, queries: string): string {
    return this.indexer?.buildGraph(graph, input, queries) ?? CHOSEN_KEYS;
  }
}
