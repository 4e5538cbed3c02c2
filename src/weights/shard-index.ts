import { AtbError } from '../errors.js';
import { JsonScanner } from './json-scanner.js';
import { type FileStamp, readExactly, readRegularFile } from './regular-file.js';
import { MAX_TENSORS } from './safetensors-header.js';

/** `model.safetensors.index.json`: which file of the folder holds each tensor. */
export interface ShardIndex {
  readonly path: string;
  readonly stamp: FileStamp;
  /** File name by tensor name. */
  readonly shardOf: ReadonlyMap<string, string>;
  /** File names, in the order of their first mention. */
  readonly shards: readonly string[];
}

/** Enough for MAX_TENSORS names of 300 characters. */
const MAX_INDEX_BYTES = 100_000_000;
/** Far above the few hundred files of the largest published checkpoints. */
const MAX_SHARDS = 10_000;
/** The index itself, its `metadata`, and what other tools put inside: a history, a whole configuration. */
const MAX_DEPTH = 32;
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);
/** The name of a file in the folder itself: no separators, drive letters or control characters, and not hidden. */
const SHARD_NAME = /^[^./\\:\p{Cc}][^/\\:\p{Cc}]{0,242}\.safetensors$/u;

/**
 * Reads and checks an index. `metadata` and unknown members are passed over: `total_size` is known to be wrong in
 * published checkpoints, and the shards' headers say better. Throws WEIGHT_INDEX_* and WEIGHT_FILE_*.
 */
export function readShardIndex(path: string, root: string): Promise<ShardIndex> {
  return readRegularFile(path, root, async (handle, stamp) => {
    if (stamp.size > MAX_INDEX_BYTES) {
      throw new AtbError('WEIGHT_INDEX_TOO_LARGE', {
        file: path,
        limitBytes: MAX_INDEX_BYTES,
        foundBytes: stamp.size,
      });
    }
    const bytes = Buffer.allocUnsafeSlow(stamp.size);
    await readExactly(handle, stamp, bytes, 0, stamp.size, 0);
    return { path, stamp, ...parseIndex(path, bytes) };
  });
}

function parseIndex(file: string, bytes: Buffer): Pick<ShardIndex, 'shardOf' | 'shards'> {
  const start = bytes.subarray(0, 3).equals(BYTE_ORDER_MARK) ? 3 : 0;
  const limits = { depth: MAX_DEPTH, entries: MAX_TENSORS, isPython: true };
  const scanner = new JsonScanner(file, bytes, start, limits);
  const invalid = (field: string, expected: string): AtbError =>
    new AtbError('WEIGHT_INDEX_INVALID', { file, field, expected, found: scanner.skip() });
  const shardOf = new Map<string, string>();
  const shards = new Set<string>();
  let listed = false;
  if (scanner.kind() !== 'object') throw invalid('index', 'an object');
  scanner.object((key) => {
    if (key !== 'weight_map') {
      scanner.skip();
      return;
    }
    listed = true;
    if (scanner.kind() !== 'object') throw invalid(key, 'an object of file names');
    scanner.object((tensor) => {
      if (scanner.kind() !== 'string') throw invalid(tensor, 'a file name');
      const shard = scanner.string();
      if (!shards.has(shard)) {
        if (!SHARD_NAME.test(shard)) throw new AtbError('WEIGHT_INDEX_PATH', { file, tensor, found: shard });
        if (shards.size === MAX_SHARDS)
          throw new AtbError('WEIGHT_FILE_TOO_MANY', { file, limit: MAX_SHARDS });
        shards.add(shard);
      }
      shardOf.set(tensor, shard);
    });
  });
  scanner.finish();
  if (!listed) {
    throw new AtbError('WEIGHT_INDEX_INVALID', {
      file,
      field: 'weight_map',
      expected: 'an object of file names',
      found: 'nothing',
    });
  }
  return { shardOf, shards: [...shards] };
}

/** That a shard which the index names does not exist. */
export function missingShard({ path: file, shardOf }: ShardIndex, shard: string): AtbError {
  const tensors = [...shardOf.values()].filter((name) => name === shard).length;
  return new AtbError('WEIGHT_SHARD_MISSING', { file, shard, tensors });
}
