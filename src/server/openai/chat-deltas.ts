import type { AnswerEvent } from '../../answers/answer-event.js';
import type { AnswerReader } from '../../answers/answer-reader.js';
import type { GenerationResult } from '../../engine/generation.js';
import { finishReasonOf, newId } from './answers.js';

/** Why answers with calls end, by whether these are called functions, as before there were tools. */
export const reasonOfCalls = (isLegacy: boolean): string => (isLegacy ? 'function_call' : 'tool_calls');

/** One streamed answer: what its chunks bring. */
export class ChatDeltas {
  /** Reasoning so far. */
  thoughts = '';
  readonly #reader: AnswerReader;
  readonly #isLegacy: boolean;
  #calls = 0;
  #hasFailed = false;

  constructor(reader: AnswerReader, isLegacy: boolean) {
    this.#reader = reader;
    this.#isLegacy = isLegacy;
  }

  push(text: string): object[] {
    return this.#reader.push(text).flatMap((event) => this.#deltas(event));
  }

  end(): object[] {
    return this.#reader.end().flatMap((event) => this.#deltas(event));
  }

  /** Whoever cut a call has nothing to call. */
  finishReason(result: GenerationResult): string {
    const reason = finishReasonOf(result);
    const isCut = this.#hasFailed && reason === 'length';
    return this.#calls > 0 && !isCut ? reasonOfCalls(this.#isLegacy) : reason;
  }

  #deltas(event: AnswerEvent): object[] {
    switch (event.kind) {
      case 'text':
        return [{ content: event.text }];
      case 'reasoning':
        this.thoughts += event.text;
        return [{ reasoning_content: event.text }];
      case 'call-start': {
        const { name, id = newId('call_') } = event;
        this.#calls++;
        return [this.#ofCall({ name, arguments: '' }, { id, type: 'function' })];
      }
      case 'call-arguments':
        return [this.#ofCall({ arguments: event.text })];
      case 'call-failed':
        this.#hasFailed = true;
        return [];
      case 'tool-call':
        return [];
    }
  }

  #ofCall(part: object, more: object = {}): object {
    if (this.#isLegacy) return { function_call: part };
    return { tool_calls: [{ index: this.#calls - 1, ...more, function: part }] };
  }
}
