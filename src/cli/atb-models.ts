import yargs, { type Argv } from 'yargs';
import { AtbError, refuseRequest } from '../errors.js';
import { nearestName } from '../nearest-name.js';
import { underscored, usageError } from './command-line.js';
import { COMMANDS } from './commands.js';
import {
  ASKS_COMPLETIONS,
  COMPLETION,
  COMPLETION_DESCRIBE,
  completionHelp,
  completions,
} from './completion.js';
import { longHelp } from './long-help.js';
import { packageVersion } from './version.js';

const NAMES = [...Object.keys(COMMANDS), COMPLETION].sort();

const isCommand = (word: string): boolean => Object.hasOwn(COMMANDS, word);

/** `atb-models help chat` is `atb-models chat --help`. */
const asFlag = ([first, ...others]: readonly string[]): string[] =>
  first === 'help' ? [...others, '--help'] : [first ?? [], others].flat();

/** What stands before `--`, and behind it, where nothing is a flag. */
function parted(words: readonly string[]): [before: readonly string[], behind: readonly string[]] {
  const end = words.indexOf('--');
  return end < 0 ? [words, []] : [words.slice(0, end), words.slice(end + 1)];
}

/** Prompts may be any texts; names of other commands stand behind the command's own, before flags that take several. */
function withNames([command, ...rest]: readonly string[], behind: readonly string[]): string[] {
  const all = [command ?? [], rest].flat();
  if (behind.length === 0) return all;
  return command === 'generate' ? [...all, '--', ...behind] : [command ?? [], ...behind, ...rest].flat();
}

/** All commands by name, and the one that is called with what it does. */
async function withCommands(argv: Argv, called: string | undefined): Promise<Argv> {
  for (const [name, { usage, describe, load }] of Object.entries(COMMANDS)) {
    if (name !== called) {
      argv.command(usage, describe);
      continue;
    }
    const { builder, handler } = await load();
    argv.command({ command: usage, describe, builder, handler });
  }
  return argv;
}

/** The help of a command that writes its own; undefined: yargs writes it. */
async function ownHelp(name: string): Promise<string | undefined> {
  if (name === COMPLETION) return completionHelp();
  const command = isCommand(name) ? COMMANDS[name] : undefined;
  const shape = (await command?.load())?.longHelp;
  return command && shape && longHelp(shape, command.usage, command.describe);
}

/**
 * `atb-models <command>`, of which `words` is what follows the first; `run-pa` is a program of its own.
 * @throws AtbError for what the user did wrong
 */
export async function atbModels(words: readonly string[]): Promise<void> {
  const [asked, behind] = words.includes(ASKS_COMPLETIONS) ? [words, []] : parted(words);
  const args = words.includes(ASKS_COMPLETIONS) ? words : underscored(asFlag(asked));
  const [first = '-'] = args;
  if (args.length === 0)
    refuseRequest(
      'the command',
      `one of ${NAMES.join(', ')}; \`atb-models --help\` says what each does`,
      undefined,
    );
  if (!first.startsWith('-') && !NAMES.includes(first)) {
    const nearest = nearestName(first, NAMES);
    throw new AtbError('OPTION_UNKNOWN', { option: first, nearest, help: 'atb-models --help' });
  }
  const help = args.some((arg) => arg === '--help' || arg === '-h') ? await ownHelp(first) : undefined;
  if (help !== undefined) {
    process.stdout.write(help);
    return;
  }
  const argv = yargs(withNames(args, behind)).scriptName('atb-models').usage('$0 <command> [options]');
  await (await withCommands(argv, args.find(isCommand)))
    .completion(COMPLETION, COMPLETION_DESCRIBE, completions(words))
    .demandCommand(1, 'a command is missing')
    .strictCommands()
    .example('$0 inspect --model_path DIR', 'whether a checkpoint runs here, and what it needs')
    .alias('help', 'h')
    .version(packageVersion())
    .epilogue("The original's command is a program of its own: run-pa --model_path DIR (run-pa --help)")
    .locale('en')
    // Help ends like any other answer, so that whoever calls this goes on.
    .exitProcess(false)
    .wrap(110)
    .fail((message, error) => {
      throw usageError(message, error, `atb-models ${NAMES.includes(first) ? `${first} ` : ''}--help`);
    })
    .parseAsync();
}
