import { AtbError } from '../errors.js';
import { FLAGS } from './flags.js';

const camelCased = (flag: string): string =>
  flag.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

/**
 * Flags by the options of the library that are called the same, `topK` being `--top_k`, and by those that they set, which
 * goes before: `memoryBudget` is `--memory`, although there is a `--memory_budget`.
 */
const FLAG_OF = new Map<string, string>([
  ...Object.keys(FLAGS).map((flag) => [camelCased(flag), `--${flag}`] as const),
  ...Object.entries(FLAGS).map(([flag, { option }]) => [option, `--${flag}`] as const),
]);

/** A refused option by the name that it has on the command line: `--top_k`, `--stop[0]`. */
export function inFlags(error: AtbError): string {
  const { code, detail, message } = error as AtbError<'REQUEST_INVALID'>;
  if (code !== 'REQUEST_INVALID') return message;
  const [option = ''] = detail.field.split('[');
  const flag = FLAG_OF.get(option) ?? option;
  return new AtbError(code, { ...detail, field: `${flag}${detail.field.slice(option.length)}` }).message;
}

/** Ends a command: what a user did wrong in one line, what we did wrong with its stack. */
export function reportFailure(error: unknown): void {
  console.error(error instanceof AtbError ? inFlags(error) : error);
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
