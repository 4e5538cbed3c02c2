import { AtbError } from '../../errors.js';
import { isObject } from '../../is-object.js';
import type { ChatMessage } from '../../tokenizer/chat-template.js';

/** Until it is joined with another message, or is one of the user's. */
const REMINDER = 'reminder';

/**
 * Renders a conversation, or what is nearest to it of what its template takes. Agents say something as the system in the
 * midst of a conversation, begin with several such messages, and send back calls without a text, or whose arguments are
 * no JSON; many templates raise for it, and others leave out in silence what the system says later. What they take is
 * left as it is.
 * @param textOf the prompt's text
 * @throws what `render` throws for the conversation itself
 */
export async function renderTaken<T>(
  messages: readonly ChatMessage[],
  render: (messages: readonly ChatMessage[]) => Promise<T>,
  textOf: (messages: readonly ChatMessage[]) => string,
): Promise<T> {
  const later = laterSystemTexts(messages);
  const keepsAll = (taken: readonly ChatMessage[]): boolean => {
    if (later.length === 0) return true;
    const text = textOf(taken);
    return later.every((part) => text.includes(part));
  };
  let asItIs: () => T;
  try {
    const taken = await render(messages);
    if (keepsAll(messages)) return taken;
    asItIs = () => taken;
  } catch (error) {
    if (!isTemplates(error)) throw error;
    asItIs = () => {
      throw error;
    };
  }
  const eased = joined(asReminders(messages).map(withObjects));
  for (const other of [eased, joined(withoutSystem(eased))]) {
    try {
      const taken = await render(other);
      if (keepsAll(other)) return taken;
    } catch (another) {
      if (!isTemplates(another)) throw another;
    }
  }
  return asItIs();
}

/** What the system says behind the first message. */
function laterSystemTexts(messages: readonly ChatMessage[]): readonly string[] {
  const parts = messages.slice(1).flatMap(({ role, content }) => (role === 'system' ? partsOf(content) : []));
  const texts = parts.map((part) => (isObject(part) ? part.text : part));
  return texts.filter((text) => typeof text === 'string').map((text) => text.trim());
}

const isTemplates = (error: unknown): boolean =>
  error instanceof AtbError && (error.code === 'TEMPLATE_REFUSED' || error.code === 'TEMPLATE_FAILED');

/**
 * What the system says later, where it stands, so that all before it stays in the cache, in the words that Claude Code has
 * for it where there are no such messages.
 */
function asReminders(messages: readonly ChatMessage[]): readonly ChatMessage[] {
  const begin = messages.findIndex(({ role }) => role !== 'system');
  return messages.map((message, at) => {
    if (message.role !== 'system' || at < begin || begin === -1) return message;
    const parts = ['<system-reminder>\n', ...partsOf(message.content), '\n</system-reminder>'];
    return { role: REMINDER, content: contentOf(parts) };
  });
}

/** What the system says first stands with what the user does, as templates of models that know no system have it. */
const withoutSystem = (messages: readonly ChatMessage[]): readonly ChatMessage[] =>
  messages.map((message) => (message.role === 'system' ? { ...message, role: 'user' } : message));

/** A text, although an empty one, and arguments that are a text, as of a function of one. */
function withObjects(given: ChatMessage): ChatMessage {
  const message = { ...given, content: given.content ?? '' };
  const { tool_calls: calls } = given;
  if (!Array.isArray(calls)) return message;
  const withObject = (call: { function: { arguments: unknown } }): object => {
    const { arguments: args } = call.function;
    return typeof args === 'string'
      ? { ...call, function: { ...call.function, arguments: { input: args } } }
      : call;
  };
  return { ...message, tool_calls: calls.map(withObject) };
}

/** Messages of the system, and those of the user, that follow one another are one; a reminder stands with what is before it. */
function joined(messages: readonly ChatMessage[]): readonly ChatMessage[] {
  const taken: ChatMessage[] = [];
  for (const next of messages) {
    const last = taken.at(-1);
    const isReminder = next.role === REMINDER;
    const isSame = last?.role === next.role && (next.role === 'system' || next.role === 'user');
    if (isSame || (isReminder && (last?.role === 'user' || last?.role === 'tool'))) {
      const content = contentOf([...partsOf(last.content), '\n\n', ...partsOf(next.content)]);
      taken[taken.length - 1] = { ...last, content };
    } else taken.push(isReminder ? { ...next, role: 'user' } : next);
  }
  return taken;
}

const partsOf = (content: unknown): readonly unknown[] =>
  Array.isArray(content) ? content : [content ?? ''];

/** A text where all parts are. */
function contentOf(parts: readonly unknown[]): unknown {
  if (parts.every((part) => typeof part === 'string')) return parts.join('');
  return parts.map((part) => (typeof part === 'string' ? { type: 'text', text: part } : part));
}
