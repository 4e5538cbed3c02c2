import { refuseRequest } from '../../errors.js';
import { isObject } from '../../is-object.js';
import { defineConfig, field, flag, integer, only } from '../../layers/config/index.js';
import type { EncodeWords } from '../../media/index.js';
import { readModelJson } from '../../tokenizer/model-files.js';
import type { ModelFolder } from '../base/processor-files.js';
import { FittedProcessor } from '../base/vision/index.js';
import type { JanusConfig } from './config.js';

const FILE = 'processor_config.json';

/** What stands before dialogues where the file asks for it (transformers 5.24, `JanusProcessor`). */
const SYSTEM =
  'You are a helpful language and vision assistant. ' +
  'You are able to understand the visual content that the user provides, ' +
  'and assist the user with a variety of tasks using natural language.\n\n';

/** Defaults of transformers 5.24, JanusProcessor; it draws pictures where `generation_mode` says so. */
const JANUS_TEXTS = defineConfig({
  fields: {
    hasSystem: field('use_default_system_prompt', flag, false),
    tokens: field('num_image_tokens', integer(1, 1_000_000), undefined),
    writes: field('generation_mode', only('text'), 'text'),
  },
});

/** The tokens before a picture and behind it. */
const AROUND = ['<begin_of_image>', '<end_of_image>'] as const;

/** Pictures in squares between two tokens. @throws CONFIG_INVALID, REQUEST_INVALID for what is not the encoder's */
export async function janusProcessor(
  folder: ModelFolder,
  model: JanusConfig,
  encode: EncodeWords,
): Promise<FittedProcessor & { readonly lead: string }> {
  const found = await readModelJson(folder.dir, FILE, folder.links);
  const { hasSystem, tokens } = JANUS_TEXTS.read(isObject(found) ? found : {}, FILE);
  const { imageSize, patchSize } = model.vision;
  const patches = Math.floor(imageSize / patchSize) ** 2;
  if (tokens !== undefined && tokens !== patches)
    refuseRequest('num_image_tokens', `${patches}, the patches of a picture`, tokens);
  const config = await FittedProcessor.configOf(folder, model);
  const processor = new FittedProcessor(config, model, { words: AROUND, encode });
  return Object.assign(processor, { lead: hasSystem ? SYSTEM : '' });
}
