import { AtbError } from '../errors.js';

/** Ends a command: what a user did wrong in one line, what we did wrong with its stack. */
export function reportFailure(error: unknown): void {
  console.error(error instanceof AtbError ? error.message : error);
  process.exitCode = 1;
}
