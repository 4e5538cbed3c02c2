import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { AtbError } from '../errors.js';
import { nearestName } from '../nearest-name.js';
import { benchServeCommand } from './bench-serve/command.js';
import { cacheCommand } from './cache.js';
import { chatCommand, chatHelp } from './chat.js';
import { checkCommand } from './check.js';
import { underscored, usageError } from './command-line.js';
import { compareCommand } from './compare.js';
import {
  ASKS_COMPLETIONS,
  COMPLETION,
  COMPLETION_DESCRIBE,
  completionHelp,
  completions,
} from './completion.js';
import { doctorCommand } from './doctor.js';
import { evalCommand } from './eval.js';
import { exportCommand } from './export.js';
import { endWithReader, reportFailure } from './failure.js';
import { generateCommand, generateHelp } from './generate.js';
import { graphCommand } from './graph.js';
import { inspectCommand } from './inspect.js';
import { modelsCommand } from './models.js';
import { newCommand } from './new.js';
import { pullCommand } from './pull.js';
import { quantizeCommand } from './quantize.js';
import { serveCommand } from './serve.js';
import { packageVersion } from './version.js';

const COMMANDS = [
  'bench-serve',
  'cache',
  'chat',
  'check',
  'compare',
  COMPLETION,
  'doctor',
  'eval',
  'export',
  'generate',
  'graph',
  'inspect',
  'models',
  'new',
  'pull',
  'quantize',
  'serve',
];

/** Of the commands with many flags. */
const LONG_HELP: Readonly<Record<string, () => string>> = {
  chat: chatHelp,
  completion: completionHelp,
  generate: generateHelp,
};

/** `atb-models <command>`; `run-pa` is a program of its own. */
async function main(): Promise<void> {
  const words = hideBin(process.argv);
  const args = words.includes(ASKS_COMPLETIONS) ? words : underscored(words);
  const [first = '-'] = args;
  if (!first.startsWith('-') && !COMMANDS.includes(first)) {
    const nearest = nearestName(first, COMMANDS);
    throw new AtbError('OPTION_UNKNOWN', { option: first, nearest, help: 'atb-models --help' });
  }
  const help = LONG_HELP[first];
  if (help && args.some((arg) => arg === '--help' || arg === '-h')) {
    process.stdout.write(help());
    return;
  }
  await yargs(args)
    .scriptName('atb-models')
    .usage('$0 <command> [options]')
    .command(benchServeCommand)
    .command(cacheCommand)
    .command(chatCommand)
    .command(checkCommand)
    .command(compareCommand)
    .command(doctorCommand)
    .command(evalCommand)
    .command(exportCommand)
    .command(generateCommand)
    .command(graphCommand)
    .command(inspectCommand)
    .command(modelsCommand)
    .command(newCommand)
    .command(pullCommand)
    .command(quantizeCommand)
    .command(serveCommand)
    .completion(COMPLETION, COMPLETION_DESCRIBE, completions(words))
    .demandCommand(1, 'a command is missing')
    .strictCommands()
    .example('$0 inspect --model_path DIR', 'whether a checkpoint runs here, and what it needs')
    .alias('help', 'h')
    .version(packageVersion())
    .epilogue("The original's command is a program of its own: run-pa --model_path DIR (run-pa --help)")
    .locale('en')
    .wrap(110)
    .fail((message, error) => {
      throw usageError(message, error, `atb-models ${COMMANDS.includes(first) ? `${first} ` : ''}--help`);
    })
    .parseAsync();
}

endWithReader();
await main().catch(reportFailure);
