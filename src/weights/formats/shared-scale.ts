import { flattened, withRowOrder } from '../weight-changes.js';
import type { TensorRef } from '../weights.js';

/** One number, of whatever shape the files give it, as the scale of `n` outputs: [n, 1]. */
export const sharedScale = (ref: TensorRef, n: number): TensorRef =>
  withRowOrder(flattened(ref), new Int32Array(n));
