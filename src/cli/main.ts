import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { AtbError } from '../errors.js';
import { reportFailure } from './failure.js';
import { graphCommand } from './graph.js';
import { inspectCommand } from './inspect.js';

/** `atb-models <command>`; `run-pa` is a program of its own. */
await yargs(hideBin(process.argv))
  .scriptName('atb-models')
  .usage('$0 <command> [options]')
  .command(graphCommand)
  .command(inspectCommand)
  .demandCommand(1, 'Which command?')
  .strict()
  .wrap(110)
  .fail((message, error) => {
    throw (
      error ??
      new AtbError('REQUEST_INVALID', {
        field: 'atb-models',
        expected: 'a command and options as `atb-models --help` lists them',
        found: message,
      })
    );
  })
  .parseAsync()
  .catch(reportFailure);
