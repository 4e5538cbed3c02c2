import { FLAGS, type Flag, type FlagName } from './flags.js';

/** With this the script of `completion` asks for the words that may follow. */
export const ASKS_COMPLETIONS = '--get-yargs-completions';

export const COMPLETION = 'completion';
export const COMPLETION_DESCRIBE =
  'print a script that completes commands and flags in bash or zsh, by $SHELL';

export const completionHelp = (): string => `atb-models ${COMPLETION}
${COMPLETION_DESCRIBE}
Examples:
  atb-models completion >> ~/.bashrc
  atb-models completion >> ~/.zshrc
`;

/** What may follow words: the choices of the flag before, nothing (shells offer files) where it has none, else what yargs knows. */
export const completions =
  (words: readonly string[]) =>
  (current: string, _argv: unknown, byYargs: () => unknown, done: (found: string[]) => unknown): void => {
    const name = /^--(.+)$/.exec(words.at(-2) ?? '')?.[1]?.replaceAll('-', '_') ?? '';
    const flag: Flag | undefined = Object.hasOwn(FLAGS, name) ? FLAGS[name as FlagName] : undefined;
    if (flag === undefined || flag.type === 'boolean' || current.startsWith('-')) byYargs();
    else done((flag.choices ?? []).map(String).filter((choice) => choice.startsWith(current)));
  };
