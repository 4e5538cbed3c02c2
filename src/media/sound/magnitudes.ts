/**
 * Magnitudes of a real signal's spectrum by halving (J. W. Cooley and J. W. Tukey, 1965): `size` samples, a power of two,
 * become size / 2 + 1 numbers.
 */
export class Magnitudes {
  readonly #order: Int32Array;
  readonly #cos: Float64Array;
  readonly #sin: Float64Array;
  readonly #real: Float64Array;
  readonly #imaginary: Float64Array;

  constructor(private readonly size: number) {
    const bits = Math.log2(size);
    this.#order = Int32Array.from({ length: size }, (_, index) => {
      let turned = 0;
      for (let bit = 0; bit < bits; bit++) turned |= ((index >> bit) & 1) << (bits - 1 - bit);
      return turned;
    });
    const turns = Float64Array.from({ length: size / 2 }, (_, k) => (-2 * Math.PI * k) / size);
    [this.#cos, this.#sin] = [turns.map(Math.cos), turns.map(Math.sin)];
    [this.#real, this.#imaginary] = [new Float64Array(size), new Float64Array(size)];
  }

  /** `signal`: what it lacks of `size` samples is silent. */
  of(signal: Float64Array, result: Float64Array): void {
    const { size } = this;
    const [real, imaginary] = [this.#real, this.#imaginary];
    for (const [place, from] of this.#order.entries()) real[place] = signal[from] ?? 0;
    imaginary.fill(0);
    for (let half = 1; half < size; half *= 2)
      for (let first = 0; first < size; first += 2 * half)
        for (let k = 0; k < half; k++) this.#cross(first + k, first + k + half, (k * size) / (2 * half));
    for (let k = 0; k <= size / 2; k++)
      result[k] = Math.sqrt((real[k] as number) ** 2 + (imaginary[k] as number) ** 2);
  }

  /** Sum and difference of two numbers, of which the second turns first. */
  #cross(a: number, b: number, turn: number): void {
    const [real, imaginary] = [this.#real, this.#imaginary];
    const [cos, sin] = [this.#cos[turn] as number, this.#sin[turn] as number];
    const [realB, imaginaryB] = [real[b] as number, imaginary[b] as number];
    const turnedReal = realB * cos - imaginaryB * sin;
    const turnedImaginary = realB * sin + imaginaryB * cos;
    real[b] = (real[a] as number) - turnedReal;
    imaginary[b] = (imaginary[a] as number) - turnedImaginary;
    real[a] = (real[a] as number) + turnedReal;
    imaginary[a] = (imaginary[a] as number) + turnedImaginary;
  }
}
