import type { NamedFile } from '../merge-tensors.js';
import { GgufModel } from './model-file.js';

/** The files of a model in GGUF as if they were safetensors, by the names of Hugging Face. Throws WEIGHT_FILE_*, CONFIG_INVALID. */
export async function openGguf(path: string): Promise<NamedFile[]> {
  const model = await GgufModel.open(path);
  return model.headers.map(({ path: name, stamp }) => {
    const tensors = new Map([...model.tensors].filter(([, { file }]) => file === name));
    return { name, file: { path: name, stamp, tensors, metadata: new Map() } };
  });
}
