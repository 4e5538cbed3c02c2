import type { PatchWindow } from './image/anyres.js';

/** Stands for the row that ends a line, which is not the encoder's. */
export const LINE_END = -1;

/** How many rows a token may be the sum of. */
export const SUMMANDS = 4;

/** Tokens as sums of the rows that an encoder computes of one thing. */
export interface RowShares {
  /** [SUMMANDS][count]: of each token the rows that it is made of; LINE_END for that which ends a line. */
  readonly rows: readonly Int32Array[];
  /** [SUMMANDS][count]: how much each of them counts. */
  readonly shares: readonly Float32Array[];
}

/** Which row of an encoder a place of a window has. */
type RowAt = (y: number, x: number) => number;

/** Puts tokens together, one after another. */
export class RowPacker {
  private readonly rows: number[][] = Array.from({ length: SUMMANDS }, () => []);
  private readonly shares: number[][] = Array.from({ length: SUMMANDS }, () => []);

  get count(): number {
    return this.rows[0]?.length ?? 0;
  }

  /** A row as it is. */
  add(row: number): void {
    this.mix([row, row, row, row], [1, 0, 0, 0]);
  }

  /** Rows `from` on, as many as `count`, as they are. */
  addAll(from: number, count: number): void {
    for (let row = from; row < from + count; row++) this.add(row);
  }

  /**
   * The rows of a window, drawn out to another number of rows and columns where that is not the same: bilinear, centres
   * on centres, nothing smoothed (torch's `interpolate`). `endsLines`: whether one that ends a line follows each row.
   */
  addWindow(
    at: RowAt,
    from: PatchWindow,
    to: Pick<PatchWindow, 'rows' | 'columns'>,
    endsLines: boolean,
  ): void {
    const [down, across] = [between(from.rows, to.rows), between(from.columns, to.columns)];
    for (const y of down) {
      const [top, bottom] = [from.top + y.first, from.top + y.next];
      for (const x of across) {
        const [left, right] = [from.left + x.first, from.left + x.next];
        this.mix(
          [at(top, left), at(top, right), at(bottom, left), at(bottom, right)],
          [
            (1 - y.share) * (1 - x.share),
            (1 - y.share) * x.share,
            y.share * (1 - x.share),
            y.share * x.share,
          ],
        );
      }
      if (endsLines) this.add(LINE_END);
    }
  }

  finish(): RowShares {
    return {
      rows: this.rows.map((rows) => Int32Array.from(rows)),
      shares: this.shares.map((shares) => Float32Array.from(shares)),
    };
  }

  private mix(rows: readonly number[], shares: readonly number[]): void {
    for (let i = 0; i < SUMMANDS; i++) {
      this.rows[i]?.push(rows[i] ?? LINE_END);
      this.shares[i]?.push(shares[i] ?? 0);
    }
  }
}

/**
 * Of an axis of `from` places that becomes one of `to`: between which two each new one lies, and how near to the
 * second.
 */
function between(from: number, to: number) {
  const scale = Math.fround(from / to);
  return Array.from({ length: to }, (_, place) => {
    const at = from === to ? place : Math.max(0, Math.fround(Math.fround(place + 0.5) * scale) - 0.5);
    const first = Math.min(Math.floor(at), from - 1);
    return { first, next: Math.min(first + 1, from - 1), share: Math.fround(at - first) };
  });
}
