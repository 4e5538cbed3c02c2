export { decodePicture, PICTURE_LIMITS, type PictureLimits } from './image/decode.js';
export { type Patches, type PatchSizes, type PixelValues, patchesOf, patchOrder } from './image/patches.js';
export type { Picture, PictureSize } from './image/picture.js';
export { type ResamplingFilter, resize } from './image/resample.js';
export { type PixelRange, smartResize } from './image/smart-resize.js';
export { type EncoderInput, endOf, type Insert, type InsertGrid, insertsWithin } from './insert.js';
export { type ExpandedPrompt, type ProcessedMedia, placeInserts } from './place-inserts.js';
export { type MediaFiles, type MediaKind, type MediaProcessor, mediaKey } from './processor.js';
export { pythonRound } from './python-round.js';
