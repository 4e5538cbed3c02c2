import type { Phase } from '../common-op-builders/index.js';

import { DTYPE_BYTES, type FloatDType } from '../dtype.js';
import type { GraphSpec } from '../graph/atb-graph.js';
import type { NodeTiming } from '../native/index.js';
import type { TensorRef } from '../weights/weights.js';
import { products } from './weight-layouts.js';

/** The operations of one kind in one phase, over all layers and steps. */
export interface ProfileRow {
  readonly phase: Phase;
  /** Last part of the path: `gate_up`. */
  readonly name: string;
  readonly type: string;
  readonly calls: number;
  readonly totalMs: number;
  /** Of the phase's time. */
  readonly share: number;
  /** Of products: weights read, and arithmetic done, per second. */
  readonly bytesPerSecond?: number;
  readonly flops?: number;
}

/** Sizes of a model's weights by name, as the engine stores them. */
export function matrixSizes(weights: readonly TensorRef[], dtype: FloatDType): Map<string, MatrixSize> {
  return new Map(
    weights.map(({ name, shape, quantized }) => {
      if (quantized?.role !== 'weight') return [name, { shape, bytes: DTYPE_BYTES[dtype] }];
      return [name, { shape: [shape[0] ?? 0, quantized.inFeatures], bytes: quantized.bits / 8 }];
    }),
  );
}

/** A matrix as the engine stores it. */
export interface MatrixSize {
  readonly shape: readonly number[];
  /** Of one element; integers of 4 bits count half. */
  readonly bytes: number;
}

interface Sum {
  phase: Phase;
  name: string;
  type: string;
  calls: number;
  totalMs: number;
  bytes: number;
  operations: number;
}

interface TraceEvent extends NodeTiming {
  readonly phase: Phase;
}

/** Adds up the times of steps that ran with `profile`. */
export class Profiler {
  readonly #sums = new Map<string, Sum>();
  readonly #events: TraceEvent[] = [];
  readonly #matrices: Readonly<Record<Phase, ReadonlyMap<string, MatrixSize>>>;

  constructor(graphs: Readonly<Record<Phase, GraphSpec>>, sizes: ReadonlyMap<string, MatrixSize>) {
    const of = (spec: GraphSpec) =>
      new Map(
        products(spec).flatMap(({ path, matrix }) => {
          const size = sizes.get(matrix);
          return size ? [[path, size] as const] : [];
        }),
      );
    this.#matrices = {
      prefill: of(graphs.prefill),
      decode: of(graphs.decode),
      splitfuse: of(graphs.splitfuse),
    };
  }

  /** `tokens` and `sequences`: rows of the step's products; the head's are the sequences. */
  add(phase: Phase, tokens: number, sequences: number, timings: readonly NodeTiming[]): void {
    for (const timing of timings) {
      const name = timing.name.split('/').at(-1) ?? timing.name;
      const key = `${phase} ${name}`;
      const sum = this.#sums.get(key) ?? {
        phase,
        name,
        type: timing.type,
        calls: 0,
        totalMs: 0,
        bytes: 0,
        operations: 0,
      };
      this.#sums.set(key, sum);
      sum.calls++;
      sum.totalMs += timing.durationMs;
      const matrix = this.#matrices[phase].get(timing.name);
      if (matrix) {
        const elements = matrix.shape.reduce((product, size) => product * size, 1);
        sum.bytes += elements * matrix.bytes;
        sum.operations += 2 * elements * (timing.name.includes('/') ? tokens : sequences);
      }
      this.#events.push({ ...timing, phase });
    }
  }

  /** Forgets what was added, such as warm-up steps. */
  clear(): void {
    this.#sums.clear();
    this.#events.length = 0;
  }

  /** Slowest first, phase by phase. */
  rows(): ProfileRow[] {
    const total = new Map<Phase, number>();
    for (const { phase, totalMs } of this.#sums.values()) total.set(phase, (total.get(phase) ?? 0) + totalMs);
    return [...this.#sums.values()]
      .sort((a, b) => a.phase.localeCompare(b.phase) || b.totalMs - a.totalMs)
      .map(({ bytes, operations, ...row }) => ({
        ...row,
        share: row.totalMs / (total.get(row.phase) as number),
        ...(bytes > 0 && {
          bytesPerSecond: (bytes * 1000) / row.totalMs,
          flops: (operations * 1000) / row.totalMs,
        }),
      }));
  }

  /** For chrome://tracing and Perfetto: one complete event an operation, in microseconds. */
  chromeTrace(): { readonly traceEvents: readonly object[] } {
    const traceEvents = this.#events.map(({ name, type, phase, startMs, durationMs }) => ({
      name,
      cat: phase,
      ph: 'X',
      ts: startMs * 1000,
      dur: durationMs * 1000,
      pid: 1,
      tid: 1,
      args: { type },
    }));
    return { traceEvents };
  }
}
