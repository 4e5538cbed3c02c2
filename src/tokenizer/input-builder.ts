import { AtbError, refuseRequest } from '../errors.js';
import { type ArgumentKind, OBJECT, PATH, requireArgument } from '../require-argument.js';
import { type ChatMessage, ChatTemplate } from './chat-template.js';
import { type ChatTemplateSources, findChatTemplates } from './chat-template-source.js';
import {
  checkConversation,
  checkKwargs,
  copyJson,
  cutAtTag,
  forTemplates,
  inParts,
  isJoinable,
  joinParts,
  tagLast,
  unusedMark,
} from './conversation.js';
import type { HfTokenizer } from './hf-tokenizer.js';
import type { ChatTemplateOptions, ContextOptions, InputBuilderOptions } from './input-options.js';

export type { ChatTemplateOptions, ContextOptions, InputBuilderOptions };

/** A rendered conversation. Where `mark` stands before a special token's text, that is mere text. */
interface Prompt {
  readonly text: string;
  readonly mark: string | undefined;
}

const hasPart = ({ content }: ChatMessage, type: string): boolean =>
  Array.isArray(content) &&
  content.some((part: unknown) => (part as { type?: unknown } | null)?.type === type);

const DEFAULT_MAX_LENGTH = 2048;
const SYSTEM = 'system';
const USER = 'user';

const TOKENIZER: ArgumentKind = {
  expected: 'a tokenizer, as `await HfTokenizer.load(directory)` gives it',
  holds: (value) => OBJECT.holds(value) && OBJECT.holds((value as HfTokenizer).config),
};

/** Conversations to token ids through the checkpoint's chat template. MindIE's name. */
export class InputBuilder {
  readonly #tokenizer: HfTokenizer;
  readonly #sources: ChatTemplateSources;
  readonly #compiled = new Map<string, ChatTemplate>();
  readonly #ofParts: readonly { readonly type: string; readonly source: string }[];
  readonly #looked: readonly string[];
  readonly #maxLength: number;
  readonly #partTexts: Readonly<Record<string, string>>;
  readonly #templateTexts: Readonly<Record<string, string>>;
  readonly #lead: string;
  readonly #opensDialogues: boolean;

  /** Finds the templates of a model directory; they are compiled when they are first needed. @throws TEMPLATE_* */
  static async load(
    dir: string,
    tokenizer: HfTokenizer,
    options: InputBuilderOptions = {},
  ): Promise<InputBuilder> {
    const call = 'InputBuilder.load';
    requireArgument(call, 'the directory', PATH, dir);
    requireArgument(call, 'the tokenizer', TOKENIZER, tokenizer);
    requireArgument(call, 'the options', OBJECT, options);
    const sources = await findChatTemplates(dir, tokenizer.config, options);
    return new InputBuilder(tokenizer, sources, options, [
      `${dir}/tokenizer_config.json`,
      `${dir}/chat_template.jinja`,
    ]);
  }

  constructor(
    tokenizer: HfTokenizer,
    sources: ChatTemplateSources,
    {
      maxLength = DEFAULT_MAX_LENGTH,
      partTexts = {},
      templateTexts = {},
      partTemplates = {},
      lead = '',
      opensDialogues = false,
      familyTemplate,
    }: InputBuilderOptions = {},
    looked: readonly string[] = ['tokenizer_config.json'],
  ) {
    this.#tokenizer = tokenizer;
    this.#sources = sources;
    this.#ofParts = Object.entries(partTemplates).map(([type, source]) => ({ type, source }));
    this.#maxLength = maxLength;
    this.#partTexts = partTexts;
    this.#templateTexts = templateTexts;
    this.#lead = lead;
    // Templates of a family write all that there is.
    const isOwn = [...sources.values()].every(({ source }) => source !== familyTemplate);
    this.#opensDialogues = opensDialogues && isOwn;
    this.#looked = looked;
  }

  get hasTemplate(): boolean {
    return this.#sources.size > 0;
  }

  /** The templates' sources, one after another: what they show a model is how it answers. Empty without one. */
  get templateSource(): string {
    return [...this.#sources.values()].map(({ source }) => source).join('\n');
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
   * @throws TEMPLATE_MISSING, TEMPLATE_REFUSED and other TEMPLATE_* errors, REQUEST_INVALID for malformed messages,
   * TOKENIZER_* as `HfTokenizer.encodeAsync`
   */
  async applyChatTemplateAsync(
    messages: readonly ChatMessage[],
    options: ChatTemplateOptions = {},
  ): Promise<number[]> {
    return await this.#encodeAsync(this.#prompt(messages, options));
  }

  /** The same, but this thread waits for the tokenizer. */
  applyChatTemplate(messages: readonly ChatMessage[], options: ChatTemplateOptions = {}): number[] {
    return this.#encode(this.#prompt(messages, options));
  }

  /**
   * A conversation's context. With `adaptToMaxLength`, the oldest turns after the system message are left out, from a
   * user's turn on, until it fits.
   * @throws REQUEST_INVALID when even the last turn alone does not fit, and as `applyChatTemplateAsync`
   */
  async makeContextAsync(
    conversation: readonly ChatMessage[],
    options: ContextOptions = {},
  ): Promise<number[]> {
    const contexts = this.#contexts(conversation, options);
    let step = contexts.next();
    while (!step.done) step = contexts.next(await this.#encodeAsync(step.value));
    return step.value;
  }

  /** The same, but this thread waits for the tokenizer. */
  makeContext(conversation: readonly ChatMessage[], options: ContextOptions = {}): number[] {
    const contexts = this.#contexts(conversation, options);
    let step = contexts.next();
    while (!step.done) step = contexts.next(this.#encode(step.value));
    return step.value;
  }

  /** Yields prompts to be encoded, and returns the ids of the one that fits. */
  *#contexts(
    conversation: readonly ChatMessage[],
    options: ContextOptions,
  ): Generator<Prompt, number[], number[]> {
    const { adaptToMaxLength = false } = options;
    checkConversation(conversation);
    let ids = yield this.#prompt(conversation, options);
    if (!adaptToMaxLength || ids.length <= this.#maxLength) return ids;
    const numSystem = conversation[0]?.role === SYSTEM ? 1 : 0;
    // Contexts that begin at a user's turn, from the one with the most turns; the last turn always stays.
    const starts = conversation.flatMap(({ role }, index) =>
      role === USER && index > numSystem ? [index] : [],
    );
    const lastTurn = conversation.length - 1;
    if (lastTurn > numSystem && starts.at(-1) !== lastTurn) starts.push(lastTurn);
    const from = (start: number): Prompt =>
      this.#prompt([...conversation.slice(0, numSystem), ...conversation.slice(start)], options);
    // Fewer turns never make it longer: the first start that fits, by bisection.
    let [low, high] = [0, starts.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const shorter = yield from(starts[middle] as number);
      if (shorter.length > this.#maxLength) low = middle + 1;
      else {
        high = middle;
        ids = shorter;
      }
    }
    if (ids.length <= this.#maxLength) return ids;
    const last = yield from(starts.at(-1) ?? numSystem);
    throw new AtbError('REQUEST_INVALID', {
      field: 'messages',
      expected: `a last turn of at most ${this.#maxLength} tokens`,
      found: `${last.length} tokens`,
    });
  }

  #prompt(messages: readonly ChatMessage[], options: ChatTemplateOptions): Prompt {
    if (options.allowSpecialTokens)
      return { text: this.renderChatTemplate(messages, options), mark: undefined };
    const { tools, documents, chatTemplateKwargs } = options;
    const mark = unusedMark({ messages, tools, documents, chatTemplateKwargs });
    const text = this.#render(messages, options, (part) => this.#tokenizer.markSpecials(part, mark));
    return { text, mark };
  }

  #encode({ text, mark }: Prompt): number[] {
    const addSpecialTokens = this.#isOpened(text);
    return mark === undefined
      ? this.#tokenizer.encode(text, { addSpecialTokens })
      : this.#tokenizer.encodeMarked(text, mark, addSpecialTokens);
  }

  #encodeAsync({ text, mark }: Prompt): Promise<number[]> {
    const addSpecialTokens = this.#isOpened(text);
    return mark === undefined
      ? this.#tokenizer.encodeAsync(text, { addSpecialTokens })
      : this.#tokenizer.encodeMarkedAsync(text, mark, addSpecialTokens);
  }

  /** Whether the tokenizer puts before a dialogue what it puts before texts. */
  #isOpened(text: string): boolean {
    const { bos_token: bos } = this.#tokenizer.namedTokens;
    return this.#opensDialogues && (bos === undefined || !text.startsWith(bos));
  }

  #render(
    messages: readonly ChatMessage[],
    options: ChatTemplateOptions,
    mapText: (text: string) => string,
  ): string {
    checkConversation(messages);
    const { continueFinalMessage = false, tools, documents, chatTemplateKwargs = {} } = options;
    const { addGenerationPrompt = !continueFinalMessage } = options;
    if (continueFinalMessage && addGenerationPrompt)
      refuseRequest('addGenerationPrompt', 'false where the last message goes on', true);
    checkKwargs(chatTemplateKwargs);
    const template = this.#template(
      tools !== undefined && this.#sources.has('tool_use') ? 'tool_use' : 'default',
      this.#ofParts.find(({ type }) => messages.some((message) => hasPart(message, type))),
    );
    const copy = (field: string, value: unknown): unknown => copyJson(value, field, mapText);
    const variables = {
      ...this.#tokenizer.namedTokens,
      ...(copy('chatTemplateKwargs', chatTemplateKwargs) as object),
      tools: copy('tools', tools ?? null),
      documents: copy('documents', documents ?? null),
      add_generation_prompt: addGenerationPrompt,
    };
    const copied = (message: ChatMessage, index: number) =>
      copy(`messages[${index}]`, message) as ChatMessage;
    // What stands in for a part is put in last: it is none of the user's words.
    const joined = (message: ChatMessage, index: number) =>
      joinParts(copied(message, index), index, this.#partTexts);
    const shown = (message: ChatMessage, index: number) => {
      const form = template.formOf(message.role);
      if (form === 'parts') return inParts(copied(message, index));
      return form === 'text' && isJoinable(message, this.#partTexts)
        ? joined(message, index)
        : copied(message, index);
    };
    const given = (continueFinalMessage ? tagLast(messages) : messages).map(forTemplates);
    const written = template.render({ ...variables, messages: given.map(shown) }, () => ({
      ...variables,
      messages: given.map(joined),
    }));
    const text = this.#lead + written;
    return continueFinalMessage ? cutAtTag(text) : text;
  }

  /** `ofPart`: one that takes its place. */
  #template(ofFiles: string, ofPart?: { readonly type: string; readonly source: string }): ChatTemplate {
    const name = ofPart ? `for ${ofPart.type}` : ofFiles;
    const known = this.#compiled.get(name);
    if (known !== undefined) return known;
    const found = ofPart ? { name, source: ofPart.source } : this.#sources.get(name);
    if (found === undefined)
      throw new AtbError('TEMPLATE_MISSING', { looked: this.#looked, names: [...this.#sources.keys()] });
    const source = Object.entries(this.#templateTexts).reduce(
      (all, [text, token]) => all.replaceAll(text, () => token),
      found.source,
    );
    const template = new ChatTemplate(source, found.name);
    this.#compiled.set(name, template);
    return template;
  }
}
