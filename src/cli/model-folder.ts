import { existsSync } from 'node:fs';
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
  const folderOf = async (path: string) => {
    if (existsSync(path)) return path;
    // The hub's library takes a while to read.
    const { modelFolder } = await import('../hub/cache.js');
    return modelFolder(path, hubEnvironment());
  };
  return {
    ...options,
    modelPath: await folderOf(modelPath),
    ...(draftModelPath !== undefined && { draftModelPath: await folderOf(draftModelPath) }),
  };
}
