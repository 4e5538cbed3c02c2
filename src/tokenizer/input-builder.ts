import { AtbError } from '../errors.js';
import { type ChatMessage, ChatTemplate } from './chat-template.js';
import { type ChatTemplateSources, findChatTemplates } from './chat-template-source.js';
import { checkConversation, checkKwargs, copyJson, joinTextParts, unusedMark } from './conversation.js';
import type { HfTokenizer } from './hf-tokenizer.js';

export interface ChatTemplateOptions {
  /** End with the beginning of the assistant's turn. Default true. */
  readonly addGenerationPrompt?: boolean | undefined;
  /** Descriptions of tools, as OpenAI's API has them. */
  readonly tools?: readonly unknown[] | undefined;
  readonly documents?: readonly unknown[] | undefined;
  /** Further variables for the template, by the names that `TEMPLATE_KWARGS` lists. */
  readonly chatTemplateKwargs?: Readonly<Record<string, unknown>> | undefined;
  /** Let special tokens' text in messages ("<|im_end|>") be those tokens. Default false: it is mere text. */
  readonly allowSpecialTokens?: boolean | undefined;
}

export interface ContextOptions extends ChatTemplateOptions {
  /** Leave out the oldest turns until the context has at most `maxLength` tokens. Default false. */
  readonly adaptToMaxLength?: boolean | undefined;
}

export interface InputBuilderOptions {
  /** A template, or a path of one, in place of the checkpoint's. */
  readonly chatTemplate?: string | undefined;
  /** Tokens of a context for `adaptToMaxLength`, as MindIE's default. */
  readonly maxLength?: number | undefined;
}

const DEFAULT_MAX_LENGTH = 2048;
const SYSTEM = 'system';
const USER = 'user';

/** Conversations to token ids through the checkpoint's chat template. MindIE's name. */
export class InputBuilder {
  readonly #tokenizer: HfTokenizer;
  readonly #sources: ChatTemplateSources;
  readonly #compiled = new Map<string, ChatTemplate>();
  readonly #looked: readonly string[];
  readonly #maxLength: number;

  /** Finds the templates of a model directory; they are compiled when they are first needed. @throws TEMPLATE_* */
  static async load(
    dir: string,
    tokenizer: HfTokenizer,
    options: InputBuilderOptions = {},
  ): Promise<InputBuilder> {
    const sources = await findChatTemplates(dir, tokenizer.config, options.chatTemplate);
    return new InputBuilder(tokenizer, sources, options, [
      `${dir}/tokenizer_config.json`,
      `${dir}/chat_template.jinja`,
    ]);
  }

  constructor(
    tokenizer: HfTokenizer,
    sources: ChatTemplateSources,
    { maxLength = DEFAULT_MAX_LENGTH }: InputBuilderOptions = {},
    looked: readonly string[] = ['tokenizer_config.json'],
  ) {
    this.#tokenizer = tokenizer;
    this.#sources = sources;
    this.#maxLength = maxLength;
    this.#looked = looked;
  }

  get hasTemplate(): boolean {
    return this.#sources.size > 0;
  }

  /**
   * The prompt's text. Special tokens in messages are not told from the template's own here; `applyChatTemplate` does.
   * @throws TEMPLATE_*, REQUEST_INVALID
   */
  renderChatTemplate(messages: readonly ChatMessage[], options: ChatTemplateOptions = {}): string {
    return this.#render(messages, options, (text) => text);
  }

  /**
   * The prompt's token ids. What users wrote never becomes a control token, unless `allowSpecialTokens` says so.
   * @throws TEMPLATE_MISSING, TEMPLATE_REFUSED and other TEMPLATE_* errors, REQUEST_INVALID for malformed messages
   */
  applyChatTemplate(messages: readonly ChatMessage[], options: ChatTemplateOptions = {}): number[] {
    if (options.allowSpecialTokens) {
      return this.#tokenizer.encode(this.renderChatTemplate(messages, options), { addSpecialTokens: false });
    }
    const { tools, documents, chatTemplateKwargs } = options;
    const mark = unusedMark({ messages, tools, documents, chatTemplateKwargs });
    const text = this.#render(messages, options, (part) => this.#tokenizer.markSpecials(part, mark));
    return this.#tokenizer.encodeMarked(text, mark);
  }

  /**
   * A conversation's context. With `adaptToMaxLength`, the oldest turns after the system message are left out, from a
   * user's turn on, until it fits.
   * @throws REQUEST_INVALID when even the last turn alone does not fit, and as `applyChatTemplate`
   */
  makeContext(conversation: readonly ChatMessage[], options: ContextOptions = {}): number[] {
    const { adaptToMaxLength = false } = options;
    checkConversation(conversation);
    let ids = this.applyChatTemplate(conversation, options);
    if (!adaptToMaxLength || ids.length <= this.#maxLength) return ids;
    const numSystem = conversation[0]?.role === SYSTEM ? 1 : 0;
    // Contexts that begin at a user's turn, from the one with the most turns; the last turn always stays.
    const starts = conversation.flatMap(({ role }, index) =>
      role === USER && index > numSystem ? [index] : [],
    );
    const lastTurn = conversation.length - 1;
    if (lastTurn > numSystem && starts.at(-1) !== lastTurn) starts.push(lastTurn);
    const contextFrom = (start: number): number[] =>
      this.applyChatTemplate([...conversation.slice(0, numSystem), ...conversation.slice(start)], options);
    // Fewer turns never make it longer: the first start that fits, by bisection.
    let [low, high] = [0, starts.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const shorter = contextFrom(starts[middle] as number);
      if (shorter.length > this.#maxLength) low = middle + 1;
      else {
        high = middle;
        ids = shorter;
      }
    }
    if (ids.length <= this.#maxLength) return ids;
    const found = `${contextFrom(starts.at(-1) ?? numSystem).length} tokens`;
    throw new AtbError('REQUEST_INVALID', {
      field: 'messages',
      expected: `a last turn of at most ${this.#maxLength} tokens`,
      found,
    });
  }

  #render(
    messages: readonly ChatMessage[],
    options: ChatTemplateOptions,
    mapText: (text: string) => string,
  ): string {
    checkConversation(messages);
    const { addGenerationPrompt = true, tools, documents, chatTemplateKwargs = {} } = options;
    checkKwargs(chatTemplateKwargs);
    const template = this.#template(
      tools !== undefined && this.#sources.has('tool_use') ? 'tool_use' : 'default',
    );
    const parts = template.handlesParts ? messages : messages.map(joinTextParts);
    const copy = (field: string, value: unknown): unknown => copyJson(value, field, mapText);
    return template.render({
      ...this.#tokenizer.namedTokens,
      ...(copy('chatTemplateKwargs', chatTemplateKwargs) as object),
      messages: copy('messages', parts),
      tools: copy('tools', tools ?? null),
      documents: copy('documents', documents ?? null),
      add_generation_prompt: addGenerationPrompt,
    });
  }

  #template(name: string): ChatTemplate {
    const known = this.#compiled.get(name);
    if (known !== undefined) return known;
    const found = this.#sources.get(name);
    if (found === undefined) throw new AtbError('TEMPLATE_MISSING', { looked: this.#looked });
    const template = new ChatTemplate(found.source, found.name);
    this.#compiled.set(name, template);
    return template;
  }
}
