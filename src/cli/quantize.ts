import { describeValue } from '../describe-value.js';
import { quantizeCheckpoint } from '../runner/quantize-checkpoint.js';
import type { Command } from './command.js';
import { declareFlags, optionsOf } from './command-line.js';
import { environmentOptions } from './environment.js';
import { withModelFolder } from './model-folder.js';
import { longProgress } from './progress.js';
import { readText } from './read-text.js';
import { stoppable } from './stop-signals.js';

const FLAGS = [
  'quantize',
  'quantize_head',
  'quant_group_size',
  'quant_format',
  'calibrate',
  'threads',
  'model_dirs',
  'allow_links',
  'json',
] as const;

interface Directories {
  readonly input: string;
  readonly output: string;
}

/** `atb-models quantize`: the integers that `--quantize` makes at load, as a checkpoint of their own. */
export const quantizeCommand: Command<Directories> = {
  builder: (argv) =>
    declareFlags(
      argv
        .positional('input', {
          type: 'string',
          demandOption: true,
          describe: 'directory of a float checkpoint',
        })
        .positional('output', { type: 'string', demandOption: true, describe: 'directory to make' }),
      {
        command: 'atb-models quantize',
        example: 'DIR OUT --quantize w4a16',
        flags: FLAGS,
        alsoKnown: ['input', 'output'],
        required: ['quantize'],
      },
    ),
  async handler(argv) {
    const { quantize, json, calibrateFile, ...options } = optionsOf(argv, FLAGS);
    if (quantize === undefined) throw new TypeError('declareFlags requires it');
    const { modelPath } = await withModelFolder({ modelPath: argv.input });
    const calibrate = calibrateFile === undefined ? undefined : readText('--calibrate', calibrateFile);
    const { keptFloat } = await stoppable((signal) =>
      quantizeCheckpoint({
        ...options,
        ...(calibrate !== undefined && { calibrate }),
        quantize,
        input: modelPath,
        output: argv.output,
        ...environmentOptions(),
        onProgress: longProgress(process.stderr, 'quantising'),
        signal,
      }),
    );
    if (json) process.stdout.write(`${JSON.stringify({ output: argv.output, keptFloat })}\n`);
    else
      for (const { name, reason } of keptFloat)
        process.stderr.write(`${describeValue(name)} stays floats: ${reason}\n`);
  },
};
