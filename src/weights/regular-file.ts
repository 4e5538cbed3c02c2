import { constants } from 'node:fs';
import { type FileHandle, lstat, open, realpath, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, relative, resolve, sep } from 'node:path';
import { AtbError } from '../errors.js';

/** What shows later whether a file is still the one that was read. */
export interface FileStamp {
  readonly path: string;
  readonly size: number;
  /** Device, inode, size and time of the last change. */
  readonly identity: string;
  /** Times, in ns, at which its contents and anything of it was changed last. Nobody sets the second one. */
  readonly changed: string;
}

/** A Git-LFS pointer is a text of about 130 bytes; the specification allows fewer than 1024. */
const LFS_POINTER_BYTES = 1024;
const LFS_POINTER_START = 'version https://git-lfs.github.com/spec/';
/** The longest path that Linux takes. Where links cannot be made, Git writes the path of the target into a text file. */
const PATH_BYTES = 4096;
const ANNEX_POINTER = /^\S*annex[\\/]objects[\\/]/;

export interface LinkOptions {
  /** Follow symbolic links wherever they lead; only below the model directory and into a Hugging Face cache when absent. */
  readonly allowLinks?: boolean | undefined;
}

/** The file to open in place of a link that the user allows; the path itself otherwise. */
export async function followAllowed(path: string, { allowLinks = false }: LinkOptions): Promise<string> {
  // Of a link without a target, reading says what is wrong.
  return allowLinks ? realpath(path).catch(() => path) : path;
}

/**
 * Opens a regular file for reading, calls `read`, closes. Refuses what could hang, or lead out of the model directory:
 * directories, FIFOs, sockets and devices (WEIGHT_FILE_NOT_REGULAR), and symbolic links whose target is neither below
 * `root` nor in a Hugging Face cache, whose snapshots are links into `models--<name>/blobs`
 * (WEIGHT_FILE_LINK_REFUSED). A file that holds a Git-LFS pointer is WEIGHT_FILE_LFS_POINTER, other texts that stand for
 * a file are WEIGHT_FILE_STAND_IN; whatever the system reports is WEIGHT_FILE_UNREADABLE.
 */
export async function readRegularFile<T>(
  path: string,
  root: string,
  read: (handle: FileHandle, stamp: FileStamp) => Promise<T>,
): Promise<T> {
  let handle: FileHandle | undefined;
  try {
    const target = (await lstat(path)).isSymbolicLink() ? await followLink(path, root) : path;
    // Before opening: opening alone blocks on a FIFO and may act on a device.
    refuseIrregular(path, await stat(target));
    const { O_RDONLY, O_NONBLOCK = 0, O_NOFOLLOW = 0 } = constants;
    handle = await open(target, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
    // Checked again on the open file, because the path may have been replaced between the two calls.
    refuseIrregular(path, await handle.stat());
    const stamp = await stampOf(path, handle);
    await refuseStandIn(handle, stamp);
    return await read(handle, stamp);
  } catch (error) {
    if (error instanceof AtbError || !hasCode(error)) throw error;
    throw new AtbError('WEIGHT_FILE_UNREADABLE', { file: path, reason: error.message }, { cause: error });
  } finally {
    await handle?.close();
  }
}

/** Throws WEIGHT_FILE_CHANGED when the path no longer means the file that the stamp was taken of. */
export async function checkUnchanged(stamp: FileStamp): Promise<void> {
  let found: FileStamp;
  try {
    found = await stampNow(stamp.path);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new AtbError('WEIGHT_FILE_CHANGED', { file: stamp.path, reason }, { cause: error });
  }
  if (found.identity !== stamp.identity) {
    const reason =
      found.size === stamp.size ? 'it was written again' : `it had ${stamp.size} bytes and has ${found.size}`;
    throw new AtbError('WEIGHT_FILE_CHANGED', { file: stamp.path, reason });
  }
}

/** Reads exactly [position, position + length) of the file into a buffer at `offset`. */
export async function readExactly(
  handle: FileHandle,
  stamp: FileStamp,
  buffer: Buffer,
  offset: number,
  length: number,
  position: number,
): Promise<void> {
  for (let done = 0; done < length; ) {
    const { bytesRead } = await handle.read(buffer, offset + done, length - done, position + done);
    if (bytesRead === 0) {
      const [expectedBytes, foundBytes] = [position + length, position + done];
      throw new AtbError('WEIGHT_FILE_TRUNCATED', {
        file: stamp.path,
        what: 'file',
        expectedBytes,
        foundBytes,
      });
    }
    done += bytesRead;
  }
}

async function followLink(path: string, root: string): Promise<string> {
  const [target, realRoot] = await Promise.all([realpath(path), realpath(root)]);
  if (!isBelow(target, realRoot) && !isHubBlob(target)) {
    throw new AtbError('WEIGHT_FILE_LINK_REFUSED', { file: path, target, root });
  }
  return target;
}

function isBelow(path: string, root: string): boolean {
  const way = relative(root, path);
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

function isHubBlob(path: string): boolean {
  const folder = dirname(path);
  return basename(folder) === 'blobs' && basename(dirname(folder)).startsWith('models--');
}

interface FileKind {
  isFile(): boolean;
  isDirectory(): boolean;
  isFIFO(): boolean;
  isSocket(): boolean;
}

function refuseIrregular(file: string, found: FileKind): void {
  if (found.isFile()) return;
  const kind = found.isDirectory()
    ? 'a directory'
    : found.isFIFO()
      ? 'a FIFO'
      : found.isSocket()
        ? 'a socket'
        : 'a device';
  throw new AtbError('WEIGHT_FILE_NOT_REGULAR', { file, found: kind });
}

/** Refuses a text that only says where the file is. */
async function refuseStandIn(handle: FileHandle, stamp: FileStamp): Promise<void> {
  const { path, size } = stamp;
  if (size === 0 || size > PATH_BYTES) return;
  const head = Buffer.alloc(size);
  await readExactly(handle, stamp, head, 0, size, 0);
  const text = head.toString('latin1');
  if (text.startsWith(LFS_POINTER_START) && size < LFS_POINTER_BYTES) {
    const bytes = /^size (\d{1,15})$/m.exec(text)?.[1];
    const missingBytes = bytes === undefined ? undefined : Number(bytes);
    throw new AtbError('WEIGHT_FILE_LFS_POINTER', { file: path, missingBytes });
  }
  const target = head.toString('utf8').trim();
  if (/[\p{Cc}{}[\]]/u.test(target) || !/[\\/]/.test(target)) return;
  if (ANNEX_POINTER.test(target)) {
    const remedy = 'run `git annex get` in its folder';
    throw new AtbError('WEIGHT_FILE_STAND_IN', { file: path, target, remedy });
  }
  const isThere = (await stat(resolve(dirname(path), target)).catch(() => undefined))?.isFile();
  if (isThere) {
    const remedy = 'copy that file here; it was a link until a copy without links was made of it';
    throw new AtbError('WEIGHT_FILE_STAND_IN', { file: path, target, remedy });
  }
}

interface BigStatOf {
  stat(options: { bigint: true }): Promise<{
    dev: bigint;
    ino: bigint;
    size: bigint;
    mtimeNs: bigint;
    ctimeNs: bigint;
  }>;
}

async function stampOf(path: string, file: BigStatOf): Promise<FileStamp> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await file.stat({ bigint: true });
  const identity = `${dev}:${ino}:${size}:${mtimeNs}`;
  return { path, size: Number(size), identity, changed: `${mtimeNs}:${ctimeNs}` };
}

/** The stamp of a file as it is now. Throws the error of the file system. */
export const stampNow = (path: string): Promise<FileStamp> =>
  stampOf(path, { stat: (options) => stat(path, options) });

/** Errors of the file system, and of paths that it cannot hold, carry a code; mistakes of this program carry none. */
function hasCode(error: unknown): error is Error {
  return error instanceof Error && 'code' in error;
}
