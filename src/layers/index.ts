// What models are made of, for who writes one elsewhere: src/index.ts exports all of it.
export { AdaptedAttention, AdaptedMLP, type Adapters } from './adapted-steps.js';
export * from './altup.js';
export type { LatentAttentionConfig } from './attention-config.js';
export { AttentionExperts, type AttentionExpertsConfig } from './attention-experts.js';
export * from './attention-orders.js';
export {
  type AttentionConfig,
  type AttentionOptions,
  BaseAttention,
  type Qkv,
  ROTARY_ROWS,
  type RotaryRows,
  SLIDING_ROTARY_ROWS,
} from './base-attention.js';
export { BaseLayer, slidingVariant } from './base-layer.js';
export { BlockAttention } from './block-attention.js';
export type { BlockIndexerConfig } from './block-indexer.js';
export { type CacheRef, keyRows, layerCache, layerState, type StateRef } from './cache-ref.js';
export {
  CausalConv,
  type CausalConvOptions,
  type ConvPart,
  SplitConv,
  stateTensors,
} from './causal-conv.js';
export * from './clipped-linear.js';
export { CompressedAttention, type CompressedAttentionConfig } from './compressed-attention.js';
export type { EntryUse } from './config/entries.js';
export * from './config/index.js';
export * from './decoder-layers.js';
export { DifferentialAttention, type DifferentialConfig } from './differential-attention.js';
export {
  DISTANCE_VECTORS,
  DisentangledAttention,
  type DisentangledConfig,
  type DistanceTerm,
} from './disentangled-attention.js';
export { type DistanceVectorSizes, DistanceVectors } from './distance-vectors.js';
export {
  type Choice,
  ExpertRouter,
  Experts,
  type ExpertsConfig,
  type RouterConfig,
  type RouterNames,
  SparseMLP,
  sharedMLP,
} from './experts.js';
export { GatedAttention, GatedRotaryAttention, type GatePart } from './gated-attention.js';
export { type DeltaNetConfig, type DeltaNetParts, GatedDeltaNet } from './gated-delta-net.js';
export { GatedLatentAttention } from './gated-latent-attention.js';
export { GatedLruBlock, type GatedLruConfig } from './gated-lru.js';
export { type GatedNormConfig, GatedRMSNorm } from './gated-norm.js';
export * from './gated-streams.js';
export * from './gather-rows.js';
export { type HeadedMambaConfig, HeadedMambaMixer } from './headed-mamba.js';
export { HybridLayer, type HybridParts, wideAttention } from './hybrid-layer.js';
export {
  EqualStreams,
  type HyperConfig,
  HyperConnection,
  HyperHead,
  type HyperInput,
  type HyperNames,
  type StreamConnection,
} from './hyper-connection.js';
export { HyperLayer, type HyperLayerParts } from './hyper-layer.js';
export { Indexer, type IndexerConfig } from './indexer.js';
export * from './kimi-delta-attention.js';
export { LatentAttention, type LatentOptions } from './latent-attention.js';
export * from './latent-heads.js';
export * from './learned-positions.js';
export * from './lent-keys.js';
export { LightningAttention, type LightningConfig } from './lightning-attention.js';
export { type AdapterSizes, LowRankAdapter } from './low-rank-adapter.js';
export * from './low-rank-residual.js';
export { type MambaConfig, MambaMixer, type ScanNorm } from './mamba.js';
export { type Mamba2Config, Mamba2Mixer, type Mamba2Options, type Mamba2Scales } from './mamba2.js';
export { type MixingConfig, MixingConnection } from './mixing-connection.js';
export * from './mlp.js';
export { Module } from './module.js';
export { type NgramEmbeddingConfig, NgramEmbeddings, ngramRowsOf } from './ngram-embeddings.js';
export { type NgramConfig, ngramHashes } from './ngram-hashes.js';
export { NormedProjection } from './normed-projection.js';
export * from './norms.js';
export * from './per-layer-inputs.js';
export * from './per-layer-sandwich.js';
export { type QkvNames, rotaryOrder } from './projections.js';
export * from './relative-score-bias.js';
export { addPair, addResidual, addScaled } from './residual.js';
export { type RootRouterConfig, RootSoftplusRouter, TableRouter } from './root-softplus-router.js';
export * from './row-heads.js';
export * from './scaled-step.js';
export * from './seen-experts.js';
export * from './shortcut.js';
export { sigmoidExperts } from './sigmoid-experts.js';
export { SignedRoot } from './signed-root.js';
export { addSoftcap } from './softcap.js';
export { addSoftplus } from './softplus.js';
export * from './sparse-gates.js';
export {
  indexerVariant,
  type SparseAttentionConfig,
  SparseLatentAttention,
} from './sparse-latent-attention.js';
export * from './streamed-layer.js';
export { StreamsBegin, StreamsEnd } from './streams.js';
export * from './tanh-gate.js';
export * from './value-normed-attention.js';
export { HighestLogitRouter, WeightedTokenExperts } from './weighted-experts.js';
export * from './zero-experts.js';
