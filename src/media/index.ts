export { beside } from './beside.js';
export {
  type AnyresPicture,
  type AnyresSizes,
  anyresOf,
  bestCanvas,
  coveredPart,
  type PatchWindow,
  paddedSquare,
  shrunkWindow,
} from './image/anyres.js';
export { boundedPicture, boundedSize, type PatchBounds } from './image/bounded.js';
export {
  type CanvasSizes,
  canvasGrid,
  canvasOf,
  coveringGrid,
  coveringTiles,
  onBlack,
} from './image/canvas.js';
export { type AreaSizes, areaTiles, coveringAreaGrid } from './image/covering-area.js';
export { cubicPlaces, type PlaceShare } from './image/cubic.js';
export { type Cut, cutOut } from './image/cut.js';
export { decodePicture, PICTURE_LIMITS, type PictureLimits } from './image/decode.js';
export { fitBlocks, type PatchBudget } from './image/fit.js';
export { fittedGrid, fittedTiles } from './image/fitted-tiles.js';
export { type HdPicture, type HdSizes, hdPictureOf, hdSize, hdTiles } from './image/hd-picture.js';
export { type PageSizes, pageTiles } from './image/pages.js';
export { frameGrid, type PatchGridSizes, patchGrid } from './image/patch-grid.js';
export { type Patches, type PatchSizes, type PixelValues, patchesOf, patchOrder } from './image/patches.js';
export type { Picture, PictureSize } from './image/picture.js';
export { type ResamplingFilter, resize } from './image/resample.js';
export { type ScanLimits, scanOf } from './image/scan.js';
export { formatOf } from './image/signature.js';
export {
  type SlicedPicture,
  type SliceGrid,
  type SliceLimits,
  type SlicePlan,
  slicePlan,
  slicesOf,
} from './image/slices.js';
export { type PixelRange, smartResize, smartResizeFrames, smartResizeGrown } from './image/smart-resize.js';
export { type SplitPicture, type SplitSizes, splitsOf } from './image/splits.js';
export { middleSquare } from './image/square.js';
export { type TileGrid, type TileSizes, tileGrid, tilesOf } from './image/tiles.js';
export { type TiledPicture, type TilingSizes, tilingOf, wholeSize } from './image/tilings.js';
export { type WindowedPatches, windowsOf } from './image/windows.js';
export {
  aheadOf,
  type EncoderInput,
  type ExpandedPrompt,
  endOf,
  type Insert,
  type InsertGrid,
  insertsWithin,
} from './insert.js';
export { numberWords } from './number-words.js';
export { type ProcessedMedia, placeInserts } from './place-inserts.js';
export {
  DEFAULT_FPS,
  type EncodeWords,
  forPictures,
  joinedKey,
  joinedWords,
  type MediaFiles,
  type MediaKind,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  tokenOf,
} from './processor.js';
export { pythonFloorDivision, pythonHundredths, pythonRound, pythonTenths } from './python-round.js';
export { LINE_END, RowPacker, type RowShares, SUMMANDS } from './row-shares.js';
export { type ShownThing, shownThings } from './shown-things.js';
export {
  logMel,
  MAX_MEL_SECONDS,
  MEL_HOP,
  MEL_RATE,
  MEL_TAIL,
  type MelSpan,
  paddedLogMel,
} from './sound/log-mel.js';
export { type MagnitudeMel, magnitudeMel } from './sound/magnitude-mel.js';
export { FILTER_REACH, resample } from './sound/resample.js';
export { isWav, readWav, type Sound } from './sound/wav.js';
