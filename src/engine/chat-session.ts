import { type AnswerFormat, answerFormat, answerReader } from '../answers/answer-reader.js';
import { AtbError, refuseRequest } from '../errors.js';
import type { ExpandedPrompt } from '../media/index.js';
import { type ArgumentKind, OBJECT, requireArgument } from '../require-argument.js';
import { checkOptions } from '../runner/options.js';
import type { ChatMessage } from '../tokenizer/chat-template.js';
import type { Answerer } from './answerer.js';
import type { GenerationChunk } from './generation.js';
import type { ChatSessionOptions, StreamOptions } from './llm-options.js';
import { CHAT_SESSION_OPTIONS } from './options.js';

/** Of the model's length, what a dialogue keeps when it has become too long. */
const KEPT_SHARE = 0.5;
/** Tokens that are kept free for an answer without `maxTokens`, as a share of the model's length. */
const ANSWER_SHARE = 0.25;

const ANSWERER: ArgumentKind = {
  expected: 'an LLM, as `await LLM.load(directory)` gives it; `llm.chat()` begins a session',
  holds: OBJECT.holds,
};

/**
 * A dialogue with a model. It keeps all messages; what the cache holds of earlier turns is not computed again. Where a
 * model answers in channels (gpt-oss), pieces have the marks of these, and messages the text of the answer alone.
 *
 * When the messages and the room for an answer exceed the model's length, the oldest turns after the system message are
 * left out of the prompt, whole turns from one user message to the next, until half of the length is free: so this happens
 * seldom, and the turns between compute only what is new. The last user message is never left out.
 */
export class ChatSession {
  readonly #llm: Answerer;
  readonly #system: readonly ChatMessage[];
  readonly #messages: ChatMessage[];
  /** How many of the messages are left out of prompts by now. */
  #leftOut = 0;
  #isBusy = false;

  /** @throws REQUEST_INVALID, OPTION_UNKNOWN */
  constructor(llm: Answerer, options: ChatSessionOptions = {}) {
    checkOptions(options, CHAT_SESSION_OPTIONS, 'ChatSessionOptions');
    const { system, messages = [] } = options;
    requireArgument('new ChatSession', 'the model', ANSWERER, llm);
    this.#llm = llm;
    this.#system = system === undefined ? [] : [{ role: 'system', content: system }];
    this.#messages = [...messages];
  }

  /** Everything that was said, with the system message. */
  get messages(): readonly ChatMessage[] {
    return [...this.#system, ...this.#messages];
  }

  /** How many messages are not part of the prompt any more. */
  get leftOut(): number {
    return this.#leftOut;
  }

  /** Forgets everything but the system message. */
  reset(): void {
    this.#messages.length = 0;
    this.#leftOut = 0;
  }

  /**
   * Says something and streams the answer. An answer that is broken off stays in the history as far as it came; a message
   * whose answer failed does not, so that it can be sent again.
   * @throws what `LLM.start` throws; REQUEST_INVALID while another answer is under way
   */
  async *send(
    message: string | ChatMessage,
    options: StreamOptions = {},
  ): AsyncGenerator<GenerationChunk, void, undefined> {
    if (this.#isBusy) refuseRequest('send', 'called when the answer before has ended', 'an answer under way');
    this.#isBusy = true;
    this.#messages.push(typeof message === 'string' ? { role: 'user', content: message } : message);
    const length = this.#messages.length;
    let answer = '';
    // An answer of which nothing has come when it is broken off is none.
    let [isOver, hasFailed] = [false, false];
    const format = answerFormat(this.#llm.text.inputBuilder?.templateSource ?? '');
    try {
      const { tokens, inserts } = await this.#prompt(options);
      const marks = format.hasChannels && { skipSpecialTokens: false };
      for await (const chunk of await this.#llm.start(tokens, { ...marks, ...options, inserts })) {
        answer += chunk.text;
        yield chunk;
      }
      isOver = true;
    } catch (error) {
      hasFailed = !(error instanceof AtbError && error.code === 'REQUEST_ABORTED');
      throw error;
    } finally {
      if (this.#messages.length === length) {
        const content = format.hasChannels ? textOf(answer, format) : answer;
        if (isOver || (answer !== '' && !hasFailed)) this.#messages.push({ role: 'assistant', content });
        else this.#messages.pop();
      }
      this.#isBusy = false;
    }
  }

  /** The whole answer as text. */
  async ask(message: string | ChatMessage, options: StreamOptions = {}): Promise<string> {
    let answer = '';
    for await (const { text } of this.send(message, options)) answer += text;
    return answer;
  }

  /** The messages as a prompt, shortened when they have become too long. */
  async #prompt({ maxTokens, template }: StreamOptions): Promise<ExpandedPrompt> {
    const { maxModelLen } = this.#llm;
    const encode = (leftOut: number) =>
      this.#llm.prepare([...this.#system, ...this.#messages.slice(leftOut)], template);
    let prompt = await encode(this.#leftOut);
    const answerLen = maxTokens ?? Math.floor(maxModelLen * ANSWER_SHARE);
    if (prompt.tokens.length + answerLen <= maxModelLen) return prompt;
    const limit = Math.min(maxModelLen * KEPT_SHARE, maxModelLen - (maxTokens ?? 0));
    let leftOut = this.#leftOut;
    while (prompt.tokens.length > limit) {
      const next = this.#messages.findIndex(({ role }, index) => index > leftOut && role === 'user');
      if (next < 0) break;
      leftOut = next;
      prompt = await encode(leftOut);
    }
    this.#leftOut = leftOut;
    return prompt;
  }
}

/** What of an answer is neither reasoning nor a mark. */
function textOf(answer: string, format: AnswerFormat): string {
  const reader = answerReader(format, { mayCall: false });
  const events = [...reader.push(answer), ...reader.end()];
  return events.map((event) => (event.kind === 'text' ? event.text : '')).join('');
}
