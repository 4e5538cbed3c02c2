import { runWithin, TimeLimitExceeded } from '../bounded.js';
import { AtbError } from '../errors.js';
import { Budget, TemplateExcess } from './jinja/budget.js';
import { Interpreter } from './jinja/interpreter.js';
import type { Statement } from './jinja/nodes.js';
import { parse } from './jinja/parser.js';
import {
  Dict,
  fromPlain,
  List,
  Parts,
  PartsPrinted,
  TemplateRefusal,
  TemplateRuntimeError,
  type Value,
} from './jinja/values.js';

/** One turn. Templates see further fields too (`tool_calls`, `reasoning_content`, …). */
export interface ChatMessage {
  readonly role: string;
  readonly content?: unknown;
  readonly [field: string]: unknown;
}

export interface ChatTemplateLimits {
  /** Milliseconds to compile, and milliseconds to render. Default 500. */
  readonly limitMs?: number | undefined;
}

/** What a template is given besides Jinja's functions. */
export interface TemplateVariables {
  readonly messages?: readonly unknown[];
  readonly [name: string]: unknown;
}

/** The longest real templates have some 40 KB. */
const MAX_SOURCE_LEN = 256 * 2 ** 10;
/** A real template compiles in 1 ms and renders in 0.5 ms. */
const DEFAULT_LIMIT_MS = 500;
/** Characters of input for which a rendering gets another millisecond. */
const INPUT_PER_MS = 32_768;
const MAX_REASON_LEN = 500;
/** A text that no template has of its own. */
const PROBE = 'fjord7quark';
const ROLES = ['system', 'user', 'assistant', 'tool', 'developer'];

type MessageForm = 'text' | 'parts';

/**
 * A Jinja chat template, compiled once. It renders what `transformers` renders with Python's Jinja, its sandbox and its
 * extensions; where Python has an error, this has one. Templates come with checkpoints, so none is trusted: whatever
 * one does, it ends within a second with a text or a TEMPLATE_* error, within bounded memory.
 */
export class ChatTemplate {
  readonly #name: string;
  readonly #program: readonly Statement[];
  readonly #limitMs: number;
  readonly #forms = new Map<string, MessageForm | undefined>();

  /** `name` says in messages where the template is from. @throws TEMPLATE_INVALID, TEMPLATE_LIMIT */
  constructor(source: string, name: string, { limitMs = DEFAULT_LIMIT_MS }: ChatTemplateLimits = {}) {
    this.#name = name;
    this.#limitMs = limitMs;
    if (source.length > MAX_SOURCE_LEN) this.#exceed('characters of its text', MAX_SOURCE_LEN);
    this.#program = this.#guarded(limitMs, 'TEMPLATE_INVALID', () => parse(source));
  }

  /**
   * Renders with these variables. A message's content in parts is given as it is; where the template cannot use it, or
   * would print it, `joinParts` gives the messages with the parts' texts in its place.
   * @throws TEMPLATE_REFUSED when the template raises, TEMPLATE_FAILED, TEMPLATE_LIMIT
   */
  render(variables: TemplateVariables, joinParts?: () => TemplateVariables, now = new Date()): string {
    if (joinParts === undefined || !variables.messages?.some(hasParts)) return this.#render(variables, now);
    try {
      return this.#render(variables, now);
    } catch (error) {
      const isForTexts =
        error instanceof PartsPrinted ||
        (error instanceof AtbError &&
          (error.code === 'TEMPLATE_FAILED' || error.code === 'TEMPLATE_REFUSED'));
      if (!isForTexts) throw error;
      return this.#render(joinParts(), now);
    }
  }

  /**
   * In which form a template shows messages of a role, where it silently leaves out, or cannot take, those of the other: as a
   * text, or as a list of parts. Undefined where it shows both, or neither (llava-1.5-hf's loops over parts, and a text has
   * none; Qwen3's takes a list for an empty text).
   */
  formOf(role: string): MessageForm | undefined {
    if (!ROLES.includes(role)) return undefined;
    if (!this.#forms.has(role)) this.#forms.set(role, this.#findForm(role));
    return this.#forms.get(role);
  }

  #findForm(role: string): MessageForm | undefined {
    const isShown = (content: unknown): boolean => {
      const asked = { role: 'user', content: 'x' };
      const probe = { role, content };
      const messages = role === 'user' ? [probe] : role === 'system' ? [probe, asked] : [asked, probe];
      try {
        return this.#render({ messages, add_generation_prompt: true }, new Date()).includes(PROBE);
      } catch {
        return false;
      }
    };
    const isText = isShown(PROBE);
    if (isText === isShown([{ type: 'text', text: PROBE }])) return undefined;
    // Results of tools may be looked for in calls, which a probe lacks: they are as what the user says.
    if (role === 'tool' && !isText) return this.formOf('user');
    return isText ? 'text' : 'parts';
  }

  #render(variables: TemplateVariables, now: Date): string {
    const inputSize = JSON.stringify(variables)?.length ?? 0;
    const limitMs = this.#limitMs + inputSize / INPUT_PER_MS;
    return this.#guarded(limitMs, 'TEMPLATE_FAILED', () => {
      const values = Object.entries(variables).map(
        ([name, value]) => [name, name === 'messages' ? messagesOf(value) : fromPlain(value)] as const,
      );
      return new Interpreter(new Budget(inputSize), now).run(this.#program, values);
    });
  }

  #guarded<T>(limitMs: number, code: 'TEMPLATE_INVALID' | 'TEMPLATE_FAILED', run: () => T): T {
    try {
      return runWithin(limitMs, run);
    } catch (error) {
      if (error instanceof AtbError || error instanceof PartsPrinted) throw error;
      if (error instanceof TimeLimitExceeded) this.#exceed('milliseconds', Math.ceil(limitMs), error);
      if (error instanceof TemplateExcess) this.#exceed(error.what, error.limit, error);
      // The engine's own limit, the call stack, should the others let something through.
      if (error instanceof RangeError) this.#exceed('levels of nesting', 0, error);
      const reason = (error instanceof Error ? error.message : String(error)).slice(0, MAX_REASON_LEN);
      if (error instanceof TemplateRefusal)
        throw new AtbError('TEMPLATE_REFUSED', { source: this.#name, reason }, { cause: error });
      throw new AtbError(code, { source: this.#name, reason }, { cause: error });
    }
  }

  #exceed(what: string, limit: number, cause?: unknown): never {
    throw new AtbError('TEMPLATE_LIMIT', { source: this.#name, what, limit }, { cause });
  }
}

function hasParts(message: unknown): boolean {
  return (
    typeof message === 'object' && message !== null && 'content' in message && Array.isArray(message.content)
  );
}

function messagesOf(messages: unknown): Value {
  const found = fromPlain(messages);
  if (!(found instanceof List)) throw new TemplateRuntimeError('messages must be a list');
  for (const message of found.items) {
    const content = message instanceof Dict ? message.get('content') : undefined;
    if (message instanceof Dict && content instanceof List) message.set('content', new Parts(content.items));
  }
  return found;
}
