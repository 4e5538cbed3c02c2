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
  readonly lower: Float64Array;
}

/** What is added to the moments' diagonal, as a share of its mean: then rare inputs do not move rounding far. */
const DAMPING = 0.01;
/** Channels that are rounded before what they cost is taken to all others at once. */
const BLOCK = 64;

/**
 * The factor of the sums of x_i * x_j over inputs x of a product, [k, k], f64. Channels that are always 0 are left to the
 * damping.
 */
export function factorOf(moments: Float64Array, k: number): Factor {
  const diagonal = Float64Array.from({ length: k }, (_, i) => moments[i * k + i] as number);
  const damping = DAMPING * (diagonal.reduce((sum, x) => sum + x, 0) / k) || 1;
  const order = Int32Array.from({ length: k }, (_, i) => i).sort(
    (a, b) => (diagonal[a] as number) - (diagonal[b] as number) || a - b,
  );
  const lower = new Float64Array(k * k);
  for (let i = 0; i < k; i++) {
    const from = (order[i] as number) * k;
    const row = i * k;
    for (let j = 0; j <= i; j++) {
      const other = j * k;
      let sum = moments[from + (order[j] as number)] as number;
      if (i === j) sum += damping;
      for (let c = 0; c < j; c++) sum -= (lower[row + c] as number) * (lower[other + c] as number);
      // Rounding may leave a channel that others determine with nothing of its own.
      lower[row + j] =
        i === j ? Math.sqrt(Math.max(sum, damping * 1e-6)) : sum / (lower[other + j] as number);
    }
  }
  return { order, lower };
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
