import type { BaseConfig } from '../layers/config/index.js';
import { parseGenerationConfig } from '../sampling/generation-config.js';
import type { SamplingDefaults } from '../sampling/sampling-params.js';
import { HfTokenizer } from '../tokenizer/hf-tokenizer.js';
import { InputBuilder } from '../tokenizer/input-builder.js';
import { readModelJson } from '../tokenizer/model-files.js';
import { Postprocessor } from '../tokenizer/postprocessor.js';

export interface TextProcessingOptions {
  /** False: no tokenizer files are read; prompts are token ids. */
  readonly loadTokenizer?: boolean;
  /** A chat template or the path of a file with one, instead of the checkpoint's. */
  readonly chatTemplate?: string;
}

/** What turns text into a model's tokens and back; without a tokenizer only token ids work. */
export interface TextProcessing {
  readonly tokenizer: HfTokenizer | undefined;
  readonly inputBuilder: InputBuilder | undefined;
  readonly postprocessor: Postprocessor;
  /** Of generation_config.json. */
  readonly samplingDefaults: SamplingDefaults;
}

/**
 * Reads a model directory's tokenizer, chat template and generation_config.json.
 * @throws TOKENIZER_*, TEMPLATE_*, CONFIG_INVALID
 */
export async function loadTextProcessing(
  modelPath: string,
  config: BaseConfig,
  { loadTokenizer = true, chatTemplate }: TextProcessingOptions = {},
): Promise<TextProcessing> {
  const found = await readModelJson(modelPath, 'generation_config.json');
  const generation = found === undefined ? undefined : parseGenerationConfig(found, 'generation_config.json');
  const eosTokenIds = [...new Set([...(generation?.eosTokenIds ?? []), ...config.eosTokenIds])];
  const samplingDefaults = generation?.sampling ?? {};
  if (!loadTokenizer) {
    const postprocessor = new Postprocessor(undefined, eosTokenIds);
    return { tokenizer: undefined, inputBuilder: undefined, postprocessor, samplingDefaults };
  }
  const tokenizer = await HfTokenizer.load(modelPath, { eosTokenIds });
  const inputBuilder = await InputBuilder.load(modelPath, tokenizer, { chatTemplate });
  const postprocessor = new Postprocessor(tokenizer, tokenizer.eosTokenIds);
  return { tokenizer, inputBuilder, postprocessor, samplingDefaults };
}
