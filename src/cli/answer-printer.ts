import type { PAAnswer } from '../engine/pa-options.js';

/**
 * Prints questions, answers and token counts as the original does, answer by answer in the order of the prompts. What is
 * streamed is printed as it comes for the first answer that is not finished, and kept for those after it: so a stream and
 * a finished result make the same text.
 */
export class AnswerPrinter {
  readonly #write: (text: string) => void;
  readonly #kept = new Map<number, { readonly prompt: string; text: string }>();
  readonly #finished = new Map<number, PAAnswer>();
  #index = 0;
  /** Characters of the current answer that stand there already; undefined before its question does. */
  #written: number | undefined;

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  /** More of an answer. */
  readonly text = (index: number, text: string, prompt: string): void => {
    const kept = this.#kept.get(index) ?? { prompt, text: '' };
    this.#kept.set(index, { prompt, text: kept.text + text });
    if (index === this.#index) this.#printKept();
  };

  /** An answer that is complete, whether or not it was streamed. */
  readonly answer = (answer: PAAnswer): void => {
    this.#finished.set(answer.index, answer);
    for (let next = this.#finished.get(this.#index); next; next = this.#finished.get(this.#index)) {
      this.#printRest(next);
      this.#kept.delete(this.#index);
      this.#finished.delete(this.#index);
      this.#index++;
      this.#written = undefined;
    }
    this.#printKept();
  };

  #printKept(): void {
    const kept = this.#kept.get(this.#index);
    if (kept !== undefined) this.#printUpTo(kept.text, kept.prompt);
  }

  #printRest({ index, prompt, text, tokens, error }: PAAnswer): void {
    this.#printUpTo(text ?? `[${tokens.join(', ')}]`, prompt);
    if (error) this.#write(`\nError[${index}]: ${error.message}`);
    this.#write(`\nGenerate[${index}] token num: (${index}, ${tokens.length})\n\n`);
  }

  #printUpTo(text: string, prompt: string): void {
    if (this.#written === undefined)
      this.#write(`Question[${this.#index}]: ${prompt}\nAnswer[${this.#index}]: `);
    this.#write(text.slice(this.#written ?? 0));
    this.#written = text.length;
  }
}
