/** Whole numbers for a matrix [n, k], of which each group of channels of a row has a scale. */
export interface RoundedRows {
  readonly n: number;
  readonly k: number;
  /** [n, k], as they were. */
  readonly weight: Float32Array;
  /** [n, groups]; may be negative or 0. */
  readonly scales: Float32Array;
  /** Channels that share a scale. */
  readonly groupSize: number;
  readonly least: number;
  readonly most: number;
}

/** Multiplies [m, j] by [j, n]: the engine, for what is too much for a loop. */
export type Multiply = (
  a: Float32Array,
  b: Float32Array,
  sizes: readonly [m: number, j: number, n: number],
) => Promise<Float32Array>;

/** How inputs of a product move together, for `roundRows`: L with L L^T = their moments, channels in an order of their own. */
export interface Factor {
  /** Channels by rising weight: the last are rounded first, and what their rounding costs the others make up for. */
  readonly order: Int32Array;
  /** [k, k], the lower triangle of L, rows without gaps: row i begins at i * k. */
  readonly lower: Float32Array;
}

/** What is added to the moments' diagonal, as a share of its mean: then rare inputs do not move rounding far. */
const DAMPING = 0.01;
/** Channels that are rounded, or columns that are factored, before what they cost is taken to all others at once. */
const BLOCK = 64;

/**
 * The factor of the sums of x_i * x_j over inputs x of a product, [k, k], f64: Cholesky's, a block of columns at a time.
 * Channels that are always 0 are left to the damping.
 */
export async function factorOf(moments: Float64Array, k: number, multiply: Multiply): Promise<Factor> {
  const diagonal = Float64Array.from({ length: k }, (_, i) => moments[i * k + i] as number);
  const damping = DAMPING * (diagonal.reduce((sum, x) => sum + x, 0) / k) || 1;
  const order = Int32Array.from({ length: k }, (_, i) => i).sort(
    (a, b) => (diagonal[a] as number) - (diagonal[b] as number) || a - b,
  );
  const lower = new Float32Array(k * k);
  for (let first = 0; first < k; first += BLOCK) {
    const count = Math.min(BLOCK, k - first);
    const taken = first > 0 ? await takenBefore(lower, k, first, count, multiply) : undefined;
    const block = new Float64Array(count * count);
    const row = new Float64Array(count);
    for (let i = first; i < k; i++) {
      const from = (order[i] as number) * k;
      const width = Math.min(count, i - first + 1);
      for (let j = 0; j < width; j++) {
        const before = taken ? (taken[(i - first) * count + j] as number) : 0;
        row[j] = (moments[from + (order[first + j] as number)] as number) - before;
      }
      if (i < first + count) row[i - first] = (row[i - first] as number) + damping;
      solveRow(row, block, count, i - first, damping);
      if (i < first + count) block.set(row.subarray(0, width), (i - first) * count);
      lower.set(row.subarray(0, width), i * k + first);
    }
  }
  return { order, lower };
}

/** What the columns before `first` have of those from it on, in all rows from it on: [k - first, count]. */
function takenBefore(
  lower: Float32Array,
  k: number,
  first: number,
  count: number,
  multiply: Multiply,
): Promise<Float32Array> {
  const rows = k - first;
  const before = new Float32Array(rows * first);
  for (let i = 0; i < rows; i++)
    before.set(lower.subarray((first + i) * k, (first + i) * k + first), i * first);
  const transposed = new Float32Array(first * count);
  for (let j = 0; j < count; j++)
    for (let c = 0; c < first; c++) transposed[c * count + j] = before[j * first + c] as number;
  return multiply(before, transposed, [rows, first, count]);
}

/** Makes a row of a factor out of what is left of the moments, given the rows above it in `block`, [count, count]. */
function solveRow(
  row: Float64Array,
  block: Float64Array,
  count: number,
  place: number,
  damping: number,
): void {
  for (let j = 0; j < Math.min(count, place); j++) {
    let sum = row[j] as number;
    const other = j * count;
    for (let c = 0; c < j; c++) sum -= (row[c] as number) * (block[other + c] as number);
    row[j] = sum / (block[other + j] as number);
  }
  if (place >= count) return;
  let own = row[place] as number;
  for (let c = 0; c < place; c++) own -= (row[c] as number) ** 2;
  // What others leave of a channel is at least what was added to it, but for rounding.
  row[place] = Math.sqrt(Math.max(own, damping));
}

/**
 * Rounds a matrix so that its products with the inputs that a factor is of come out least changed, rather than its numbers
 * (GPTQ, arXiv:2210.17323, as the nearest plane of a lattice): channel by channel, from the last of the factor's order on,
 * each takes on what rounding those before it has cost. For e = weight - scale * integer, that is |L^T e|^2, term by term.
 */
export async function roundRows(
  rows: RoundedRows,
  { order, lower }: Factor,
  multiply: Multiply,
): Promise<Int8Array> {
  const { n, k, weight, scales, groupSize, least, most } = rows;
  const groups = Math.ceil(k / groupSize);
  const integers = new Int8Array(n * k);
  /** [n, k] in the factor's order: what the channels behind each have cost it, times its own place in L. */
  const costs = new Float32Array(n * k);
  for (let end = k; end > 0; end -= BLOCK) {
    const begin = Math.max(0, end - BLOCK);
    const count = end - begin;
    const errors = new Float32Array(n * count);
    for (let i = end - 1; i >= begin; i--) {
      const channel = order[i] as number;
      const group = Math.floor(channel / groupSize);
      const place = lower[i * k + i] as number;
      for (let row = 0; row < n; row++) {
        const value = weight[row * k + channel] as number;
        const scale = scales[row * groups + group] as number;
        const wanted = value + (costs[row * k + i] as number) / place;
        const integer = scale === 0 ? 0 : Math.min(most, Math.max(least, Math.round(wanted / scale)));
        integers[row * k + channel] = integer;
        const error = value - scale * integer;
        errors[row * count + (i - begin)] = error;
        const at = row * k;
        const from = i * k;
        for (let j = begin; j < i; j++)
          costs[at + j] = (costs[at + j] as number) + error * (lower[from + j] as number);
      }
    }
    if (begin === 0) break;
    const block = new Float32Array(count * begin);
    for (let i = 0; i < count; i++)
      block.set(lower.subarray((begin + i) * k, (begin + i) * k + begin), i * begin);
    const added = await multiply(errors, block, [n, count, begin]);
    for (let row = 0; row < n; row++) {
      for (let j = 0; j < begin; j++)
        costs[row * k + j] = (costs[row * k + j] as number) + (added[row * begin + j] as number);
    }
  }
  return integers;
}
