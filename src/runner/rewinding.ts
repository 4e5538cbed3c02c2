import { AtbError } from '../errors.js';
import type { OpenModel } from './open-model.js';

/** Refuses guesses for a model, or by one, that could not take them back: recurrent states only go forward. */
export function requireRewinding(
  { model, config }: Pick<OpenModel, 'model' | 'config'>,
  option: string,
): void {
  if ((model.states?.() ?? []).length === 0) return;
  throw new AtbError('OPTION_UNSUPPORTED', {
    option,
    found: config.modelType,
    reason: 'its recurrent states cannot go back to where they were before wrong guesses',
  });
}
