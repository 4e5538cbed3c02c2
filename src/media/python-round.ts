/** The nearest integer, of two that are equally near the even one, as Python's `round` has it; 0 <= value < 2^52. */
export function pythonRound(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}
