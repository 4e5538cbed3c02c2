import type { NodeTiming } from '../native/index.js';

/** When a step passed from JavaScript to the engine and back, in ms of `steadyMs`. */
export interface StepTimes {
  /** Its inputs began to be made. */
  readonly startedMs: number;
  /** The engine was called. */
  readonly calledMs: number;
  /** Its tokens, or logits, had come back. */
  readonly endedMs: number;
}

/** Now, on the clock that the engine's timings are of. */
export const steadyMs = (): number => Number(process.hrtime.bigint()) / 1e6;

/** The lanes of a trace, from the top. */
const LANES = { operations: 1, steps: 2, 'sampler and return': 3, JavaScript: 4 } as const;
type Lane = keyof typeof LANES;

interface Span {
  readonly lane: Lane;
  readonly name: string;
  readonly cat: string;
  readonly startMs: number;
  readonly durationMs: number;
  readonly args: Readonly<Record<string, string>>;
}

/** What happened when, for chrome://tracing and Perfetto. */
export class StepTrace {
  readonly #operations: Span[] = [];
  readonly #around: Span[] = [];
  #lastEndMs: number | undefined;

  /** One step: its operations, and what surrounds them where its times are known. */
  add(phase: string, timings: readonly NodeTiming[], times?: StepTimes): void {
    for (const { name, type, startMs, durationMs } of timings)
      this.#operations.push({ lane: 'operations', name, cat: phase, startMs, durationMs, args: { type } });
    if (times === undefined) return;
    const { startedMs, calledMs, endedMs } = times;
    const span = (lane: Lane, name: string, startMs: number, endMs: number): void => {
      const durationMs = Math.max(0, endMs - startMs);
      this.#around.push({ lane, name, cat: lane, startMs, durationMs, args: { phase } });
    };
    if (this.#lastEndMs !== undefined) span('JavaScript', 'between steps', this.#lastEndMs, startedMs);
    span('JavaScript', 'make inputs', startedMs, calledMs);
    span('steps', phase, calledMs, endedMs);
    const last = timings.at(-1);
    if (last) span('sampler and return', 'sample', last.startMs + last.durationMs, endedMs);
    this.#lastEndMs = endedMs;
  }

  clear(): void {
    this.#operations.length = 0;
    this.#around.length = 0;
    this.#lastEndMs = undefined;
  }

  /** Complete events in microseconds, and the lanes' names. */
  events(): object[] {
    const spans = [...this.#operations, ...this.#around].map(({ lane, startMs, durationMs, ...span }) => ({
      ...span,
      ph: 'X',
      ts: startMs * 1000,
      dur: durationMs * 1000,
      pid: 1,
      tid: LANES[lane],
    }));
    const names = Object.entries(LANES).map(([name, tid]) => ({
      name: 'thread_name',
      ph: 'M',
      pid: 1,
      tid,
      args: { name },
    }));
    return [...spans, ...names];
  }
}
