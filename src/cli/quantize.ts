import type { Argv, CommandModule } from 'yargs';
import { quantizeCheckpoint } from '../runner/quantize-checkpoint.js';
import { environmentOptions } from './environment.js';
import { MODEL_DIRS_FLAG } from './flags.js';
import { loadProgress } from './progress.js';
import { QUANTIZE_FLAGS, quantizeOptions } from './quantize-flags.js';

function declareOptions(argv: Argv<object>) {
  return argv
    .positional('input', {
      type: 'string',
      demandOption: true,
      describe: 'directory of a float checkpoint',
    })
    .positional('output', { type: 'string', demandOption: true, describe: 'directory to make' })
    .options({ ...QUANTIZE_FLAGS, quantize: { ...QUANTIZE_FLAGS.quantize, demandOption: true } })
    .option('threads', { type: 'number', describe: 'compute threads (all cores)' })
    .options(MODEL_DIRS_FLAG);
}

type Parsed = Awaited<ReturnType<typeof declareOptions>['argv']>;

/** `atb-models quantize`: the integers that `--quantize` makes at load, as a checkpoint of their own. */
export const quantizeCommand: CommandModule<object, Parsed> = {
  command: 'quantize <input> <output>',
  describe: 'write a quantised checkpoint, which loads without the float one',
  builder: declareOptions,
  async handler(argv) {
    await quantizeCheckpoint({
      input: argv.input,
      output: argv.output,
      ...quantizeOptions(argv),
      quantize: argv.quantize,
      modelDirs: argv.model_dirs,
      ...(argv.threads !== undefined && { threads: argv.threads }),
      ...environmentOptions(),
      onProgress: loadProgress(process.stderr),
    });
  },
};
