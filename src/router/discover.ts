import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import module from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { AtbError, refuseRequest } from '../errors.js';
import { isRouter, knownModelTypes } from './registry.js';

const INDEX_FILES = ['index.js', 'index.mjs', 'index.ts'];
const imported = new Set<string>();

/**
 * Imports the index file of each folder in `dir`, in order of name, so that their routers register themselves. Folders
 * without one are passed over. Returns the names of the folders. Throws ROUTER_MODEL_DIR_INVALID.
 */
export async function discoverModels(dir: string): Promise<string[]> {
  if (typeof dir !== 'string' || dir === '') refuseRequest('modelDirs', 'folders', dir);
  const root = resolve(dir);
  const names = await readdir(root).catch((cause: unknown) => {
    throw fail(root, cause instanceof Error ? cause.message : String(cause), cause);
  });
  const found: string[] = [];
  for (const name of names.sort()) if (await discoverModel(root, name)) found.push(name);
  return found;
}

/** The same of one folder. Returns whether `dir` has it, with an index file. Throws ROUTER_MODEL_DIR_INVALID. */
export async function discoverModel(dir: string, name: string): Promise<boolean> {
  const file = INDEX_FILES.map((index) => join(dir, name, index)).find((path) => existsSync(path));
  if (file !== undefined) await importModel(file);
  return file !== undefined;
}

/** Where this package's own families lie, which import each other's files. */
const OWN = new URL('../', import.meta.url).href;
/** This package, for whoever imports it by its name. */
const SELF = new URL('../index.js', import.meta.url).href;
let resolvesSelf = false;

/**
 * Makes `import 'atb-models'` in a model directory mean this very copy of the package: wherever the directory lies, and
 * although another copy may be nearer, in which its router would register with nobody.
 */
function resolveSelf(): void {
  if (resolvesSelf) return;
  resolvesSelf = true;
  // Hooks live in a module of their own, in a thread that takes 50 ms to start.
  const source = `export async function resolve(name, context, next) {
    return name === 'atb-models' ? { url: ${JSON.stringify(SELF)}, shortCircuit: true } : next(name, context);
  }`;
  module.register(`data:text/javascript,${encodeURIComponent(source)}`);
}

async function importModel(file: string): Promise<void> {
  if (imported.has(file)) return;
  const { href } = pathToFileURL(file);
  if (!href.startsWith(OWN)) resolveSelf();
  const before = knownModelTypes().length;
  let model: object;
  try {
    model = await import(href);
  } catch (cause) {
    if (cause instanceof AtbError) throw cause;
    throw fail(file, `cannot be imported: ${importProblem(file, cause)}`, cause);
  }
  imported.add(file);
  // Another model may have imported this one, and so registered it, before.
  const registered = knownModelTypes().length > before || Object.values(model).some(isRouter);
  if (!registered) throw fail(file, 'registers no router; call registerModel(model_type, Router) in it');
}

/** What went wrong, where in the file, and the way out where there is one. */
function importProblem(file: string, cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  if ((cause as NodeJS.ErrnoException).code === 'ERR_UNKNOWN_FILE_EXTENSION' && file.endsWith('.ts'))
    return `Node ${process.versions.node} does not read TypeScript; use Node 22.18 or newer, or compile it to index.js`;
  if (!(cause instanceof SyntaxError)) return cause.message;
  // Node keeps the line of a syntax error for those that nobody catches; its check prints it.
  const { stderr } = spawnSync(process.execPath, ['--check', file], { encoding: 'utf8', timeout: 5000 });
  const [, line] = /:(\d+)$/m.exec(stderr.split('\n')[0] ?? '') ?? [];
  return line === undefined ? cause.message : `${cause.message} (line ${line})`;
}

const fail = (path: string, reason: string, cause?: unknown): AtbError =>
  new AtbError('ROUTER_MODEL_DIR_INVALID', { path, reason }, { cause });
