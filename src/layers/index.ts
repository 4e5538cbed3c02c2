// What models are made of, for who writes one elsewhere: src/index.ts exports all of it.
export { AdaptedAttention, AdaptedMLP, type Adapters } from './attention/adapted-steps.js';
export * from './attention/attention-orders.js';
export { type AttentionOptions, BaseAttention, type Qkv } from './attention/base-attention.js';
export { BlockAttention } from './attention/block-attention.js';
export type { BlockIndexerConfig } from './attention/block-indexer.js';
export { CompressedAttention, type CompressedAttentionConfig } from './attention/compressed-attention.js';
export { DifferentialAttention, type DifferentialConfig } from './attention/differential-attention.js';
export {
  DISTANCE_VECTORS,
  DisentangledAttention,
  type DisentangledConfig,
  type DistanceTerm,
} from './attention/disentangled-attention.js';
export { type DistanceVectorSizes, DistanceVectors } from './attention/distance-vectors.js';
export { GatedAttention, GatedRotaryAttention, type GatePart } from './attention/gated-attention.js';
export { GatedLatentAttention } from './attention/gated-latent-attention.js';
export { GrownQueries } from './attention/grown-queries.js';
export { Indexer, type IndexerConfig } from './attention/indexer.js';
export { LatentAttention, type LatentOptions } from './attention/latent-attention.js';
export * from './attention/latent-heads.js';
export { LearnedRotary } from './attention/learned-rotary.js';
export {
  LendingLatentAttention,
  type LendingLatentConfig,
  type LendingLatentNames,
  lendingLatentVariant,
} from './attention/lending-latent-attention.js';
export * from './attention/lent-keys.js';
export { PooledIndexer } from './attention/pooled-indexer.js';
export * from './attention/relative-score-bias.js';
export { ROTARY_ROWS, type RotaryRows, SLIDING_ROTARY_ROWS } from './attention/rotary-rows.js';
export {
  indexerVariant,
  type SparseAttentionConfig,
  SparseLatentAttention,
} from './attention/sparse-latent-attention.js';
export * from './attention/value-normed-attention.js';
export type { AttentionConfig, LatentAttentionConfig } from './attention-config.js';
export { type CacheRef, keyRows, layerCache, layerState, type StateRef } from './cache-ref.js';
export type { EntryUse } from './config/entries.js';
export * from './config/index.js';
export { BaseLayer, slidingVariant } from './decoder/base-layer.js';
export * from './decoder/decoder-layers.js';
export * from './decoder/learned-positions.js';
export * from './decoder/scaled-step.js';
export * from './decoder/tanh-gate.js';
export { AttentionExperts, type AttentionExpertsConfig } from './experts/attention-experts.js';
export { CorrectedLogitRouter } from './experts/corrected-logit-router.js';
export { type Choice, ExpertRouter, type RouterConfig, type RouterNames } from './experts/expert-router.js';
export { Experts, type ExpertsConfig, SparseMLP, sharedMLP } from './experts/experts.js';
export { type RootRouterConfig, RootSoftplusRouter, TableRouter } from './experts/root-softplus-router.js';
export * from './experts/seen-experts.js';
export { sigmoidExperts } from './experts/sigmoid-experts.js';
export { HighestLogitRouter, WeightedTokenExperts } from './experts/weighted-experts.js';
export * from './experts/zero-experts.js';
export * from './formulas/gather-rows.js';
export { addPair, addResidual, addScaled } from './formulas/residual.js';
export { SignedRoot } from './formulas/signed-root.js';
export { addSoftcap } from './formulas/softcap.js';
export { addSoftplus } from './formulas/softplus.js';
export * from './heads/row-heads.js';
export * from './linear/clipped-linear.js';
export { DepthwiseConv, SquareConv, TextConv } from './linear/convolution.js';
export { type AdapterSizes, LowRankAdapter } from './linear/low-rank-adapter.js';
export { type QkvNames, rotaryOrder } from './linear/projections.js';
export * from './mlp/mlp.js';
export * from './mlp/shortcut.js';
export * from './mlp/sparse-gates.js';
export { Module } from './module.js';
export { type GatedNormConfig, GatedRMSNorm } from './norms/gated-norm.js';
export * from './norms/low-rank-residual.js';
export { NormedProjection } from './norms/normed-projection.js';
export * from './norms/norms.js';
export { TrainedNorm } from './norms/trained-norm.js';
export {
  CausalConv,
  type CausalConvOptions,
  type ConvPart,
  SplitConv,
  stateTensors,
} from './recurrent/causal-conv.js';
export { type DeltaNetConfig, type DeltaNetParts, GatedDeltaNet } from './recurrent/gated-delta-net.js';
export { GatedLruBlock, type GatedLruConfig } from './recurrent/gated-lru.js';
export { type HeadedMambaConfig, HeadedMambaMixer } from './recurrent/headed-mamba.js';
export { HybridLayer, type HybridParts, wideAttention } from './recurrent/hybrid-layer.js';
export * from './recurrent/kimi-delta-attention.js';
export { LightningAttention, type LightningConfig } from './recurrent/lightning-attention.js';
export { type MambaConfig, MambaMixer, type ScanNorm } from './recurrent/mamba.js';
export { type Mamba2Config, Mamba2Mixer, type Mamba2Options, type Mamba2Scales } from './recurrent/mamba2.js';
export * from './streams/altup.js';
export * from './streams/gated-streams.js';
export {
  EqualStreams,
  type HyperConfig,
  HyperConnection,
  HyperHead,
  type HyperInput,
  type HyperNames,
  type StreamConnection,
} from './streams/hyper-connection.js';
export { HyperLayer, type HyperLayerParts } from './streams/hyper-layer.js';
export { MeanOfStreams } from './streams/mean-of-streams.js';
export { type MixingConfig, MixingConnection } from './streams/mixing-connection.js';
export { type NgramEmbeddingConfig, NgramEmbeddings, ngramRowsOf } from './streams/ngram-embeddings.js';
export { type NgramConfig, ngramHashes } from './streams/ngram-hashes.js';
export * from './streams/per-layer-inputs.js';
export * from './streams/per-layer-sandwich.js';
export * from './streams/streamed-layer.js';
export { StreamsBegin, StreamsEnd } from './streams/streams.js';
