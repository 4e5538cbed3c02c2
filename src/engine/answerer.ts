import type { Guide } from '../guided/index.js';
import type { ExpandedPrompt } from '../media/index.js';
import type { TextProcessing } from '../runner/text-processing.js';
import type { ChatTemplateOptions } from '../tokenizer/input-builder.js';
import type { LLMPrompt } from './encode-prompt.js';
import type { Generation } from './generation.js';
import type { LLMEngine } from './llm-engine.js';
import type { StreamOptions } from './llm-options.js';

/** A loaded model, as completions, beams and dialogues see it; `LLM` is one, and says more of each member. */
export interface Answerer {
  readonly text: TextProcessing;
  readonly maxModelLen: number;
  readonly engine: Pick<LLMEngine, 'release'>;
  /** Token ids of a prompt, and what stands in it that is no text. */
  prepare(prompt: LLMPrompt, template?: ChatTemplateOptions): Promise<ExpandedPrompt>;
  /** The option `grammar` of what is started next. */
  compileGuide(guide: Guide): Promise<number>;
  start(prompt: LLMPrompt, options?: StreamOptions): Promise<Generation>;
  startTokens(tokens: ArrayLike<number>, options?: Omit<StreamOptions, 'template' | 'guide'>): Generation;
  decode(tokens: ArrayLike<number>): string;
}
