import { anyresOf, framedSquare, paddedSquare } from './image/anyres.js';
import { boundedPicture } from './image/bounded.js';
import { canvasOf, coveringTiles } from './image/canvas.js';
import { changedBlocks } from './image/changed-blocks.js';
import { areaTiles } from './image/covering-area.js';
import { fittedTiles } from './image/fitted-tiles.js';
import { hdPictureOf } from './image/hd-picture.js';
import { patchesOf } from './image/patches.js';
import { resize } from './image/resample.js';
import { scanOf } from './image/scan.js';
import { slicesOf } from './image/slices.js';
import { splitsOf } from './image/splits.js';
import { fittedSquare, middleSquare } from './image/square.js';
import { tilesOf } from './image/tiles.js';
import { tilingOf } from './image/tilings.js';
import { cmykToRgb, upperBytes } from './image/to-rgb.js';
import { logMel, paddedLogMel } from './sound/log-mel.js';
import { magnitudeMel } from './sound/magnitude-mel.js';
import { resample } from './sound/resample.js';

/** What is computed in a thread of its own, by name. */
export const WORK = {
  cmykToRgb,
  upperBytes,
  resize,
  middleSquare,
  boundedPicture,
  scanOf,
  anyresOf,
  paddedSquare,
  framedSquare,
  areaTiles,
  canvasOf,
  coveringTiles,
  fittedSquare,
  fittedTiles,
  hdPictureOf,
  slicesOf,
  splitsOf,
  tilesOf,
  tilingOf,
  patchesOf,
  changedBlocks,
  resample,
  logMel,
  paddedLogMel,
  magnitudeMel,
};
export type Work = typeof WORK;
