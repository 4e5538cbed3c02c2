const SIGN = [1, -1] as const;

/** Every number of e2m1 by its code. */
export const E2M1_TABLE = Float32Array.from(
  SIGN.flatMap((sign) => [0, 0.5, 1, 1.5, 2, 3, 4, 6].map((size) => sign * size)),
);

/** Every number of e4m3 by its code; two codes are NaN. */
export const E4M3_TABLE = Float32Array.from(
  SIGN.flatMap((sign) => Array.from({ length: 128 }, (_, code) => sign * e4m3(code))),
);

function e4m3(code: number): number {
  const [exponent, mantissa] = [code >> 3, code & 7];
  if (code === 127) return Number.NaN;
  return exponent === 0 ? mantissa * 2 ** -9 : (8 + mantissa) * 2 ** (exponent - 10);
}
