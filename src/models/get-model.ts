import { fileURLToPath } from 'node:url';
import { discoverModels, getRouter, type Router, readConfigDict, withModelType } from '../router/index.js';
import type { LinkOptions } from '../weights/regular-file.js';

let builtIn: Promise<string[]> | undefined;

/** Registers the families of this package, and those of further folders. Returns when all are known. */
export async function loadModels(modelDirs: readonly string[] = []): Promise<void> {
  builtIn ??= discoverModels(fileURLToPath(new URL('.', import.meta.url)));
  await builtIn;
  for (const dir of modelDirs) await discoverModels(dir);
}

/**
 * The router of the checkpoint in a folder: config, model class, tokenizer and input builder.
 * Throws CONFIG_INVALID, ROUTER_UNKNOWN_MODEL, ROUTER_DUPLICATE_MODEL, ROUTER_MODEL_DIR_INVALID.
 */
export async function getModel(
  modelPath: string,
  options: LinkOptions & { readonly modelDirs?: readonly string[] } = {},
): Promise<Router> {
  await loadModels(options.modelDirs);
  const configDict = withModelType(await readConfigDict(modelPath, options));
  const Router = getRouter(configDict.model_type);
  return new Router(modelPath, configDict, { allowLinks: options.allowLinks });
}
