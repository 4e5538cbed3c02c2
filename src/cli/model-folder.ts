import { modelFolder } from '../hub/cache.js';
import { hubEnvironment } from './environment.js';

/**
 * Options in which the name of a model in the Hugging Face cache has become its folder.
 * @throws MODEL_NOT_CACHED naming the command that fetches it
 */
export async function withModelFolder<T extends { readonly modelPath: string }>(options: T): Promise<T> {
  return { ...options, modelPath: await modelFolder(options.modelPath, hubEnvironment()) };
}
