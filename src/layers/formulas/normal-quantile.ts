/**
 * What a normally distributed number of mean 0 and deviation 1 is below of in a share of all cases. `share`: between 0
 * and 1, not nearer to either than 1e-15.
 */
export function normalQuantile(share: number): number {
  let [below, above] = [-8, 8];
  for (let step = 0; step < 64; step++) {
    const middle = (below + above) / 2;
    if (shareBelow(middle) < share) below = middle;
    else above = middle;
  }
  return (below + above) / 2;
}

/** 1/2 + density(x) * (x + x^3/3 + x^5/(3*5) + …). */
function shareBelow(x: number): number {
  let [sum, term] = [0, x];
  for (let odd = 3; Math.abs(term) > 1e-18; odd += 2) {
    sum += term;
    term *= (x * x) / odd;
  }
  return 0.5 + (sum * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
}
