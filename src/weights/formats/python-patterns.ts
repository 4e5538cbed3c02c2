import { runWithin, TimeLimitExceeded } from '../../bounded.js';
import type { ConfigFields } from './config-fields.js';

/** Whether a name has what a pattern means. */
export type IsMeant = (name: string) => boolean;

/** Refuses a pattern under a field of the configuration. */
export const patternRefusal = (fields: ConfigFields, field: string, pattern: string) => (): never =>
  fields.refuse(field, 'patterns that this engine understands', pattern);

/** What one name may take: far above what a pattern of use takes. */
const LIMIT_MS = 100;
/** Choices of how much to take, `*`, `+` and `{`: with so few of them a name of usual length is looked at quickly. */
const FEW_CHOICES = 3;

/**
 * A pattern of Python's `re`, as `re.match` applies it: from the start of a name, not to its end; or as `re.search` does,
 * anywhere. Calls `refuse` where JavaScript does not understand it, and when it takes too long for a name.
 */
export function pythonPattern(pattern: string, where: 'match' | 'search', refuse: () => never): IsMeant {
  let compiled: RegExp;
  try {
    compiled = new RegExp(where === 'match' ? `^(?:${pattern})` : pattern);
  } catch {
    return refuse();
  }
  const test: IsMeant = (name) => compiled.test(name);
  // The limit costs 50 microseconds a name, and a model of experts has tens of thousands of names.
  if (isTame(pattern)) return test;
  return (name) => {
    try {
      return runWithin(LIMIT_MS, () => test(name));
    } catch (error) {
      if (error instanceof TimeLimitExceeded) return refuse();
      throw error;
    }
  };
}

/** Whether a pattern cannot take long: few choices, and none of them of what has choices itself. */
function isTame(pattern: string): boolean {
  const choices = pattern.match(/[*+{]/g) ?? [];
  return choices.length <= FEW_CHOICES && !/\)[*+{?]/.test(pattern);
}
