import { join } from 'node:path';
import { AtbError, refuseRequest } from '../errors.js';
import { isObject } from '../is-object.js';
import { type ConfigDict, defineConfig, keysBecause } from '../layers/config/index.js';
import { adapterScale, LORA_FIELDS, PEFT_IRRELEVANT } from '../models/base/peft-adapter.js';
import { readModelJson } from '../tokenizer/model-files.js';
import { adapterOfTensor } from '../weights/adapter.js';
import type { Checkpoint } from '../weights/checkpoint.js';
import type { LoraFolder } from '../weights/lora-file.js';
import type { LinkOptions } from '../weights/regular-file.js';
import { unreadTensors } from '../weights/unread-tensors.js';
import type { TensorRef } from '../weights/weights.js';

const FILE = 'adapter_config.json';

const LORA = defineConfig({
  fields: LORA_FIELDS,
  irrelevant: {
    ...keysBecause('changes no result', ...PEFT_IRRELEVANT),
    ...keysBecause(
      'its tensors tell',
      ...['target_modules', 'layers_to_transform', 'layers_pattern', 'exclude_modules'],
    ),
    fan_in_fan_out: 'how the weights beside it are stored changes nothing',
  },
});

/**
 * Reads what peft says of adapters, each in a folder of its own. @throws CONFIG_INVALID for a folder that holds none, and
 * for what is not built, by its key; REQUEST_INVALID for a name that is no text
 */
export async function readLoraModules(
  modules: Readonly<Record<string, string>> = {},
  links: LinkOptions = {},
): Promise<readonly LoraFolder[]> {
  return Promise.all(
    Object.entries(modules).map(async ([name, folder]) => {
      if (name === '') refuseRequest('loraModules', 'a name for each adapter', name);
      const file = join(folder, FILE);
      const found = await readModelJson(folder, FILE, links);
      if (!isObject(found)) {
        const problem =
          found === undefined ? 'is missing: the folder of an adapter has one' : 'must be an object';
        throw new AtbError('CONFIG_INVALID', { file, problems: [problem] });
      }
      const config = LORA.read(found as ConfigDict, file);
      return { name, folder, rank: config.rank, scale: adapterScale(config) };
    }),
  );
}

/**
 * The place of an adapter among those that were loaded; undefined for the model itself. `field`: what asks for it.
 * @throws REQUEST_INVALID for one that was not loaded
 */
export function placeOfAdapter(
  field: string,
  adapter: string | undefined,
  loaded: readonly string[],
): number | undefined {
  if (adapter === undefined) return undefined;
  const place = loaded.indexOf(adapter);
  if (place >= 0) return place;
  const expected =
    loaded.length > 0 ? `one of ${loaded.join(', ')}` : 'absent: no adapters were loaded (loraModules)';
  return refuseRequest(field, expected, adapter);
}

/** @throws WEIGHT_ADAPTER_UNREAD for tensors of adapters that belong to nothing that an adapter can be added to */
export function refuseUnreadAdapters(checkpoint: Checkpoint, weights: readonly TensorRef[]): void {
  if (checkpoint.adapters.length === 0) return;
  const unread = unreadTensors(checkpoint, weights).flatMap(({ name }) =>
    adapterOfTensor(name) === undefined ? [] : [name],
  );
  const adapter = adapterOfTensor(unread[0] ?? '');
  if (adapter === undefined) return;
  const tensors = unread.filter((name) => adapterOfTensor(name) === adapter);
  throw new AtbError('WEIGHT_ADAPTER_UNREAD', { adapter, tensors });
}
