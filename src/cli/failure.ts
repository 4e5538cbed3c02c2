import { AtbError } from '../errors.js';

/** Ends a command: what a user did wrong in one line, what we did wrong with its stack. */
export function reportFailure(error: unknown): void {
  console.error(error instanceof AtbError ? error.message : error);
  process.exitCode = 1;
}

/**
 * A reader that has seen enough (`| head`) ends the command without a word, as it ends others. What else keeps standard
 * output from being written, such as a full disk, ends it with a message.
 */
export function endWithReader(): void {
  process.stdout.on('error', (cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'EPIPE')
      reportFailure(
        new AtbError(
          'OUTPUT_UNWRITABLE',
          { flag: 'standard output', file: '-', reason: cause.message },
          { cause },
        ),
      );
    process.exit();
  });
  // Nobody reads why.
  process.stderr.on('error', () => process.exit(1));
}
