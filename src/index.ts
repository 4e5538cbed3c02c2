/** What users import. */
import './native/register.js';

export type { AnswerEvent, ToolCall } from './answers/answer-event.js';
export {
  type AnswerFormat,
  type AnswerReader,
  answerFormat,
  answerReader,
} from './answers/answer-reader.js';
export * from './common-op-builders/index.js';
export type { DType, FloatDType, Tensor } from './dtype.js';
export type { BeamOutput, BeamSearchOptions } from './engine/beam-search.js';
export { ChatSession, type ChatSessionOptions } from './engine/chat-session.js';
export type { Completion, CompletionOptions } from './engine/completion.js';
export type { LLMPrompt } from './engine/encode-prompt.js';
export { type Embedding, EmbeddingModel, type EmbedOptions } from './engine/encoding/embedding-model.js';
export type { EncoderOptions } from './engine/encoding/open-encoder.js';
export { type RankedDocument, Reranker, type RerankOptions } from './engine/encoding/reranker.js';
export { Generation, type GenerationChunk, type GenerationResult } from './engine/generation.js';
export { LLM } from './engine/llm.js';
export { LLMEngine } from './engine/llm-engine.js';
export type {
  EngineStats,
  GenerateOptions,
  LLMEngineOptions,
  StepReport,
  StepRunner,
} from './engine/llm-engine-options.js';
export type { LLMOptions, StreamOptions } from './engine/llm-options.js';
export {
  type EngineLimits,
  type OpenEngine,
  type OpenEngineOptions,
  openEngine,
} from './engine/open-engine.js';
export {
  type InferOptions,
  type PAAnswer,
  type PAInputs,
  type PAMetrics,
  type PAResult,
  PARunner,
  type PARunnerOptions,
} from './engine/pa-runner.js';
export { type Perplexity, type PerplexityOptions, perplexity } from './engine/perplexity.js';
export type { Drafter } from './engine/speculation.js';
export type { SchemaOptions, ValueSchema } from './engine/structured.js';
export { AtbError, type ErrorCode, type ErrorDetail } from './errors.js';
export { AtbGraph, BaseOperation, dim, type GraphSpec } from './graph/atb-graph.js';
export {
  type FlatGraph,
  type FlatNode,
  type FlatResult,
  flatten,
  formatFlatGraph,
} from './graph/flatten.js';
export * from './graph/graph-kind.js';
export {
  assertLegal,
  type LegalityProblem,
  type LegalityRule,
  legalityProblems,
  problemText,
} from './graph/legality.js';
export {
  formatNestedExport,
  type NestedDim,
  type NestedExport,
  type NestedGraph,
  type NestedNode,
  type NestedReshape,
  nestedExport,
} from './graph/nested-graph.js';
export { assertLegalSpec, specProblems } from './graph/nested-legality.js';
export {
  type Arity,
  type AtbOpParams,
  type AtbOpType,
  type AtbRules,
  type Inputs,
  type OpDefinition,
  registerOp,
  type TensorDesc,
} from './graph/ops/index.js';
export { applyPasses, type PassSelection } from './graph/passes/index.js';
export type { Guide } from './guided/index.js';
export { BlockManager, BlockTable } from './kv-cache/block-manager.js';
export type { KvQuantMode } from './kv-cache/kv-quant.js';
export { AdaptedAttention, AdaptedMLP, type Adapters } from './layers/adapted-steps.js';
export * from './layers/altup.js';
export { AttentionExperts, type AttentionExpertsConfig } from './layers/attention-experts.js';
export * from './layers/attention-orders.js';
export {
  type AttentionConfig,
  type AttentionOptions,
  BaseAttention,
  type Qkv,
  ROTARY_ROWS,
  type RotaryRows,
  SLIDING_ROTARY_ROWS,
} from './layers/base-attention.js';
export { BaseLayer, slidingVariant } from './layers/base-layer.js';
export { type CacheRef, keyRows, layerCache, layerState, type StateRef } from './layers/cache-ref.js';
export {
  CausalConv,
  type CausalConvOptions,
  type ConvPart,
  SplitConv,
  stateTensors,
} from './layers/causal-conv.js';
export * from './layers/clipped-linear.js';
export {
  CompressedAttention,
  type CompressedAttentionConfig,
  type EntryUse,
} from './layers/compressed-attention.js';
export * from './layers/config/index.js';
export * from './layers/decoder-layers.js';
export { DifferentialAttention, type DifferentialConfig } from './layers/differential-attention.js';
export {
  DISTANCE_VECTORS,
  DisentangledAttention,
  type DisentangledConfig,
  type DistanceTerm,
} from './layers/disentangled-attention.js';
export { type DistanceVectorSizes, DistanceVectors } from './layers/distance-vectors.js';
export {
  type Choice,
  ExpertRouter,
  Experts,
  type ExpertsConfig,
  type RouterConfig,
  type RouterNames,
  SparseMLP,
  sharedMLP,
} from './layers/experts.js';
export { GatedAttention, GatedRotaryAttention, type GatePart } from './layers/gated-attention.js';
export { type DeltaNetConfig, type DeltaNetParts, GatedDeltaNet } from './layers/gated-delta-net.js';
export { GatedLatentAttention } from './layers/gated-latent-attention.js';
export { GatedLruBlock, type GatedLruConfig } from './layers/gated-lru.js';
export * from './layers/gated-streams.js';
export * from './layers/gather-rows.js';
export { type HeadedMambaConfig, HeadedMambaMixer } from './layers/headed-mamba.js';
export { HybridLayer, type HybridParts, wideAttention } from './layers/hybrid-layer.js';
export {
  EqualStreams,
  type HyperConfig,
  HyperConnection,
  HyperHead,
  type HyperInput,
  type HyperNames,
  type StreamConnection,
} from './layers/hyper-connection.js';
export { HyperLayer, type HyperLayerParts } from './layers/hyper-layer.js';
export { Indexer, type IndexerConfig } from './layers/indexer.js';
export * from './layers/kimi-delta-attention.js';
export {
  LatentAttention,
  type LatentAttentionConfig,
  type LatentOptions,
} from './layers/latent-attention.js';
export * from './layers/learned-positions.js';
export * from './layers/lent-keys.js';
export { LightningAttention, type LightningConfig } from './layers/lightning-attention.js';
export { type AdapterSizes, LowRankAdapter } from './layers/low-rank-adapter.js';
export * from './layers/low-rank-residual.js';
export { type MambaConfig, MambaMixer, type ScanNorm } from './layers/mamba.js';
export { type Mamba2Config, Mamba2Mixer, type Mamba2Options, type Mamba2Scales } from './layers/mamba2.js';
export { type MixingConfig, MixingConnection } from './layers/mixing-connection.js';
export * from './layers/mlp.js';
export { Module } from './layers/module.js';
export { type NgramEmbeddingConfig, NgramEmbeddings, ngramRowsOf } from './layers/ngram-embeddings.js';
export { type NgramConfig, ngramHashes } from './layers/ngram-hashes.js';
export { NormedProjection } from './layers/normed-projection.js';
export * from './layers/norms.js';
export * from './layers/per-layer-inputs.js';
export * from './layers/per-layer-sandwich.js';
export { type QkvNames, rotaryOrder } from './layers/projections.js';
export * from './layers/relative-score-bias.js';
export { addResidual, addScaled } from './layers/residual.js';
export { type RootRouterConfig, RootSoftplusRouter, TableRouter } from './layers/root-softplus-router.js';
export * from './layers/row-heads.js';
export * from './layers/scaled-step.js';
export * from './layers/seen-experts.js';
export * from './layers/shortcut.js';
export { sigmoidExperts } from './layers/sigmoid-experts.js';
export { SignedRoot } from './layers/signed-root.js';
export { addSoftcap } from './layers/softcap.js';
export { addSoftplus } from './layers/softplus.js';
export * from './layers/sparse-gates.js';
export {
  indexerVariant,
  type SparseAttentionConfig,
  SparseLatentAttention,
} from './layers/sparse-latent-attention.js';
export * from './layers/streamed-layer.js';
export { StreamsBegin, StreamsEnd } from './layers/streams.js';
export * from './layers/tanh-gate.js';
export * from './layers/value-normed-attention.js';
export { HighestLogitRouter, WeightedTokenExperts } from './layers/weighted-experts.js';
export * from './layers/zero-experts.js';
export * from './media/index.js';
export * from './models/base/audio/index.js';
export {
  BaseModelATB,
  type LastStep,
  type ModelParts,
  type ModelSizes,
} from './models/base/base-model-atb.js';
export * from './models/base/bert-parts.js';
export { FlashForCausalLMATB, type HeadOptions } from './models/base/flash-for-causal-lm-atb.js';
export {
  FlashNormedLlamaATB,
  type NormedLlamaConfig,
  type NormedLlamaParts,
} from './models/base/flash-normed-llama-atb.js';
export { type Encoder, FlashWithEncoderATB } from './models/base/flash-with-encoder-atb.js';
export { buildInsertGraph, buildMropeGraph } from './models/base/insert-steps.js';
export { FlashInsertingATB } from './models/base/inserting-text-atb.js';
export {
  LearnedPositionModelATB,
  type LearnedPositionParts,
} from './models/base/learned-position-model-atb.js';
export { EncoderModelATB, TextEncoderATB, type TextEncoderParts } from './models/base/text-encoder-atb.js';
export * from './models/base/text-within.js';
export * from './models/base/vision/index.js';
export * from './models/families.js';
export { getModel } from './models/get-model.js';
export { availableIsas, createEngine, type NativeEngine, supportedOps } from './native/index.js';
export { type ExportOptions, exportModel } from './npu-export/export-model.js';
export type { Manifest, ManifestInput, ManifestPart, ManifestWeight } from './npu-export/manifest.js';
export {
  BaseRouter,
  type CausalLM,
  type CausalLMClass,
  type ChatFormat,
  discoverModels,
  type EncoderUse,
  getRouter,
  type HeadNames,
  type KnownModel,
  knownModels,
  type ModelAbout,
  type ModelUse,
  RegisterRouter,
  type Router,
  type RouterOptions,
  registerModel,
  routerOf,
  type ShownCaches,
} from './router/index.js';
export { type CompareOptions, compareWithReference, type TensorComparison } from './runner/compare.js';
export { DraftModel } from './runner/draft-model.js';
export { estimateMemory, type MemoryEstimate, type MemoryOptions } from './runner/estimate-memory.js';
export { ModelRunner } from './runner/model-runner.js';
export { type OpenModel, type OpenModelOptions, openModel } from './runner/open-model.js';
export {
  type QuantizeCheckpointOptions,
  type QuantizedCheckpoint,
  quantizeCheckpoint,
} from './runner/quantize-checkpoint.js';
export type { ModelRunnerOptions, RunnerOptions } from './runner/runner-options.js';
export type { ForwardInputs } from './runner/steps.js';
export type { TextProcessing, TextProcessingOptions } from './runner/text-processing.js';
export type { GenerationConfig } from './sampling/generation-config.js';
export {
  mergeSampling,
  resolveSamplingParams,
  type SamplingDefaults,
  type SamplingOptions,
  type SamplingParams,
} from './sampling/sampling-params.js';
export type { Batch, BatchEntry } from './scheduler/batch.js';
export type { SchedulerOptions } from './scheduler/limits.js';
export type { PolicyName } from './scheduler/policies/index.js';
export { Scheduler } from './scheduler/scheduler.js';
export { type FinishReason, Sequence } from './scheduler/sequence.js';
export type { SchedulerStats } from './scheduler/stats.js';
export * from './step-inputs/index.js';
export { type RotaryHeads, rotaryRowOrder } from './step-inputs/rotary/rotary-row-order.js';
export type { ChatMessage } from './tokenizer/chat-template.js';
export { HfTokenizer } from './tokenizer/hf-tokenizer.js';
export { InputBuilder, type InputBuilderOptions } from './tokenizer/input-builder.js';
export { OutputText, Postprocessor } from './tokenizer/postprocessor.js';
export { Checkpoint, type CheckpointOptions } from './weights/checkpoint.js';
export { ExpertLinear, type ExpertLinearOptions } from './weights/expert-linear.js';
export { Linear, type LinearOptions } from './weights/linear.js';
export type { LinearPart } from './weights/linear-part.js';
export type { QuantizeMode, QuantizeOptions } from './weights/quantization.js';
export { consecutiveRows, type GroupedHeads, groupedRows, type PackedRows } from './weights/row-orders.js';
export { type UnreadTensor, unreadTensors } from './weights/unread-tensors.js';
export {
  constantWeight,
  expertOf,
  inF32,
  named,
  plus,
  rowsOf,
  times,
  transposed,
  unitRows,
  withRowOrder,
} from './weights/weight-changes.js';
export { concatRows, type TensorRef, Weights } from './weights/weights.js';
