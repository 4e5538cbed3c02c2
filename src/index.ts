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
export { type DType, type FloatDType, type Tensor, toDType } from './dtype.js';
export type { BeamOutput, BeamSearchOptions } from './engine/beam-search.js';
export { ChatSession } from './engine/chat-session.js';
export type { Completion, CompletionOptions } from './engine/completion.js';
export type { LLMPrompt } from './engine/encode-prompt.js';
export { type Embedding, EmbeddingModel } from './engine/encoding/embedding-model.js';
export type { EmbedOptions, RerankOptions } from './engine/encoding/encode-options.js';
export type { EncoderOptions } from './engine/encoding/open-encoder.js';
export { type RankedDocument, Reranker } from './engine/encoding/reranker.js';
export { Generation, type GenerationChunk, type GenerationResult } from './engine/generation.js';
export { LLM } from './engine/llm.js';
export { LLMEngine } from './engine/llm-engine.js';
export type {
  Drafter,
  EngineStats,
  GenerateOptions,
  LLMEngineOptions,
  StepReport,
  StepRunner,
} from './engine/llm-engine-options.js';
export type { ChatSessionOptions, LLMOptions, StreamOptions } from './engine/llm-options.js';
export { type EngineLimits, type OpenEngine, openEngine } from './engine/open-engine.js';
export type { OpenEngineOptions } from './engine/open-engine-options.js';
export type { InferOptions, PAAnswer, PARunnerOptions } from './engine/pa-options.js';
export { type PAInputs, type PAMetrics, type PAResult, PARunner } from './engine/pa-runner.js';
export { type Perplexity, type PerplexityOptions, perplexity } from './engine/perplexity.js';
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
export { assertLegal, legalityProblems } from './graph/legality.js';
export { type LegalityProblem, type LegalityRule, problemText } from './graph/legality-problem.js';
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
export * from './layers/index.js';
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
