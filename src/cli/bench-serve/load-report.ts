import Table from 'cli-table3';
import { percentile } from '../report.js';
import type { LoadRun } from './run-load.js';
import type { RequestRecord } from './stream-request.js';

export interface Percentiles {
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** The figures of a run. Latencies are those of the answers that came to their end. */
export interface LoadReport {
  readonly model: string;
  readonly requests: number;
  readonly succeeded: number;
  /** By reason. */
  readonly failures: Readonly<Record<string, number>>;
  readonly durationMs: number;
  readonly requestsPerSecond: number;
  readonly promptTokens: number;
  readonly outputTokens: number;
  readonly outputTokensPerSecond: number;
  readonly totalTokensPerSecond: number;
  /** From a request to its first text. */
  readonly ttftMs: Percentiles;
  /** Between pieces of text, over all answers. */
  readonly interTokenMs: Percentiles;
  /** Of each answer, from its first text to its last, divided by its further tokens. */
  readonly perTokenMs: Percentiles;
  readonly endToEndMs: Percentiles;
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

function percentilesOf(values: readonly number[]): Percentiles {
  return {
    mean: sum(values) / Math.max(1, values.length),
    p50: percentile(values, 0.5),
    p90: percentile(values, 0.9),
    p99: percentile(values, 0.99),
    max: values.reduce((a, b) => Math.max(a, b), 0),
  };
}

export function loadReport(model: string, { records, durationMs }: LoadRun): LoadReport {
  const ended = records.filter(({ failure }) => failure === undefined);
  const failures: Record<string, number> = {};
  for (const { failure } of records)
    if (failure !== undefined) failures[failure] = (failures[failure] ?? 0) + 1;
  const seconds = durationMs / 1000;
  const promptTokens = sum(ended.map((record) => record.promptTokens));
  const outputTokens = sum(ended.map((record) => record.outputTokens));
  const perToken = ended
    .filter((record) => record.outputTokens > 1)
    .map(({ gapsMs, outputTokens: tokens }) => sum(gapsMs) / (tokens - 1));
  return {
    model,
    requests: records.length,
    succeeded: ended.length,
    failures,
    durationMs,
    requestsPerSecond: ended.length / seconds,
    promptTokens,
    outputTokens,
    outputTokensPerSecond: outputTokens / seconds,
    totalTokensPerSecond: (promptTokens + outputTokens) / seconds,
    ttftMs: percentilesOf(firstTextTimes(ended)),
    interTokenMs: percentilesOf(ended.flatMap(({ gapsMs }) => gapsMs)),
    perTokenMs: percentilesOf(perToken),
    endToEndMs: percentilesOf(ended.map(({ totalMs }) => totalMs)),
  };
}

export const firstTextTimes = (records: readonly RequestRecord[]): number[] =>
  records.flatMap(({ ttftMs }) => ttftMs ?? []);

/** The figures for a terminal. */
export function loadTable(report: LoadReport): string {
  const figures = new Table({
    head: ['what', 'value'],
    style: { head: [], border: [] },
    colAligns: ['left', 'right'],
  });
  figures.push(
    ['answers', `${report.succeeded} of ${report.requests}`],
    ...Object.entries(report.failures).map(([reason, count]) => [`failed: ${reason}`, `${count}`]),
    ['duration', `${(report.durationMs / 1000).toFixed(2)} s`],
    ['requests', `${report.requestsPerSecond.toFixed(2)} /s`],
    ['prompt tokens', `${report.promptTokens}`],
    ['output tokens', `${report.outputTokens}, ${report.outputTokensPerSecond.toFixed(1)} /s`],
    ['all tokens', `${report.totalTokensPerSecond.toFixed(1)} /s`],
  );
  const latencies = new Table({
    head: ['ms', 'mean', 'p50', 'p90', 'p99', 'max'],
    style: { head: [], border: [] },
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right'],
  });
  const rows: Readonly<Record<string, Percentiles>> = {
    'time to first token': report.ttftMs,
    'inter-token latency': report.interTokenMs,
    'time per output token': report.perTokenMs,
    'end to end': report.endToEndMs,
  };
  for (const [what, { mean, p50, p90, p99, max }] of Object.entries(rows))
    latencies.push([what, ...[mean, p50, p90, p99, max].map((value) => value.toFixed(1))]);
  return `${figures.toString()}\n${latencies.toString()}\n`;
}
