import { DTYPE_BYTES, type FloatDType } from '../dtype.js';
import type { KvCacheDesc } from '../native/binding.js';
import type { CausalLM } from '../router/index.js';
import { blocksOfPlace, rowsOfBlock } from '../step-inputs/index.js';
import { DEFAULT_BLOCK_SIZE } from './runner-options.js';

const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to;

/** Beside the integers of one token and head. */
const SCALE_BYTES = 4;

/**
 * Bytes of one block of all caches together. The engine stores bf16 and integers in tiles: a head is padded to 32 numbers
 * in keys of bf16 and to 16 in values (native/src/kernels/kv_layout.h).
 */
export function kvBlockBytes(
  caches: readonly KvCacheDesc[],
  dtype: FloatDType | 'i8',
  blockSize: number,
): number {
  const isTiled = dtype === 'bf16' || dtype === 'i8';
  const scale = dtype === 'i8' ? SCALE_BYTES : 0;
  return caches.reduce((sum, { value, heads, keySize, valueSize, tokensPerRow }) => {
    const keys = (dtype === 'bf16' ? roundUp(keySize, 32) : keySize) * DTYPE_BYTES[dtype] + scale;
    const values = (isTiled ? roundUp(valueSize, 16) : valueSize) * DTYPE_BYTES[dtype] + scale;
    return sum + heads * rowsOfBlock(blockSize, tokensPerRow) * (keys + (value === undefined ? 0 : values));
  }, 0);
}

/** What keeps something of each sequence. */
type Keeping = Pick<CausalLM, 'caches' | 'states'>;

/** What may keep something of each thing that is shown. */
type ShownModel = Pick<CausalLM, 'shown'>;

const stateBytes = (model: Keeping): number =>
  (model.states?.() ?? []).reduce((sum, { size }) => sum + size * DTYPE_BYTES.f32, 0);

/** Bytes of one block of everything that a model keeps. */
export const blockBytesOf = (model: Keeping, dtype: FloatDType | 'i8', blockSize: number): number =>
  kvBlockBytes(model.caches(), dtype, blockSize) + stateBytes(model);

/** Those caches for so many things that are shown, each with blocks of its own. */
export const shownCachesOf = (model: ShownModel, blockSize: number, places: number): KvCacheDesc[] => {
  const found = model.shown?.();
  const numBlocks = found ? places * blocksOfPlace(found.rows, blockSize) : 0;
  return (found?.caches ?? []).map((cache) => ({ ...cache, numBlocks }));
};

/** Bytes of what is kept of one thing that is shown. */
export const shownBytesOf = (model: ShownModel, dtype: FloatDType | 'i8', blockSize: number): number => {
  const found = model.shown?.();
  return found ? blocksOfPlace(found.rows, blockSize) * kvBlockBytes(found.caches, dtype, blockSize) : 0;
};

/** Blocks do not become larger for the sake of states. */
const MOST_BLOCK_SIZE = 2048;

/**
 * Tokens of a block when nobody says how many: so many that keys and values take as much as the states, of which each block
 * has one of each layer. A model of states alone has few blocks of the largest size.
 */
export function blockSizeOf(model: Keeping, dtype: FloatDType | 'i8'): number {
  const perBlock = kvBlockBytes(model.caches(), dtype, DEFAULT_BLOCK_SIZE);
  const states = stateBytes(model);
  if (states === 0) return DEFAULT_BLOCK_SIZE;
  return Math.min(MOST_BLOCK_SIZE, DEFAULT_BLOCK_SIZE * Math.ceil(states / perBlock));
}
