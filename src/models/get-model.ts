import { fileURLToPath } from 'node:url';
import { OBJECT, requireArgument } from '../require-argument.js';
import {
  discoverModel,
  discoverModels,
  familyOf,
  getRouter,
  isKnownModelType,
  type Router,
  readConfigDict,
  withAdapter,
  withModelType,
} from '../router/index.js';
import type { LinkOptions } from '../weights/regular-file.js';

const FAMILIES = fileURLToPath(new URL('.', import.meta.url));
let builtIn: Promise<string[]> | undefined;

/** Registers the families of this package, and those of further folders. Returns when all are known. */
export async function loadModels(modelDirs: readonly string[] = []): Promise<void> {
  builtIn ??= discoverModels(FAMILIES);
  await builtIn;
  for (const dir of modelDirs) await discoverModels(dir);
}

/**
 * Registers the family of a `model_type` alone, which takes a fraction of the time, where a folder is called so; else all.
 */
async function loadFamily(modelType: unknown): Promise<void> {
  const folder = typeof modelType === 'string' ? familyOf(modelType).replaceAll('-', '_') : '';
  // Whatever a config.json says is no path to a folder elsewhere.
  if (/^\w+$/.test(folder)) await discoverModel(FAMILIES, folder);
  if (!isKnownModelType(modelType)) await loadModels();
}

/**
 * The router of the checkpoint in a folder: config, model class, tokenizer and input builder.
 * Throws CONFIG_INVALID, ROUTER_UNKNOWN_MODEL, ROUTER_DUPLICATE_MODEL, ROUTER_MODEL_DIR_INVALID.
 */
export async function getModel(
  modelPath: string,
  options: LinkOptions & { readonly modelDirs?: readonly string[] | undefined } = {},
): Promise<Router> {
  requireArgument('getModel', 'the options', OBJECT, options);
  const { modelDirs = [] } = options;
  if (modelDirs.length > 0) await loadModels(modelDirs);
  const read = await readConfigDict(modelPath, options);
  await loadFamily(read.model_type);
  const configDict = withModelType(await withAdapter(modelPath, read, options));
  const Router = getRouter(configDict.model_type);
  return new Router(modelPath, configDict, { allowLinks: options.allowLinks });
}
