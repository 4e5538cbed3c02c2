import type { MediaProcessor } from '../media/index.js';
import type { Router } from '../router/index.js';
import type { SamplingDefaults } from '../sampling/sampling-params.js';
import type { HfTokenizer } from '../tokenizer/hf-tokenizer.js';
import type { InputBuilder } from '../tokenizer/input-builder.js';
import type { Postprocessor } from '../tokenizer/postprocessor.js';

export interface TextProcessingOptions {
  /** False: no tokenizer files are read; prompts are token ids. */
  readonly loadTokenizer?: boolean | undefined;
  /** A chat template or the path of a file with one, instead of the checkpoint's. */
  readonly chatTemplate?: string | undefined;
  /** The folder below which prompts may name files of pictures and sound; none may be named when absent. */
  readonly allowedLocalMediaPath?: string | undefined;
  /** Called with each thing of generation_config.json that cannot be used. */
  readonly onWarning?: ((text: string) => void) | undefined;
}

/** What turns text into a model's tokens and back; without a tokenizer only token ids work. */
export interface TextProcessing {
  readonly tokenizer: HfTokenizer | undefined;
  readonly inputBuilder: InputBuilder | undefined;
  readonly postprocessor: Postprocessor;
  /** What makes of pictures and sound what the model's encoder reads; absent for models of text. */
  readonly media?: MediaProcessor | undefined;
  readonly allowedLocalMediaPath?: string | undefined;
  /** Of generation_config.json. */
  readonly samplingDefaults: SamplingDefaults;
}

/**
 * Reads a model directory's tokenizer, chat template and generation_config.json, in the way of its family.
 * @throws TOKENIZER_*, TEMPLATE_*, CONFIG_INVALID
 */
export async function loadTextProcessing(
  router: Router,
  { loadTokenizer = true, chatTemplate, allowedLocalMediaPath, onWarning }: TextProcessingOptions,
): Promise<TextProcessing> {
  const generation = await router.getGenerationConfig();
  for (const warning of generation.warnings) onWarning?.(warning);
  const tokenizer = loadTokenizer ? await router.getTokenizer(generation) : undefined;
  for (const warning of tokenizer?.warnings ?? []) onWarning?.(warning);
  const encode = (words: string) => tokenizer?.encode(words, { addSpecialTokens: false }) ?? [];
  const textOf = (id: number) =>
    tokenizer?.decode([id], { skipSpecialTokens: false, cleansUpSpaces: false }) ?? '';
  const textOfWords = (ids: readonly number[]) =>
    tokenizer?.decode([...ids], { cleansUpSpaces: false }) ?? '';
  const media = await router.getMediaProcessor(Object.assign(encode, tokenizer && { textOf, textOfWords }));
  const { partTexts, templateTexts, lead } = media ?? {};
  // One that a caller names holds for all dialogues.
  const partTemplates = chatTemplate === undefined ? media?.templates : undefined;
  return {
    tokenizer,
    inputBuilder:
      tokenizer &&
      (await router.getInputBuilder(tokenizer, {
        chatTemplate,
        partTexts,
        templateTexts,
        partTemplates,
        lead,
        opensDialogues: media !== undefined,
      })),
    postprocessor: router.getPostprocessor(tokenizer, generation),
    media,
    allowedLocalMediaPath,
    samplingDefaults: generation.sampling,
  };
}
