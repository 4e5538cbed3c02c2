export { alibi, alibiSlopes } from './alibi.js';
export { chunkedByLayer } from './attention-chunks.js';
export type { BaseConfig, DecoderConfig, LongestContext } from './base-config.js';
export { blockIndexer } from './block-indexer.js';
export { borrowingLayers } from './borrowing-layers.js';
export {
  type Check,
  type ConfigDict,
  flag,
  HEAD_SIZE,
  HEADS,
  integer,
  LAYERS,
  LENGTH,
  listOf,
  oneOf,
  only,
  positive,
  SIZE,
  text,
  WIDTH,
} from './checks.js';
export { ConfigReader, type UnreadKey } from './config-reader.js';
export {
  type ConfigDefinition,
  type ConfigOf,
  defineConfig,
  keysBecause,
  nested,
  within,
} from './define-config.js';
export {
  ENCODER_IRRELEVANT,
  type EncoderDefaults,
  encoder,
  isClassifier,
  labels,
  labelsOf,
  tablePositions,
} from './encoder.js';
export { type EncoderHeads, encoderHeads } from './encoder-heads.js';
export { type EntryDefaults, entryAttention, hashLayers } from './entries.js';
export {
  EXPERTS,
  type ExpertDefaults,
  expertGroups,
  experts,
  expertsPerToken,
  inEveryLayer,
  predictionLayers,
  routedScalingFactor,
  sharedExperts,
  sparseBehind,
  sparseBehindDense,
  sparseBySteps,
  sparseByStepsBeside,
  sparseByType,
  sparseListed,
} from './experts.js';
export { constant, type Default, type Field, field, required } from './fields.js';
export { ofFullLayers, rotaryByHeadSize } from './full-layers.js';
export { activatedClamps, clampVariant } from './gate-limits.js';
export { type IndexerDefaults, indexer, ownIndexers, sharedIndexers } from './indexer.js';
export { keySources } from './key-sources.js';
export { type LatentAttentionDefaults, latentAttention } from './latent.js';
export { rotaryListsByWindow, withoutPredictions } from './layer-lists.js';
export { firstRope, type LayerRopes, layerRopes } from './layer-ropes.js';
export { layerKinds, layersOfType, slidingMixers } from './layer-types.js';
export { contextLength, longestContext } from './longest-context.js';
export { mamba, ORIGINAL_MAMBA_IRRELEVANT, originalMamba, wideHeadDim } from './mamba.js';
export {
  endlessContext,
  type Mamba2Defaults,
  mamba2,
  mambaGroups,
  mambaHeadSize,
  ORIGINAL_MAMBA2_IRRELEVANT,
  originalMamba2,
} from './mamba2.js';
export { markedLayers } from './marked-layers.js';
export { axesTakeTurns, mropeSections, sectionsOr } from './mrope.js';
export { ngramFields } from './ngrams.js';
export { pooledIndexer } from './pooled-indexer.js';
export type { QueryScale } from './query-scale.js';
export { queryScale } from './query-scale.js';
export {
  type RopesByWindow,
  type RotaryConfigOptions,
  type RotarySizes,
  ropesOf,
  rotaryByWindow,
  rotaryConfig,
  rotaryConfigByLayerType,
  rotaryOfDim,
  rotaryOrAlibi,
  type UsesAlibi,
} from './rotary-config.js';
export { rotaryLayers } from './rotary-layers.js';
export {
  fullAttention,
  slidingByLayer,
  slidingEverywhere,
} from './sliding-windows.js';
export { softcap } from './softcap.js';
export { closedGates, widthsByLayer } from './sparsity.js';
export { statedRope } from './stated-rope.js';
export {
  activation,
  biases,
  bothSpellings,
  type DecoderDefaults,
  decoder,
  type GroupedQueryDefaults,
  groupedQueryAttention,
  keyValueHeads,
  LLAMA_DEFAULTS,
  learnedPositions,
  mlp,
  mlpWidth,
  multiHeadAttention,
  type TextModelDefaults,
  textModel,
  tokenField,
  tokensField,
} from './text-model.js';
export { windowHeads } from './window-heads.js';
