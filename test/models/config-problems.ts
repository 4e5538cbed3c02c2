import { AtbError } from '../../src/errors.js';

/** The problems of a CONFIG_INVALID that `read` throws; none when it throws nothing. */
export function problemsOf(read: () => unknown): readonly string[] {
  try {
    read();
  } catch (error) {
    if (error instanceof AtbError && error.code === 'CONFIG_INVALID')
      return (error.detail as { problems: string[] }).problems;
    throw error;
  }
  return [];
}
