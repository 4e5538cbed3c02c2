import type { SwigluClamp } from '../../graph/ops/activation.js';
import { type Check, listOf, positive } from './checks.js';
import type { Field } from './fields.js';

/** The bound of a layer; null and 0 stand for none. */
const LIMIT: Check<number | null> = {
  safeParse: (value) => {
    const found = positive(1e6, -1e-9).safeParse(value ?? 0);
    return found.success ? { success: true, data: found.data || null } : found;
  },
};

type Clamps = readonly (SwigluClamp | undefined)[];

/**
 * For each layer, how the activated gates of an MLP are clamped, and what they gate; undefined where a file says null, 0 or
 * nothing. The list may go on with layers that guess further tokens.
 */
export const activatedClamps = (
  name: string,
): Field<Clamps, Readonly<Record<'numHiddenLayers' | 'predictionLayers', number>>> => ({
  read(json, { numHiddenLayers: layers, predictionLayers: behind }) {
    const found =
      json.value(name, listOf(LIMIT, 'numbers of at least 0, or null')) ?? Array<null>(layers).fill(null);
    if (found.length !== layers && found.length !== layers + behind)
      json.problem(`${name} must have one entry for each of the ${layers} layers, found ${found.length}`);
    const clampOf = (limit: number | null) =>
      limit ? { limit, clampForm: 'activated' as const } : undefined;
    return found.slice(0, layers).map(clampOf);
  },
});

/** Tells layers with different limits apart: `clamped_4_0p5`; empty where there are none. */
export const clampVariant = (...clamps: Clamps): string =>
  clamps.some((clamp) => clamp)
    ? `clamped_${clamps.map((clamp) => `${clamp?.limit ?? 0}`.replace('.', 'p')).join('_')}`
    : '';
