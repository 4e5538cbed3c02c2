import { open } from 'node:fs/promises';
import { AtbError } from '../errors.js';

/**
 * Calls `write`; what the system refuses (a full or read-only disk, a folder that is not there) becomes
 * OUTPUT_UNWRITABLE for `file`, which is what `flag` names. Other failures pass.
 */
export async function writing<T>(flag: string, file: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (cause) {
    if (!(cause instanceof Error && 'syscall' in cause && 'code' in cause)) throw cause;
    throw new AtbError('OUTPUT_UNWRITABLE', { flag, file, reason: cause.message }, { cause });
  }
}

/** Writes a new file and waits until the disk has it. */
export async function writeSynced(file: string, contents: string | Uint8Array): Promise<void> {
  const handle = await open(file, 'wx');
  try {
    await handle.writeFile(contents);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Waits until the disk has the names in a folder: without it, a rename may be lost in a crash. */
export async function syncFolder(folder: string): Promise<void> {
  // Windows opens no folders, and needs none to be synced.
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
