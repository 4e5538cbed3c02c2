export { decodePicture, PICTURE_LIMITS, type PictureLimits } from './image/decode.js';
export { type Patches, type PatchSizes, type PixelValues, patchesOf, patchOrder } from './image/patches.js';
export type { Picture, PictureSize } from './image/picture.js';
export { type ResamplingFilter, resize } from './image/resample.js';
export { type PixelRange, smartResize } from './image/smart-resize.js';
export { pythonRound } from './python-round.js';
