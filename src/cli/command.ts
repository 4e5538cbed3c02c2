import type { ArgumentsCamelCase, Argv } from 'yargs';
import type { CommandShape } from './command-line.js';

/** What a command of `atb-models` does, for the arguments `T` that it has beside its flags. */
export interface Command<T = object> {
  /** Of a command whose flags would not fit a screen the way yargs writes them: what its help is made of. */
  readonly longHelp?: CommandShape;
  builder(argv: Argv): Argv;
  handler(argv: ArgumentsCamelCase<T>): void | Promise<void>;
}
