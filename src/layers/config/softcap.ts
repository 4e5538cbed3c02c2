import { positive } from './checks.js';
import type { Field } from './fields.js';

/** A bound of scores or logits, which null takes away. */
export const softcap = (name: string, fallback: number): Field<number | undefined> => ({
  read: (json) => (json.isNull(name) ? undefined : (json.value(name, positive(1e6)) ?? fallback)),
});
