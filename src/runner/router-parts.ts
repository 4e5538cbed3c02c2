import { registerRouterPart } from '../router/index.js';
import type { HfTokenizer } from '../tokenizer/hf-tokenizer.js';
import type { InputBuilder } from '../tokenizer/input-builder.js';
import type { Postprocessor } from '../tokenizer/postprocessor.js';
import { loadTextProcessing, type TextProcessing, type TextProcessingOptions } from './text-processing.js';

declare module '../router/base-router.js' {
  interface RouterParts {
    /** Reads everything that turns text into the model's tokens and back; a family may do it in its own way. */
    readonly textProcessing: (options?: TextProcessingOptions) => Promise<TextProcessing>;
    readonly tokenizer: Promise<HfTokenizer | undefined>;
    readonly inputBuilder: Promise<InputBuilder | undefined>;
    readonly postprocessor: Promise<Postprocessor>;
  }
}

registerRouterPart(
  'textProcessing',
  (router) => (options) => loadTextProcessing(router.modelPath, router.config, options),
);
registerRouterPart('tokenizer', async (router) => (await router.part('textProcessing')()).tokenizer);
registerRouterPart('inputBuilder', async (router) => (await router.part('textProcessing')()).inputBuilder);
registerRouterPart('postprocessor', async (router) => (await router.part('textProcessing')()).postprocessor);
