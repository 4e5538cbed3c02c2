import { parentPort } from 'node:worker_threads';
import { AtbError } from '../errors.js';
import type { BesideReply, BesideRequest } from './beside.js';
import { anyresOf, paddedSquare } from './image/anyres.js';
import { boundedPicture } from './image/bounded.js';
import { canvasOf, coveringTiles } from './image/canvas.js';
import { changedBlocks } from './image/changed-blocks.js';
import { areaTiles } from './image/covering-area.js';
import { fittedTiles } from './image/fitted-tiles.js';
import { patchesOf } from './image/patches.js';
import { resize } from './image/resample.js';
import { scanOf } from './image/scan.js';
import { slicesOf } from './image/slices.js';
import { splitsOf } from './image/splits.js';
import { middleSquare } from './image/square.js';
import { tilesOf } from './image/tiles.js';
import { tilingOf } from './image/tilings.js';
import { cmykToRgb, upperBytes } from './image/to-rgb.js';
import { logMel } from './sound/log-mel.js';
import { magnitudeMel } from './sound/magnitude-mel.js';
import { resample } from './sound/resample.js';

// The thread in which pictures and sound are computed. It answers one request after another.

const WORK = {
  cmykToRgb,
  upperBytes,
  resize,
  middleSquare,
  boundedPicture,
  scanOf,
  anyresOf,
  paddedSquare,
  areaTiles,
  canvasOf,
  coveringTiles,
  fittedTiles,
  slicesOf,
  splitsOf,
  tilesOf,
  tilingOf,
  patchesOf,
  changedBlocks,
  resample,
  logMel,
  magnitudeMel,
};
export type Work = typeof WORK;

/** The memory of all arrays of numbers in a result. */
const buffersOf = (value: unknown): ArrayBufferLike[] => {
  if (ArrayBuffer.isView(value)) return [value.buffer];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(buffersOf) : [];
};

function answer({ id, name, args }: BesideRequest): BesideReply {
  const work = WORK[name] as (...given: readonly unknown[]) => ReturnType<Work[keyof Work]>;
  try {
    return { id, result: work(...args) };
  } catch (error) {
    if (!(error instanceof AtbError)) throw error;
    // An error that is sent is no AtbError any more.
    const { code, detail }: AtbError = error;
    return { id, code, detail };
  }
}

parentPort?.on('message', (request: BesideRequest) => {
  const reply = answer(request);
  parentPort?.postMessage(reply, [...new Set(buffersOf(reply))] as ArrayBuffer[]);
});
