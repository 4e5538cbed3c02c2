import Table from 'cli-table3';
import type { PAMetrics, PAResult } from '../engine/pa-runner.js';
import type { ProfileRow } from '../runner/profiler.js';
import { AnswerPrinter } from './answer-printer.js';
import type { OutputFile } from './output-file.js';

const ms = (value: number) => `${value.toFixed(value < 10 ? 2 : 1)} ms`;
const rate = (value: number) => `${value.toFixed(1)} tokens/s`;
const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

/** The value below which `share` of the sorted values lie; 0 when there are none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}

/** The figures of a run as a table for a terminal. */
export function metricsTable(m: PAMetrics): string {
  const table = new Table({
    head: ['metric', 'value'],
    style: { head: [], border: [] },
    colAligns: ['left', 'right'],
  });
  // With guesses, a step brings several tokens.
  const latency = m.guesses ? 'latency of a step' : 'per-token latency';
  table.push(
    ['load time', ms(m.loadMs)],
    ['time to first token (p50)', ms(percentile(m.ttftMs, 0.5))],
    [`${latency} (p50)`, ms(percentile(m.decodeStepMs, 0.5))],
    [`${latency} (p99)`, ms(percentile(m.decodeStepMs, 0.99))],
    ['prefill', rate(m.prefillTokens / (sum(m.prefillStepMs) / 1000 || Number.POSITIVE_INFINITY))],
    ['decode', rate(m.decodeTokens / (sum(m.decodeStepMs) / 1000 || Number.POSITIVE_INFINITY))],
    ...guessRows(m),
    ['end to end', ms(m.endToEndMs)],
    ['peak memory', mib(m.peakMemoryBytes)],
    ['kernels', `${m.isa}, ${m.threads} threads`],
  );
  return table.toString();
}

function guessRows({ guesses }: PAMetrics): [string, string][] {
  if (guesses === undefined) return [];
  const { accepted, drafted, speedUp } = guesses;
  return [
    ['right guesses', `${accepted} of ${drafted}`],
    ['decoding faster by them', `${speedUp.toFixed(2)}x`],
  ];
}

/** The benchmark columns of the original's run_pa, one row a run; the header is written once. @throws OUTPUT_UNWRITABLE */
export function appendPerfCsv(file: OutputFile, result: PAResult, maxOutputLength: number): void {
  const columns = [
    'batch_size',
    'input_seq_len',
    'output_seq_len',
    'e2e_time(ms)',
    'prefill_time(ms)',
    'decoder_token_time(ms)',
    'prefill_count',
    'prefill_token_times',
    'decode_token_times',
    'prefill_average_time(ms)',
  ];
  const { metrics: m, answers } = result;
  const list = (times: readonly number[]) => `"${times.map((t) => t.toFixed(2)).join(',')}"`;
  const row = [
    answers.length,
    answers[0]?.promptTokens ?? 0,
    maxOutputLength,
    m.endToEndMs.toFixed(2),
    sum(m.prefillStepMs).toFixed(2),
    (sum(m.decodeStepMs) / Math.max(1, m.decodeStepMs.length)).toFixed(2),
    m.prefillStepMs.length,
    list(m.prefillStepMs),
    list(m.decodeStepMs),
    (sum(m.prefillStepMs) / Math.max(1, m.prefillStepMs.length)).toFixed(2),
  ];
  file.append(`${file.bytes > 0 ? '' : `${columns.join(',')}\n`}${row.join(',')}\n`);
}

/**
 * The profiled operations as a table. The bound is that of memory, which data in a processor's cache need not obey: where
 * an operation beats it, the table says so.
 */
export function profileTable(rows: readonly ProfileRow[]): string {
  const table = new Table({
    head: ['phase', 'operation', 'calls', 'total', 'share', 'read', 'arithmetic', 'of the bound'],
    style: { head: [], border: [] },
    colAligns: ['left', 'left', 'right', 'right', 'right', 'right', 'right', 'right'],
  });
  for (const { phase, name, type, calls, totalMs, share, bytesPerSecond, flops, ofBound } of rows) {
    table.push([
      phase,
      name === type ? name : `${name} (${type})`,
      calls,
      ms(totalMs),
      `${(100 * share).toFixed(1)} %`,
      bytesPerSecond === undefined ? '' : `${(bytesPerSecond / 1e9).toFixed(2)} GB/s`,
      flops === undefined ? '' : `${(flops / 1e9).toFixed(1)} GFLOP/s`,
      boundText(ofBound),
    ]);
  }
  const isCached = rows.some(({ ofBound = 0 }) => ofBound > 1);
  return `${table.toString()}${isCached ? `\n${CACHED}: read from the processor's cache, faster than memory, whose speed is the bound` : ''}`;
}

const CACHED = 'in cache';

function boundText(ofBound: number | undefined): string {
  if (ofBound === undefined) return '';
  return ofBound > 1 ? CACHED : `${(100 * ofBound).toFixed(0)} %`;
}

/** Questions, answers and token counts as the original prints them. */
export function printAnswers({ answers }: PAResult, write: (text: string) => void): void {
  const printer = new AnswerPrinter(write);
  for (const answer of answers) printer.answer(answer);
}

/** Answers and figures as one JSON object, with the rows of a profile where there is one. */
export function resultToJson(result: PAResult, profile?: readonly ProfileRow[]): string {
  return JSON.stringify(
    profile === undefined ? result : { ...result, profile },
    (_, value) => (ArrayBuffer.isView(value) ? Array.from(value as Int32Array) : value),
    2,
  );
}
