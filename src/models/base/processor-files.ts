import { join } from 'node:path';
import { AtbError } from '../../errors.js';
import { isObject } from '../../is-object.js';
import type { ConfigDict } from '../../layers/config/index.js';
import { readModelJson } from '../../tokenizer/model-files.js';
import type { LinkOptions } from '../../weights/regular-file.js';

/** A directory with a checkpoint's files. */
export interface ModelFolder {
  readonly dir: string;
  readonly links: LinkOptions;
}

/**
 * Where files say how pictures are processed, how videos and how sound, if they do not say it within processor_config.json:
 * the first of them that is there counts, as in transformers 5.24.
 */
const PROCESSORS = {
  image_processor: ['preprocessor_config.json'],
  video_processor: ['video_preprocessor_config.json', 'preprocessor_config.json'],
  feature_extractor: ['preprocessor_config.json'],
  audio_processor: ['preprocessor_config.json'],
} as const;

/** What the files say of it. @throws CONFIG_INVALID */
export async function readProcessorConfig<C>(
  { dir, links }: ModelFolder,
  definition: { read(dict: ConfigDict, file: string): C },
  processor: keyof typeof PROCESSORS = 'image_processor',
): Promise<C> {
  const files = PROCESSORS[processor];
  for (const [name, member] of [
    ['processor_config.json', processor],
    ...files.map((file) => [file, undefined] as const),
  ] as const) {
    const found = await readModelJson(dir, name, links);
    if (found === undefined) continue;
    const dict = member !== undefined && isObject(found) ? found[member] : found;
    if (dict === undefined) continue;
    if (isObject(dict)) return definition.read(dict, name);
    throw new AtbError('CONFIG_INVALID', { file: join(dir, name), problems: ['must hold an object'] });
  }
  return definition.read({}, files[0]);
}

/** The class of transformers that a checkpoint's files say they are for; undefined where they name none. */
export async function readProcessorClass({ dir, links }: ModelFolder): Promise<string | undefined> {
  for (const name of ['processor_config.json', 'preprocessor_config.json']) {
    const found = await readModelJson(dir, name, links);
    const named = isObject(found) ? found.processor_class : undefined;
    if (typeof named === 'string') return named;
  }
  return undefined;
}
