import { readdir, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { AtbError, refuseRequest } from '../errors.js';
import { isObject } from '../is-object.js';
import { addonDigest, packedKey } from '../native/index.js';
import { stampNow } from '../weights/regular-file.js';

/** Of complete entries, and of those that are being written. */
export const ENTRY_SUFFIX = '.packed';
export const PARTIAL_SUFFIX = '.partial';

/** Nobody has written to it for so long: its writer is gone. */
const ABANDONED_MS = 3_600_000;

/** Everything that decides the bytes of packed weights. */
export interface EntryKey {
  /** The model directory. */
  readonly model: string;
  /** Of most of its numbers: `W4A16`, `bf16`. */
  readonly form: string;
  readonly isa: string;
  /** SHA-256 of the addon, which decides how weights are packed and rounded. */
  readonly addon: string;
  /** The checkpoint's, with their sizes and the times of their last changes. */
  readonly files: ReadonlyArray<{ readonly path: string; readonly size: number; readonly changed: string }>;
  /** SHA-256 of what the engine was asked to load: names, places in the files, changes, forms. */
  readonly loads: string;
}

export const keyText = (key: EntryKey): string => JSON.stringify(key);

/** `current`: the next start of this model reads it. `stale`: it would be made anew. */
export type EntryState = 'current' | 'stale' | 'damaged';

/** What a folder keeps of a model. */
export interface PackedEntry {
  readonly name: string;
  readonly bytes: number;
  readonly state: EntryState;
  /** Of what is damaged, nothing is known. */
  readonly model?: string;
  readonly form?: string;
  readonly isa?: string;
}

/** The entries of a folder by name. Only their ends are read, not their weights. @throws REQUEST_INVALID, NATIVE_MISSING */
export async function listEntries(folder: string, nativePath?: string): Promise<PackedEntry[]> {
  const names = await readdir(folder).catch(() =>
    refuseRequest('--weights_cache', 'a folder that can be read', folder),
  );
  const addon = addonDigest(nativePath);
  const entries: PackedEntry[] = [];
  for (const name of names.filter((each) => each.endsWith(ENTRY_SUFFIX)).sort()) {
    const path = join(resolve(folder), name);
    // Somebody else may remove it at the same time.
    const found = await stat(path).catch(() => undefined);
    if (found === undefined) continue;
    const key = keyOf(path, nativePath);
    if (key === undefined) {
      entries.push({ name, bytes: found.size, state: 'damaged' });
      continue;
    }
    const { model, form, isa } = key;
    const isCurrent = key.addon === addon && (await areUnchanged(key.files));
    entries.push({ name, bytes: found.size, state: isCurrent ? 'current' : 'stale', model, form, isa });
  }
  return entries;
}

function keyOf(path: string, nativePath: string | undefined): EntryKey | undefined {
  try {
    const key: unknown = JSON.parse(packedKey(path, nativePath));
    return isObject(key) && Array.isArray(key.files) ? (key as unknown as EntryKey) : undefined;
  } catch (error) {
    if (error instanceof AtbError && error.code !== 'PACKED_UNUSABLE') throw error;
    return undefined;
  }
}

async function areUnchanged(files: EntryKey['files']): Promise<boolean> {
  for (const { path, size, changed } of files) {
    const now = await stampNow(path).catch(() => undefined);
    if (now?.size !== size || now.changed !== changed) return false;
  }
  return true;
}

/** Removes entries, and what writers that are gone have left. Whoever reads one goes on. @throws OUTPUT_UNWRITABLE */
export async function removeEntries(folder: string, entries: readonly PackedEntry[]): Promise<void> {
  try {
    for (const { name } of entries) await rm(join(folder, name), { force: true });
    await removeAbandoned(folder);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AtbError('OUTPUT_UNWRITABLE', { flag: '--weights_cache', file: folder, reason }, { cause });
  }
}

/** Removes what writers that were killed have left. Throws the error of the file system. */
export async function removeAbandoned(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.endsWith(PARTIAL_SUFFIX)) continue;
    const path = join(folder, name);
    const found = await stat(path).catch(() => undefined);
    if (found && Date.now() - found.mtimeMs > ABANDONED_MS) await rm(path, { force: true });
  }
}
