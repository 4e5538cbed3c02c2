import { modelFolder } from '../hub/cache.js';
import { hubEnvironment } from './environment.js';

interface ModelPaths {
  readonly modelPath: string;
  readonly draftModelPath?: string | undefined;
}

/**
 * Options in which the names of models in the Hugging Face cache have become their folders.
 * @throws MODEL_NOT_CACHED naming the command that fetches it
 */
export async function withModelFolder<T extends ModelPaths>(options: T): Promise<T> {
  const { modelPath, draftModelPath } = options;
  const folderOf = (path: string) => modelFolder(path, hubEnvironment());
  return {
    ...options,
    modelPath: await folderOf(modelPath),
    ...(draftModelPath !== undefined && { draftModelPath: await folderOf(draftModelPath) }),
  };
}
