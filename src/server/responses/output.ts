import type { ToolCall } from '../../answers/answer-event.js';
import type { BlockEvent, BlockKind, WholeBlock } from '../answer-blocks.js';
import { newId } from '../openai/answers.js';
import { type ClientTool, textArgument } from './tools.js';

/** An item of a response's output, in the shape that OpenAI's clients read. */
export type Output = Readonly<Record<string, unknown>> & { readonly id: string };

const textPart = (text: string): object => ({ type: 'output_text', text, annotations: [], logprobs: [] });
const reasoningPart = (text: string): object => ({ type: 'reasoning_text', text });

/** Tools by the names that the model calls them by. */
type Tools = ReadonlyMap<string, ClientTool>;

/** The items of an answer that is there as a whole. What it ends with, where it is cut, is not complete. */
export function outputOf(blocks: readonly WholeBlock[], tools: Tools, isCut: boolean): Output[] {
  return blocks.map((block, i) => {
    if (block.kind === 'tool-call') return callItem(block.call, 'completed', tools);
    const status = isCut && i === blocks.length - 1 ? 'incomplete' : 'completed';
    return block.kind === 'text'
      ? messageItem(newId('msg_'), block.text, status)
      : reasoningItem(newId('rs_'), block.text, status);
  });
}

/** The text of an item that is reasoning; of others nothing. */
export const thoughtsOf = ({ type, content }: Output): string =>
  type === 'reasoning' ? (content as { text: string }[]).map(({ text }) => text).join('') : '';

const messageItem = (id: string, text: string | undefined, status: string): Output => ({
  ...{ id, type: 'message', role: 'assistant', status },
  content: text === undefined ? [] : [textPart(text)],
});

const reasoningItem = (id: string, text: string | undefined, status: string): Output => ({
  ...{ id, type: 'reasoning', summary: [], status },
  content: text === undefined ? [] : [reasoningPart(text)],
});

/** A call of a function, or of a tool that takes a text; a function that there is not is called as the model does. */
function callItem(call: ToolCall, status: string, tools: Tools): Output {
  const { name, namespace, takesText } = tools.get(call.name) ?? { name: call.name, takesText: false };
  const { id: call_id = newId('call_'), arguments: args } = call;
  const called = { call_id, ...(namespace !== undefined && { namespace }), name };
  if (takesText)
    return { id: newId('ctc_'), type: 'custom_tool_call', ...called, input: textArgument(args), status };
  return { id: newId('fc_'), type: 'function_call', ...called, arguments: args, status };
}

/** What is open: an item that grows. */
interface Open {
  readonly item: Output;
  readonly kind: BlockKind;
  text: string;
}

/** The named events by which a streamed response tells of its items, in OpenAI's order. */
export class OutputEvents {
  /** Those that are complete. */
  readonly items: Output[] = [];
  readonly #tools: Tools;
  #open: Open | undefined;

  constructor(tools: Tools) {
    this.#tools = tools;
  }

  take(events: readonly BlockEvent[]): ({ readonly type: string } & Record<string, unknown>)[] {
    return events.flatMap((event) => {
      if (event.type === 'open') return this.#opened(event);
      const open = this.#open as Open;
      const place = { item_id: open.item.id, output_index: this.items.length };
      if (event.type === 'close')
        return this.#closed(open, place, event.hasFailed ? 'incomplete' : 'completed');
      open.text += event.text;
      // A text that stands in JSON is known when that is whole.
      if (isText(open.item)) return [];
      return [{ type: `${names[open.kind]}.delta`, ...place, ...indexOf(open.kind), delta: event.text }];
    });
  }

  #opened({ kind, call }: BlockEvent & { readonly type: 'open' }): ReturnType<OutputEvents['take']> {
    const item =
      kind === 'tool-call'
        ? callItem({ name: '', ...call, arguments: '' }, 'in_progress', this.#tools)
        : kind === 'text'
          ? messageItem(newId('msg_'), undefined, 'in_progress')
          : reasoningItem(newId('rs_'), undefined, 'in_progress');
    this.#open = { item, kind, text: '' };
    const output_index = this.items.length;
    const added = { type: 'response.output_item.added', output_index, item };
    if (kind === 'tool-call') return [added];
    const part = kind === 'text' ? textPart('') : reasoningPart('');
    return [
      added,
      { type: 'response.content_part.added', item_id: item.id, output_index, content_index: 0, part },
    ];
  }

  #closed(open: Open, place: object, status: string): ReturnType<OutputEvents['take']> {
    const { kind, text, item } = open;
    const isCall = kind === 'tool-call';
    const input = isText(item) ? textArgument(text) : undefined;
    const whole: Output = isCall
      ? { ...item, ...(input === undefined ? { arguments: text } : { input }), status }
      : { ...item, content: [kind === 'text' ? textPart(text) : reasoningPart(text)], status };
    const output_index = this.items.length;
    this.items.push(whole);
    this.#open = undefined;
    const done = { type: `${names[kind]}.done`, ...place, ...indexOf(kind) };
    const item_done = { type: 'response.output_item.done', output_index, item: whole };
    if (input !== undefined) {
      const type = 'response.custom_tool_call_input';
      return [
        { type: `${type}.delta`, ...place, delta: input },
        { type: `${type}.done`, ...place, input },
        item_done,
      ];
    }
    if (isCall) return [{ ...done, arguments: text, name: whole.name }, item_done];
    const part = kind === 'text' ? textPart(text) : reasoningPart(text);
    return [
      { ...done, text },
      { type: 'response.content_part.done', ...place, content_index: 0, part },
      item_done,
    ];
  }
}

const isText = ({ type }: Output): boolean => type === 'custom_tool_call';

const names: Readonly<Record<BlockKind, string>> = {
  text: 'response.output_text',
  reasoning: 'response.reasoning_text',
  'tool-call': 'response.function_call_arguments',
};

const indexOf = (kind: BlockKind): object =>
  kind === 'tool-call' ? {} : { content_index: 0, ...(kind === 'text' && { logprobs: [] }) };
