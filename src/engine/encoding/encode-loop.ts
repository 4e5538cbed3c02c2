import { AtbError, requestError } from '../../errors.js';
import type { ModelRunner } from '../../runner/model-runner.js';
import type { EncodedText, WantedRows } from '../../runner/steps.js';

/** What becomes of one text: the wanted rows of its result, [rows, width] in f32. */
export interface EncodedRows {
  readonly data: Float32Array;
  readonly width: number;
}

/** The texts of one caller on their way. Its promise rejects with the first failure, and nothing of it is computed then. */
export class EncodeCall {
  /** What came of each text, in their order. */
  readonly results: Promise<readonly EncodedRows[]>;
  readonly #settle: PromiseWithResolvers<readonly EncodedRows[]>;
  readonly #wake: () => void;
  readonly #waiting: { readonly text: EncodedText; readonly index: number }[] = [];
  readonly #found: EncodedRows[] = [];
  #added = 0;
  #numFound = 0;
  #closed = false;
  #ended = false;

  constructor(wake: () => void) {
    this.#wake = wake;
    this.#settle = withResolvers();
    this.results = this.#settle.promise;
    // Whoever awaits it sees the failure there.
    this.results.catch(() => {});
  }

  get hasEnded(): boolean {
    return this.#ended;
  }

  /** More texts, each of at least one token. Of no effect when the call has failed. */
  add(texts: readonly EncodedText[]): void {
    if (this.#ended) return;
    for (const text of texts) this.#waiting.push({ text, index: this.#added++ });
    this.#wake();
  }

  /** No more texts will come. */
  close(): void {
    this.#closed = true;
    this.#finishWhenDone();
  }

  fail(error: unknown): void {
    this.#ended = true;
    this.#waiting.length = 0;
    this.#settle.reject(error);
  }

  /** The loop's: the next text, if it has at most so many tokens. */
  take(maxTokens: number): { readonly text: EncodedText; readonly index: number } | undefined {
    const [next] = this.#waiting;
    return next && next.text.tokenIds.length <= maxTokens ? this.#waiting.shift() : undefined;
  }

  /** The loop's: what came of a text. */
  found(index: number, rows: EncodedRows): void {
    this.#found[index] = rows;
    this.#numFound++;
    this.#finishWhenDone();
  }

  #finishWhenDone(): void {
    if (this.#ended || !this.#closed || this.#numFound < this.#added) return;
    this.#ended = true;
    this.#settle.resolve(this.#found);
  }
}

/** `Promise.withResolvers`, which Node.js has from 22 on. */
function withResolvers<T>(): PromiseWithResolvers<T> {
  let settle: Omit<PromiseWithResolvers<T>, 'promise'> | undefined;
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  return { promise, ...(settle as NonNullable<typeof settle>) };
}

interface PromiseWithResolvers<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

/**
 * The step loop of encoders: texts of all callers, packed into steps of at most `maxBatchTokens` tokens, or of one text
 * that has more. Callers take turns, so that one with many texts does not keep the others waiting. A text's result does
 * not depend on the others of its step; a step that fails ends the calls that were part of it.
 */
export class EncodeLoop {
  readonly #calls = new Set<EncodeCall>();
  #loop: Promise<void> | undefined;
  #disposed = false;

  constructor(
    private readonly runner: Pick<ModelRunner, 'encode'>,
    private readonly rows: WantedRows,
    private readonly maxBatchTokens: number,
    /** Whether each text counts as many tokens as the longest one of its step. */
    private readonly padsTexts = false,
  ) {}

  /** @throws ENGINE_DISPOSED */
  begin(): EncodeCall {
    if (this.#disposed) throw new AtbError('ENGINE_DISPOSED', { object: 'the engine' });
    const call = new EncodeCall(() => {
      this.#loop ??= Promise.resolve().then(() => this.#run());
    });
    this.#calls.add(call);
    return call;
  }

  /** Ends the calls and waits for the step in flight. Idempotent. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    for (const call of this.#calls) call.fail(new AtbError('ENGINE_DISPOSED', { object: 'the engine' }));
    await this.#loop;
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    for (let batch = this.#nextBatch(); batch.length > 0; batch = this.#nextBatch()) await this.#step(batch);
    this.#loop = undefined;
  }

  #nextBatch(): BatchedText[] {
    const batch: BatchedText[] = [];
    let room = Number.POSITIVE_INFINITY;
    let [total, longest] = [0, 0];
    for (let took = true; took && room > 0; ) {
      took = false;
      for (const call of [...this.#calls]) {
        if (call.hasEnded) this.#calls.delete(call);
        const next = call.take(room);
        if (!next) continue;
        took = true;
        batch.push({ call, ...next });
        const { length } = next.text.tokenIds;
        [total, longest] = [total + length, Math.max(longest, length)];
        room = this.padsTexts ? this.#roomBeside(batch.length, longest) : this.maxBatchTokens - total;
        // The next step begins with the caller after this one.
        this.#calls.delete(call);
        this.#calls.add(call);
      }
    }
    return batch;
  }

  /** Tokens that a further text may have where all count as many as the longest. */
  #roomBeside(texts: number, longest: number): number {
    const each = Math.floor(this.maxBatchTokens / (texts + 1));
    return each < longest ? 0 : each;
  }

  async #step(batch: readonly BatchedText[]): Promise<void> {
    const texts = batch.map(({ text }) => text);
    try {
      const { data, shape } = await this.runner.encode(texts, this.rows);
      const width = shape[1] ?? 0;
      let at = 0;
      for (const { call, text, index } of batch) {
        const end = at + (this.rows === 'all' ? text.tokenIds.length : 1) * width;
        call.found(index, { data: data.slice(at, end), width });
        at = end;
      }
    } catch (error) {
      for (const { call } of batch) call.fail(requestError('encoding', error));
    }
  }
}

interface BatchedText {
  readonly call: EncodeCall;
  readonly text: EncodedText;
  readonly index: number;
}
