/** sentence-transformers' ways to make one vector of a text's tokens, in the order in which several are joined. */
export const POOLING_MODES = [
  'cls',
  'max',
  'mean',
  'mean_sqrt_len_tokens',
  'weightedmean',
  'lasttoken',
] as const;
export type PoolingMode = (typeof POOLING_MODES)[number];

/** Hidden states of one text: `data` [tokens, width] in f32. */
export interface TokenRows {
  readonly data: Float32Array;
  readonly width: number;
  /** Tokens at the start that belong to a prompt and do not count. */
  readonly skip: number;
}

/**
 * One vector [modes * width] of a text, as `Pooling` of sentence-transformers 6.2 computes it, summed in f64. A text
 * without any token behind its prompt has a mean of zeros.
 */
export function pool(modes: readonly PoolingMode[], rows: TokenRows): Float32Array {
  const { width } = rows;
  const pooled = new Float32Array(modes.length * width);
  for (const [at, mode] of modes.entries()) pooled.set(vectorOf(mode, rows), at * width);
  return pooled;
}

function vectorOf(mode: PoolingMode, { data, width, skip }: TokenRows): ArrayLike<number> {
  const tokens = data.length / width;
  const row = (token: number): Float32Array => data.subarray(token * width, (token + 1) * width);
  const first = skip < tokens ? skip : 0;
  switch (mode) {
    case 'cls':
      return row(first);
    case 'lasttoken':
      return row(tokens - 1);
    case 'max': {
      const largest = new Float32Array(width).fill(Number.NEGATIVE_INFINITY);
      for (let token = skip; token < tokens; token++) {
        for (const [i, value] of row(token).entries())
          if (!(value <= (largest[i] as number))) largest[i] = value;
      }
      return largest;
    }
    case 'mean':
      return weighted(
        () => 1,
        (sum) => sum,
      );
    case 'mean_sqrt_len_tokens':
      return weighted(() => 1, Math.sqrt);
    case 'weightedmean':
      return weighted(
        (token) => token + 1,
        (sum) => sum,
      );
  }

  function weighted(weightOf: (token: number) => number, divisorOf: (sum: number) => number): Float64Array {
    const sums = new Float64Array(width);
    let total = 0;
    for (let token = skip; token < tokens; token++) {
      const weight = weightOf(token);
      total += weight;
      for (const [i, value] of row(token).entries()) sums[i] = (sums[i] as number) + weight * value;
    }
    const divisor = divisorOf(Math.max(total, 1e-9));
    return sums.map((sum) => sum / divisor);
  }
}

/** x / max(|x|, 1e-12), as `Normalize`. */
export function normalized(vector: Float32Array): Float32Array {
  let squares = 0;
  for (const value of vector) squares += value * value;
  const length = Math.max(Math.sqrt(squares), 1e-12);
  return vector.map((value) => value / length);
}

/** One `Dense` of sentence-transformers. */
export interface DenseStep {
  /** [outFeatures, inFeatures]. */
  readonly weight: Float32Array;
  /** [outFeatures]; undefined: none. */
  readonly bias: Float32Array | undefined;
  readonly activation: 'identity' | 'tanh';
  readonly inFeatures: number;
  readonly outFeatures: number;
}

/** activation(weight x + bias), summed in f64. */
export function dense(vector: Float32Array, step: DenseStep): Float32Array {
  const { weight, bias, inFeatures, outFeatures, activation } = step;
  return Float32Array.from({ length: outFeatures }, (_, out) => {
    let sum = bias?.[out] ?? 0;
    for (let i = 0; i < inFeatures; i++)
      sum += (weight[out * inFeatures + i] as number) * (vector[i] as number);
    return activation === 'tanh' ? Math.tanh(sum) : sum;
  });
}
