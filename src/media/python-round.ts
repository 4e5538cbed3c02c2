/** The nearest integer, of two that are equally near the even one, as Python's `round` has it; 0 <= value < 2^52. */
export function pythonRound(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}

/** A number with one digit behind the point, as Python's `f"{value:.1f}"` has it: of two that are equally near the even one. */
export function pythonTenths(value: number): string {
  // Of all ties that a float can be, JavaScript rounds those of .25 the other way.
  return value % 1 === 0.25 ? `${Math.floor(value)}.2` : value.toFixed(1);
}

/** The same with two digits, of 0 <= value < 2^40. */
export function pythonHundredths(value: number): string {
  // Of all ties that a float can be, JavaScript rounds those of .125 and .625 the other way.
  return value % 0.5 === 0.125 ? (value - 0.005).toFixed(2) : value.toFixed(2);
}

/**
 * The largest integer that is at most a / b, as Python's `//` has it: `Math.floor(a / b)` may lie one above; a, b >
 * 0.
 */
export const pythonFloorDivision = (a: number, b: number): number => Math.round((a - (a % b)) / b);
