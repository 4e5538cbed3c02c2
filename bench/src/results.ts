export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

const spread = (values: readonly number[]): Spread => ({
  min: Math.min(...values),
  median: median(values),
  max: Math.max(...values),
});

/** One quantity, measured in turns on our engine and on the peer. */
export class Sample {
  readonly ours: Spread;
  readonly peer: Spread | undefined;
  /** Ours over theirs, round by round: drift of the machine cancels. */
  readonly ratio: Spread | undefined;

  constructor(
    private readonly oursValues: readonly number[],
    private readonly peerValues?: readonly number[],
    /** Whether less or more is better. */
    readonly better: 'less' | 'more' = 'less',
  ) {
    this.ours = spread(oursValues);
    this.peer = peerValues && spread(peerValues);
    this.ratio =
      peerValues && spread(oursValues.map((value, round) => value / (peerValues[round] as number)));
  }

  map(convert: (value: number) => number, better: 'less' | 'more'): Sample {
    return new Sample(this.oursValues.map(convert), this.peerValues?.map(convert), better);
  }
}

export interface Row {
  readonly model: string;
  readonly what: string;
  readonly unit: string;
  readonly sample: Sample;
  /** What the machine's limits allow, in the row's unit. */
  readonly bound?: number | undefined;
}

const number = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
const range = ({ min, median, max }: Spread): string =>
  min === max ? number(median) : `${number(median)} (${number(min)}-${number(max)})`;

/** The rows as a Markdown table. */
export function table(rows: readonly Row[]): string {
  const lines = rows.map(({ model, what, unit, sample: { ours, peer, ratio }, bound }) => [
    model,
    what,
    `${range(ours)} ${unit}`,
    peer ? `${range(peer)} ${unit}` : '',
    ratio ? `${range(ratio)}` : '',
    bound ? `${((100 * ours.median) / bound).toFixed(0)} %` : '',
  ]);
  const head = ['model', 'workload', 'atb-models', 'peer', 'ratio', 'of the bound'];
  const widths = head.map((title, i) =>
    Math.max(title.length, ...lines.map((line) => (line[i] as string).length)),
  );
  const print = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i] as number)).join(' | ')} |`;
  return [print(head), print(widths.map((width) => '-'.repeat(width))), ...lines.map(print)].join('\n');
}
