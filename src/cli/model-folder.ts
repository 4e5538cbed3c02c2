import { existsSync } from 'node:fs';
import { hubEnvironment } from './environment.js';

interface ModelPaths {
  readonly modelPath: string;
  readonly draftModelPath?: string | undefined;
  readonly loraModules?: Readonly<Record<string, string>> | undefined;
}

/**
 * Options in which the names of models in the Hugging Face cache have become their folders.
 * @throws MODEL_NOT_CACHED naming the command that fetches it
 */
export async function withModelFolder<T extends ModelPaths>(options: T): Promise<T> {
  const { modelPath, draftModelPath, loraModules } = options;
  const folderOf = async (path: string) => {
    if (existsSync(path)) return path;
    // The hub's library takes a while to read.
    const { modelFolder } = await import('../hub/cache.js');
    return modelFolder(path, hubEnvironment());
  };
  const adapters = Object.entries(loraModules ?? {}).map(async ([name, path]) => [
    name,
    await folderOf(path),
  ]);
  return {
    ...options,
    modelPath: await folderOf(modelPath),
    ...(loraModules && { loraModules: Object.fromEntries(await Promise.all(adapters)) }),
    ...(draftModelPath !== undefined && { draftModelPath: await folderOf(draftModelPath) }),
  };
}
