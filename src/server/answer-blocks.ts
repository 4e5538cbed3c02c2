import { type AnswerEvent, type ToolCall, wholeEvents } from '../answers/answer-event.js';

/** A part of an answer: APIs that name parts open each, fill it, and close it. */
export type BlockKind = 'text' | 'reasoning' | 'tool-call';

export type BlockEvent =
  | {
      readonly type: 'open';
      readonly index: number;
      readonly kind: BlockKind;
      readonly call?: Omit<ToolCall, 'arguments'>;
    }
  | { readonly type: 'delta'; readonly index: number; readonly kind: BlockKind; readonly text: string }
  | {
      readonly type: 'close';
      readonly index: number;
      readonly kind: BlockKind;
      /** Whether it is a call that cannot be read, or the answer is cut in it. */
      readonly hasFailed: boolean;
    };

/** Turns the events of an answer into blocks: each is open as long as it goes on. */
export class AnswerBlocks {
  #index = -1;
  #open: BlockKind | undefined;

  take(events: readonly AnswerEvent[]): BlockEvent[] {
    return events.flatMap((event) => this.#take(event));
  }

  /** Closes what is open: where the answer was cut, half-way. */
  end(isCut = false): BlockEvent[] {
    return this.#close(isCut);
  }

  #close(hasFailed: boolean): BlockEvent[] {
    const kind = this.#open;
    this.#open = undefined;
    return kind === undefined ? [] : [{ type: 'close', index: this.#index, kind, hasFailed }];
  }

  #take(event: AnswerEvent): BlockEvent[] {
    switch (event.kind) {
      case 'call-start': {
        const { name, id } = event;
        const before = this.end();
        this.#open = 'tool-call';
        const call = { name, ...(id !== undefined && { id }) };
        return [...before, { type: 'open', index: ++this.#index, kind: 'tool-call', call }];
      }
      case 'call-arguments':
        return [{ type: 'delta', index: this.#index, kind: 'tool-call', text: event.text }];
      case 'tool-call':
      case 'call-failed':
        // Of several calls that are complete at once, all but the last are closed.
        return this.#open === 'tool-call' ? this.#close(event.kind === 'call-failed') : [];
      default: {
        const { kind, text } = event;
        if (this.#open === kind) return [{ type: 'delta', index: this.#index, kind, text }];
        const before = this.end();
        this.#open = kind;
        const index = ++this.#index;
        return [...before, { type: 'open', index, kind }, { type: 'delta', index, kind, text }];
      }
    }
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
  for (const event of wholeEvents(events)) {
    const last = blocks.at(-1);
    const goesOn = event.kind !== 'tool-call' && last?.kind === event.kind;
    if (goesOn) blocks[blocks.length - 1] = { kind: event.kind, text: last.text + event.text };
    else blocks.push(event);
  }
  return blocks;
}
