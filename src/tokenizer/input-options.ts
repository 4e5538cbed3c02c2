import type { ChatTemplateChoice } from './chat-template-source.js';

export interface ChatTemplateOptions {
  /** End with the beginning of the assistant's turn. Default true. */
  readonly addGenerationPrompt?: boolean | undefined;
  /** End inside the last message, so that the answer goes on with it, as transformers has it. Default false. */
  readonly continueFinalMessage?: boolean | undefined;
  /** Descriptions of tools, as OpenAI's API has them. */
  readonly tools?: readonly unknown[] | undefined;
  readonly documents?: readonly unknown[] | undefined;
  /** Further variables for the template, as `enable_thinking`; none that templates are given anyway. */
  readonly chatTemplateKwargs?: Readonly<Record<string, unknown>> | undefined;
  /** Let special tokens' text in messages ("<|im_end|>") be those tokens. Default false: it is mere text. */
  readonly allowSpecialTokens?: boolean | undefined;
}

export interface ContextOptions extends ChatTemplateOptions {
  /** Leave out the oldest turns until the context has at most `maxLength` tokens. Default false. */
  readonly adaptToMaxLength?: boolean | undefined;
}

export interface InputBuilderOptions extends ChatTemplateChoice {
  /** Tokens of a context for `adaptToMaxLength`, as MindIE's default. */
  readonly maxLength?: number | undefined;
  /** What stands for parts of each type where a template knows texts alone. Special tokens in it are these. */
  readonly partTexts?: Readonly<Record<string, string>> | undefined;
  /** Texts of templates, and what stands in the place of each. */
  readonly templateTexts?: Readonly<Record<string, string>> | undefined;
  /** Text before all that a template writes; none when absent. */
  readonly lead?: string | undefined;
  /**
   * What the checkpoint's own template writes is a text as any other, before which the tokenizer puts a token where it does not
   * begin with it: processors of transformers have it so. Default false.
   */
  readonly opensDialogues?: boolean | undefined;
  /** Templates of dialogues with a part of that type, in place of all others. */
  readonly partTemplates?: Readonly<Record<string, string>> | undefined;
}
