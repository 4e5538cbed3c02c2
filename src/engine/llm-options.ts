import type { Guide } from '../guided/index.js';
import type { SamplingOptions } from '../sampling/sampling-params.js';
import type { ChatMessage } from '../tokenizer/chat-template.js';
import type { ChatTemplateOptions } from '../tokenizer/input-builder.js';
import type { GenerateOptions } from './llm-engine-options.js';
import type { OpenEngineOptions } from './open-engine-options.js';

/** How a model is loaded and what runs at once. Names are vLLM's, where it has them. */
export interface LLMOptions
  extends Omit<
    OpenEngineOptions,
    | 'modelPath'
    | 'maxBatchSize'
    | 'maxInputLength'
    | 'maxOutputLength'
    | 'maxPrefillBatchSize'
    | 'maxPrefillTokens'
    | 'chunkedPrefill'
    | 'cacheBytes'
    | 'usualModelLen'
    | 'memoryBudget'
  > {
  /** Requests that run at once, the others wait; 8 when absent. */
  readonly maxNumSeqs?: number | undefined;
  /** Tokens of one step; 512 when absent. Beside requests that decode, prompts get fewer: see docs/library.md. */
  readonly maxNumBatchedTokens?: number | undefined;
  /**
   * Bytes for weights and KV cache together, as a number or as "6GiB"; no more is taken than maxNumSeqs requests of full
   * length need. When absent: what maxNumSeqs requests of 4096 tokens need, and one of full length, within 80 % of the free
   * memory.
   */
  readonly memoryBudget?: number | string | undefined;
}

/** Everything about one request but its prompt. */
export interface StreamOptions extends SamplingOptions, GenerateOptions {
  /** For dialogues: tools, documents and further variables of the chat template. */
  readonly template?: ChatTemplateOptions | undefined;
  /** What the answer's text must be: a JSON schema, a regular expression, one of some texts, a grammar. */
  readonly guide?: Guide | undefined;
}

/** How a dialogue begins. */
export interface ChatSessionOptions {
  /** The first message, which is never left out. */
  readonly system?: string | undefined;
  /** What was said before. */
  readonly messages?: readonly ChatMessage[] | undefined;
}
