import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { AtbError } from '../errors.js';
import { evalCommand } from './eval.js';
import { reportFailure } from './failure.js';
import { underscored } from './flags.js';
import { graphCommand } from './graph.js';
import { inspectCommand } from './inspect.js';
import { quantizeCommand } from './quantize.js';

/** `atb-models <command>`; `run-pa` is a program of its own. */
async function main(): Promise<void> {
  await yargs(underscored(hideBin(process.argv)))
    .scriptName('atb-models')
    .usage('$0 <command> [options]')
    .command(evalCommand)
    .command(graphCommand)
    .command(inspectCommand)
    .command(quantizeCommand)
    .demandCommand(1, 'a command is missing')
    .strict()
    .wrap(110)
    .fail((message, error) => {
      if (error) throw error;
      const expected = 'a command and its options, as `atb-models --help` lists them';
      throw new AtbError('REQUEST_INVALID', { field: 'the command line', expected, found: message });
    })
    .parseAsync();
}

await main().catch(reportFailure);
