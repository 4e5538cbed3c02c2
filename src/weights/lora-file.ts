import { join } from 'node:path';
import { AtbError } from '../errors.js';
import { type Adapter, adapterOfTensor } from './adapter.js';
import { ADAPTER_FILE, exists, ofAdapter } from './checkpoint-files.js';
import type { NamedFile } from './merge-tensors.js';
import { followAllowed, type LinkOptions } from './regular-file.js';
import { openSafetensors } from './safetensors-file.js';

/** An adapter in a folder of its own, as peft writes it. */
export interface LoraFolder extends Adapter {
  readonly folder: string;
}

/**
 * Opens the tensors of an adapter under the names that `adapterTensor` gives them.
 * @throws WEIGHT_CHECKPOINT_MISSING, WEIGHT_FILE_*; WEIGHT_ADAPTER_UNSUPPORTED for what is no product of LoRA
 */
export async function openLora({ folder, name }: LoraFolder, links: LinkOptions): Promise<NamedFile> {
  const path = join(folder, ADAPTER_FILE);
  if (!(await exists(path)))
    throw new AtbError('WEIGHT_CHECKPOINT_MISSING', { directory: folder, found: `no ${ADAPTER_FILE}` });
  const file = ofAdapter(await openSafetensors(await followAllowed(path, links), folder), `@${name}`);
  const others = [...file.tensors.keys()].filter((tensor) => adapterOfTensor(tensor) !== name);
  if (others.length > 0) throw new AtbError('WEIGHT_ADAPTER_UNSUPPORTED', { file: path, tensors: others });
  return { name: path, file };
}
