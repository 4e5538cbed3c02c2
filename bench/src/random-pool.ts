/**
 * One pool of Gaussian numbers, rounded to bf16, from which every tensor of every file is cut: the checkpoint and the
 * peer's file then hold the same weights, and writing gigabytes costs a copy. Quantised pools hold the same numbers in
 * ggml's block formats (its reference quantisers, ggml-quants.c).
 */
export type PoolFormat = 'bf16' | 'f32' | 'q8_0' | 'q4_0' | 'q6_k';

/** Elements and bytes of one block of each format. */
export const BLOCKS: Readonly<Record<PoolFormat, { elements: number; bytes: number; ggmlType: number }>> = {
  f32: { elements: 1, bytes: 4, ggmlType: 0 },
  bf16: { elements: 1, bytes: 2, ggmlType: 30 },
  q8_0: { elements: 32, bytes: 34, ggmlType: 8 },
  q4_0: { elements: 32, bytes: 18, ggmlType: 2 },
  q6_k: { elements: 256, bytes: 210, ggmlType: 14 },
};

/** A multiple of 256, so that offsets in blocks of any format agree; not a power of two, so that rows do not repeat. */
const POOL_ELEMENTS = 256 * 10007;

function gaussians(count: number, seed: number): Float32Array {
  const out = new Float32Array(count);
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 4294967296;
  };
  for (let i = 0; i + 1 < count; i += 2) {
    const r = Math.sqrt(-2 * Math.log(next()));
    const a = 2 * Math.PI * next();
    out[i] = r * Math.cos(a);
    out[i + 1] = r * Math.sin(a);
  }
  return out;
}

const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);

function toBf16(x: number): number {
  float[0] = x;
  const u = bits[0] as number;
  return (u + 0x7fff + ((u >>> 16) & 1)) >>> 16;
}

function toF16(x: number): number {
  float[0] = x;
  const u = bits[0] as number;
  const sign = (u >>> 16) & 0x8000;
  const exponent = ((u >>> 23) & 0xff) - 127 + 15;
  if (exponent <= 0) return sign; // Scales this small do not occur here.
  const mantissa = u & 0x7fffff;
  return sign | (((exponent << 10) | (mantissa >>> 13)) + ((mantissa >>> 12) & 1));
}

function quantizeQ8(x: Float32Array, out: DataView, at: number): void {
  let max = 0;
  for (const v of x) max = Math.max(max, Math.abs(v));
  const d = max / 127;
  out.setUint16(at, toF16(d), true);
  for (let i = 0; i < 32; i++) out.setInt8(at + 2 + i, d ? Math.round((x[i] as number) / d) : 0);
}

function quantizeQ4(x: Float32Array, out: DataView, at: number): void {
  let max = 0;
  for (const v of x) if (Math.abs(v) > Math.abs(max)) max = v;
  const d = max / -8;
  out.setUint16(at, toF16(d), true);
  const q = (v: number) => (d ? Math.min(15, Math.max(0, Math.floor(v / d + 8.5))) : 8);
  for (let i = 0; i < 16; i++) out.setUint8(at + 2 + i, q(x[i] as number) | (q(x[i + 16] as number) << 4));
}

/** Sixteen groups of 16 with 6-bit values and 8-bit scales; scales are the plain absolute maxima. */
function quantizeQ6(x: Float32Array, out: DataView, at: number): void {
  const scales = Array.from({ length: 16 }, (_, g) => {
    let max = 0;
    for (const v of x.subarray(g * 16, g * 16 + 16)) if (Math.abs(v) > Math.abs(max)) max = v;
    return max / -32;
  });
  const top = scales.reduce((m, s) => (Math.abs(s) > Math.abs(m) ? s : m), 0);
  const d = top / -128;
  const q = new Uint8Array(256);
  scales.forEach((s, g) => {
    const scale = d ? Math.min(127, Math.round(s / d)) : 0;
    out.setInt8(at + 192 + g, scale);
    for (let i = 0; i < 16; i++) {
      const step = d * scale;
      q[g * 16 + i] = step
        ? Math.min(63, Math.max(0, Math.round((x[g * 16 + i] as number) / step) + 32))
        : 32;
    }
  });
  for (let half = 0; half < 2; half++)
    for (let l = 0; l < 32; l++) {
      const [a, b, c, e] = [0, 32, 64, 96].map((o) => q[half * 128 + o + l] as number) as [
        number,
        number,
        number,
        number,
      ];
      out.setUint8(at + half * 64 + l, (a & 15) | ((c & 15) << 4));
      out.setUint8(at + half * 64 + l + 32, (b & 15) | ((e & 15) << 4));
      out.setUint8(at + 128 + half * 32 + l, (a >> 4) | ((b >> 4) << 2) | ((c >> 4) << 4) | ((e >> 4) << 6));
    }
  out.setUint16(at + 208, toF16(d), true);
}

export class RandomPool {
  private readonly unit = gaussians(POOL_ELEMENTS, 20261122);
  private readonly cache = new Map<string, Buffer>();

  /** The pool's numbers times 2^exponent, rounded to bf16 and then stored as `format`. */
  private bytes(format: PoolFormat, exponent: number): Buffer {
    const key = `${format}:${exponent}`;
    const known = this.cache.get(key);
    if (known) return known;
    const values = new Float32Array(POOL_ELEMENTS);
    const asBits = new Uint32Array(values.buffer);
    const scale = 2 ** exponent;
    for (let i = 0; i < POOL_ELEMENTS; i++) asBits[i] = toBf16((this.unit[i] as number) * scale) << 16;
    const block = BLOCKS[format];
    const out = Buffer.alloc((POOL_ELEMENTS / block.elements) * block.bytes);
    const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
    if (format === 'f32') out.set(new Uint8Array(values.buffer));
    else if (format === 'bf16')
      for (let i = 0; i < POOL_ELEMENTS; i++) view.setUint16(i * 2, (asBits[i] as number) >>> 16, true);
    else {
      const quantize = { q8_0: quantizeQ8, q4_0: quantizeQ4, q6_k: quantizeQ6 }[format];
      for (let b = 0; b < POOL_ELEMENTS / block.elements; b++)
        quantize(values.subarray(b * block.elements, (b + 1) * block.elements), view, b * block.bytes);
    }
    this.cache.set(key, out);
    return out;
  }

  /** Pieces that together are `elements` numbers of standard deviation near `std`; the same numbers in every format. */
  *cut(format: PoolFormat, elements: number, std: number, tensorIndex: number): Generator<Buffer> {
    const pool = this.bytes(format, Math.round(Math.log2(std)));
    const block = BLOCKS[format];
    let from = ((tensorIndex * 2654435761) % (POOL_ELEMENTS / 256)) * 256;
    for (let left = elements; left > 0; ) {
      const take = Math.min(left, POOL_ELEMENTS - from);
      yield pool.subarray(
        (from / block.elements) * block.bytes,
        ((from + take) / block.elements) * block.bytes,
      );
      left -= take;
      from = 0;
    }
  }
}
