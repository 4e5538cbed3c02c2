import type { AnswerEvent, ToolCall } from '../answers/answer-event.js';

/** A part of an answer: APIs that name parts open each, fill it, and close it. */
export type BlockKind = 'text' | 'reasoning' | 'tool-call';

export type BlockEvent =
  | { readonly type: 'open'; readonly index: number; readonly kind: BlockKind; readonly call?: ToolCall }
  | { readonly type: 'delta'; readonly index: number; readonly kind: BlockKind; readonly text: string }
  | { readonly type: 'close'; readonly index: number; readonly kind: BlockKind };

/** Turns the events of an answer into blocks: text and reasoning are open as long as they go on. */
export class AnswerBlocks {
  #index = -1;
  #open: BlockKind | undefined;

  take(events: readonly AnswerEvent[]): BlockEvent[] {
    return events.flatMap((event) => this.#take(event));
  }

  /** Closes what is open. */
  end(): BlockEvent[] {
    if (this.#open === undefined) return [];
    const closed: BlockEvent = { type: 'close', index: this.#index, kind: this.#open };
    this.#open = undefined;
    return [closed];
  }

  #take(event: AnswerEvent): BlockEvent[] {
    if (event.kind === 'tool-call') {
      const { call } = event;
      const before = this.end();
      const index = ++this.#index;
      return [
        ...before,
        { type: 'open', index, kind: 'tool-call', call },
        { type: 'delta', index, kind: 'tool-call', text: call.arguments },
        { type: 'close', index, kind: 'tool-call' },
      ];
    }
    const { kind, text } = event;
    if (this.#open === kind) return [{ type: 'delta', index: this.#index, kind, text }];
    const before = this.end();
    this.#open = kind;
    const index = ++this.#index;
    return [...before, { type: 'open', index, kind }, { type: 'delta', index, kind, text }];
  }
}

/** A block as a whole. */
export type WholeBlock =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'reasoning'; readonly text: string }
  | { readonly kind: 'tool-call'; readonly call: ToolCall };

/** The blocks of an answer that is there as a whole. */
export function wholeBlocks(events: readonly AnswerEvent[]): WholeBlock[] {
  const blocks: WholeBlock[] = [];
  for (const event of events) {
    const last = blocks.at(-1);
    const goesOn = event.kind !== 'tool-call' && last?.kind === event.kind;
    if (goesOn) blocks[blocks.length - 1] = { kind: event.kind, text: last.text + event.text };
    else blocks.push(event);
  }
  return blocks;
}
