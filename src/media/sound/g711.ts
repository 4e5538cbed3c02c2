/** Of codes of 8 bits: where each stands of a scale that is coarser the louder it gets (ITU-T G.711), from -1 to 1. */
export const LAWS = { alaw: tableOf(alaw), mulaw: tableOf(mulaw) } as const;

function tableOf(law: (code: number) => number): Float32Array {
  return Float32Array.from({ length: 256 }, (_, code) => law(code) / 2 ** 15);
}

/** 3 bits of exponent and 4 of mantissa. Every second bit is stored turned over; the highest one is set for what is not negative. */
function alaw(code: number): number {
  const bits = code ^ 0x55;
  const [exponent, mantissa] = [(bits >> 4) & 7, ((bits & 15) << 4) + 8];
  const size = exponent === 0 ? mantissa : (mantissa + 256) << (exponent - 1);
  return bits & 0x80 ? size : -size;
}

/** The same with all bits turned over, and a scale that is moved by 132; the highest bit is set for what is negative. */
function mulaw(code: number): number {
  const bits = ~code & 0xff;
  const size = ((((bits & 15) << 3) + 132) << ((bits >> 4) & 7)) - 132;
  return bits & 0x80 ? -size : size;
}
