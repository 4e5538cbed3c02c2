import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { getRepoFolderName, scanCachedRepo } from '@huggingface/hub';
import { AtbError } from '../errors.js';
import { cacheDirOf, type HubOptions } from './hub-options.js';
import { isModelName, type ModelName, parseModelName } from './model-name.js';

/** A model of the cache. */
export interface CachedModel {
  readonly name: string;
  /** Bytes of its files, those that revisions share counted once. */
  readonly bytes: number;
  readonly revisions: ReadonlyArray<{ readonly commit: string; readonly names: readonly string[] }>;
}

export const repoFolder = (cacheDir: string, name: string): string =>
  join(cacheDir, getRepoFolderName({ type: 'model', name }));

/**
 * The folder that a user means: one that is there, or the snapshot of a model, or of an adapter, in the cache.
 * @throws MODEL_NOT_CACHED naming the command that fetches it
 */
export async function modelFolder(given: string, options: HubOptions = {}): Promise<string> {
  if ((await isThere(given)) || !isModelName(given)) return given;
  const model = parseModelName(given);
  const cacheDir = cacheDirOf(options);
  for (const file of ['config.json', 'adapter_config.json']) {
    const snapshot = await findSnapshot(model, cacheDir, file);
    if (snapshot !== undefined) return snapshot;
  }
  throw new AtbError('MODEL_NOT_CACHED', { given, folder: resolve(given), cacheDir });
}

/** The folder of a revision in the cache, by the file that it must have; undefined when it is not there as a whole. */
export async function findSnapshot(
  { name, revision }: ModelName,
  cacheDir: string,
  file = 'config.json',
): Promise<string | undefined> {
  const folder = repoFolder(cacheDir, name);
  const commit = await readFile(join(folder, 'refs', revision), 'utf8').catch(() => revision);
  const snapshot = join(folder, 'snapshots', commit.trim());
  return (await isThere(join(snapshot, ...file.split('/')))) ? snapshot : undefined;
}

/** The models of the cache by name. */
export async function listCached(options: HubOptions = {}): Promise<CachedModel[]> {
  const cacheDir = cacheDirOf(options);
  const folders = await readdir(cacheDir).catch(() => []);
  const models: CachedModel[] = [];
  for (const folder of folders.filter((entry) => entry.startsWith('models--')).sort()) {
    // A folder that somebody else is writing, or that is none of a model.
    const repo = await scanCachedRepo(join(cacheDir, folder)).catch(() => undefined);
    if (repo === undefined) continue;
    const revisions = repo.revisions.map(({ commitOid, refs }) => ({ commit: commitOid, names: refs }));
    models.push({ name: repo.id.name, bytes: repo.size, revisions });
  }
  return models;
}

/**
 * Removes a model, all its revisions, from the cache. Returns the bytes that it had.
 * @throws MODEL_NOT_CACHED, OUTPUT_UNWRITABLE
 */
export async function removeCached(given: string, options: HubOptions = {}): Promise<number> {
  const { name } = parseModelName(given);
  const cacheDir = cacheDirOf(options);
  const folder = repoFolder(cacheDir, name);
  const cached = (await listCached(options)).find((model) => model.name === name);
  if (cached === undefined && !(await isThere(folder)))
    throw new AtbError('MODEL_NOT_CACHED', { given, folder, cacheDir });
  try {
    await rm(folder, { recursive: true });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AtbError('OUTPUT_UNWRITABLE', { flag: 'the cache', file: folder, reason }, { cause });
  }
  return cached?.bytes ?? 0;
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );
