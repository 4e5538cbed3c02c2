export { ALIBI_MASK, alibiMask, TOKEN_SEQUENCES, tokenSequences } from './alibi.js';
export { DELAY_CONDITION, delayCondition } from './delay-condition.js';
export { AXIS_POSITIONS, axisPositions } from './encoders/axis-positions.js';
export { axisShares, axisSharesOf, type DrawnAxis } from './encoders/axis-shares.js';
export {
  BUCKETED_POSITIONS,
  bucketedPositions,
  bucketsByProduct,
  bucketsByQuotient,
  bucketsOf,
  gridPositions,
} from './encoders/bucketed-positions.js';
export { COUNTED_QUERIES, countedQueries } from './encoders/counted-queries.js';
export { FRAME_ROWS, FRAME_SHARES, FRAME_TABLE, frameMeans, frameTimes } from './encoders/frames.js';
export { GRID_TAPS, gridTaps } from './encoders/grid-taps.js';
export { halvedGridOf, halvedGrids } from './encoders/halved-grids.js';
export {
  HALVED_SOUND,
  type HalvedSound,
  halvedBins,
  halvedSound,
  PLANE_AREA,
  PLANE_TAP,
} from './encoders/halved-sound.js';
export { HD_ROWS, hdRows } from './encoders/hd-rows.js';
export { CORNERS, interpolatedPositions, type RowShare } from './encoders/interpolated-positions.js';
export { LED, ledRows } from './encoders/led-rows.js';
export {
  MEL_PLANES,
  melPlanes,
  type PlaneSize,
  planesOf,
  type WholePlanes,
  wholeMelPlanes,
  wholePlanesOf,
} from './encoders/mel-planes.js';
export { LINE_ROWS, lineRows, PACKED_ROWS, packedRows } from './encoders/packed-rows.js';
export {
  type AxialRotary,
  asTheyCome,
  axialRotary,
  MERGED_BLOCKS,
  MERGED_PATCHES,
  mergedBlocks,
  mergedPatches,
  PATCHES,
  type PatchPlaces,
  patches,
  SOUND_FRAMES,
  WINDOW_LENS,
  windowLens,
} from './encoders/patches.js';
export { PERCEIVING, perceiving } from './encoders/perceiving.js';
export { ofView, type PictureView } from './encoders/picture-views.js';
export { QUERIED, type QueriedSquares, queriedMaskOf, queriedSquares } from './encoders/queried-squares.js';
export { QUERIED_WORDS, queriedWords } from './encoders/queried-words.js';
export { QUERY_BLOCKS, queryBlocks } from './encoders/query-blocks.js';
export {
  DISTANCE_ROWS,
  KEY_PLACES,
  QUERY_PLACES,
  relativePlaces,
  type SignedBuckets,
  signedBucket,
  signedBucketRows,
} from './encoders/relative-places.js';
export { RESAMPLING, resampling } from './encoders/resampling.js';
export { PAIRED_ROWS, pairedRows, SOUND, sound } from './encoders/sound.js';
export {
  QUERIED_WINDOWS,
  queriedPictures,
  queriedWindows,
  SOUND_BLOCKS,
  type SoundBlocks,
  soundBlocks,
  soundTaps,
  TAP_ROWS,
} from './encoders/sound-blocks.js';
export { SOUND_CONTEXT, type SoundReach, soundContext } from './encoders/sound-context.js';
export { groupedRows, SOUND_PLACES, soundPlaces, soundRotary } from './encoders/sound-rows.js';
export { type SpaceTimeRotary, spaceTimeRotary, spaceTimeTurned } from './encoders/space-time-rotary.js';
export {
  type ConvWindow,
  DRAWN_ROWS,
  drawnRows,
  ENDED_PICTURES,
  endedPictures,
  evenWindow,
  NEAREST_ROWS,
  nearestRows,
  neighbours,
  neighboursOf,
  POOLED_ROWS,
  pooledRows,
  sameWindow,
  squareLens,
  squareLensOf,
} from './encoders/square-convolutions.js';
export { mergedSquares, SQUARE, squarePictures, squareRotary } from './encoders/square-pictures.js';
export {
  ofWholePictures,
  placesAlong,
  squareDistances,
  squarePlaces,
  squaresIn,
  squareWindows,
  WINDOWED,
} from './encoders/square-windows.js';
export {
  ROWS_ABOUT,
  rowsAbout,
  type SoundStrides,
  STRIDED_SOUND,
  stridedLengths,
  stridedSound,
} from './encoders/strided-sound.js';
export { TILE_PLACES, tilePlaces } from './encoders/tile-places.js';
export { canvasesOf, TILED, type TiledSizes, tiledPictures } from './encoders/tiled-pictures.js';
export { TIME_GROUPS, type TimeGroup, timeGroups } from './encoders/time-groups.js';
export { TIMED_TURNS, type TimedTurns, timedTurns } from './encoders/timed-turns.js';
export { WORDS_AMONG, wordsAmongRows } from './encoders/words-among-rows.js';
export { ENDED_ROWS, type EndedRowSizes, endedRows } from './ended-rows.js';
export { BLOCK_TOKENS, blockTokens, entries, entryPositions, entrySlots } from './entries.js';
export { GRID_IDS, gridAxes } from './grid-axes.js';
export { GROUP_INDICES, groupIndices } from './group-indices.js';
export { headRows } from './head-rows.js';
export {
  ADDED_INDEX,
  ADDED_ROWS,
  addedRows,
  DEEP_INDEX,
  DEEP_ROWS,
  deepRows,
  EMBEDDING_ROWS,
  INSERTED_ROWS,
  insertedRows,
} from './inserted-rows.js';
export {
  learnedRotary,
  POSITION_LOGS,
  POSITION_NUMBERS,
  positionLogs,
  ROTARY_FREQUENCIES,
} from './learned-rotary.js';
export { lengths } from './lengths.js';
export { EMBEDDING_SCALES, maskDropout } from './mask-dropout.js';
export {
  CHUNKED_MASK,
  chunkedMask,
  FULL_MASK,
  fullMask,
  LATENT_MASK,
  latentMask,
  slidingMask,
  slidingMaskName,
  slidingMasks,
} from './masks.js';
export { MROPE_IDS, MROPE_TABLES, mrope, turnsInThrees } from './mrope.js';
export { type NgramHashes, ngramRows } from './ngram-rows.js';
export { paging } from './paging.js';
export { positions, positionsPastPadding } from './positions.js';
export { QUERY_SCALES, type QueryScale, queryScales } from './query-scales.js';
export type { FrequencyRecipe, InputRecipe, RotaryRecipe } from './recipe.js';
export {
  LOGARITHMIC_BUCKETS,
  logarithmicBucket,
  RELATIVE_BUCKETS,
  relativeBuckets,
} from './relative-buckets.js';
export { requestAdapter } from './request-adapters.js';
export { isLengthDependent, type RopeConfig, type RopeScaling } from './rotary/rope-config.js';
export { type RotaryTables, rotary, rotaryTables, slidingRotaryTables } from './rotary.js';
export { rowsOfBlock } from './rows-of-block.js';
export { POSITION_SHARES, sampledPositions } from './sampled-positions.js';
export { insertMaskName, SEEN_KEYS, seenInserts } from './seen-inserts.js';
export {
  blocksOfPlace,
  SEEING,
  SEEING_MASK,
  type ShownCounts,
  shownMask,
  shownRows,
} from './shown-rows.js';
export {
  ENCODER_SINUSOIDS,
  encoderSinusoids,
  SINUSOIDS,
  type SinusoidTable,
  sinusoids,
} from './sinusoids.js';
export { STATE_FROM, STATE_TO, stateBlocks } from './state-blocks.js';
export type { EncoderPlace, InsertedRows, ShownPlace, Step } from './step.js';
export {
  type PrefixFacts,
  prefixFacts,
  type RunFacts,
  type StepInput,
  type StepSizes,
} from './step-input.js';
export { ADAPTER_SHARES, adapterShares, type Showing, switchedAdapter } from './switched-adapter.js';
export { TEXT_TAPS, textTaps } from './text-taps.js';
export { tokenIds } from './token-ids.js';
export { tokenTypes } from './token-types.js';
