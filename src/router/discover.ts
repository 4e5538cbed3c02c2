import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { AtbError } from '../errors.js';
import { isRouter, knownModelTypes } from './registry.js';

const INDEX_FILES = ['index.js', 'index.mjs', 'index.ts'];
const imported = new Set<string>();

/**
 * Imports the index file of each folder in `dir`, in order of name, so that their routers register themselves. Folders
 * without one are passed over. Returns the names of the folders. Throws ROUTER_MODEL_DIR_INVALID.
 */
export async function discoverModels(dir: string): Promise<string[]> {
  const root = resolve(dir);
  const names = await readdir(root).catch((cause: unknown) => {
    throw fail(root, cause instanceof Error ? cause.message : String(cause), cause);
  });
  const found: string[] = [];
  for (const name of names.sort()) {
    const file = INDEX_FILES.map((index) => join(root, name, index)).find((path) => existsSync(path));
    if (file === undefined) continue;
    await importModel(file);
    found.push(name);
  }
  return found;
}

async function importModel(file: string): Promise<void> {
  if (imported.has(file)) return;
  const before = knownModelTypes().length;
  let model: object;
  try {
    model = await import(pathToFileURL(file).href);
  } catch (cause) {
    if (cause instanceof AtbError) throw cause;
    throw fail(file, `cannot be imported: ${cause instanceof Error ? cause.message : cause}`, cause);
  }
  imported.add(file);
  // Another model may have imported this one, and so registered it, before.
  const registered = knownModelTypes().length > before || Object.values(model).some(isRouter);
  if (!registered) throw fail(file, 'registers no router');
}

const fail = (path: string, reason: string, cause?: unknown): AtbError =>
  new AtbError('ROUTER_MODEL_DIR_INVALID', { path, reason }, { cause });
