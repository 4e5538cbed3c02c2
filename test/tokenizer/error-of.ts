import { AtbError } from '../../src/errors.js';

/** The typed error that an action ends in; anything else is rethrown. */
export async function errorOf(action: () => unknown): Promise<AtbError> {
  try {
    await action();
  } catch (error) {
    if (error instanceof AtbError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
