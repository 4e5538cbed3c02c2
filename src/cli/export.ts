import { exportModel } from '../npu-export/export-model.js';
import type { Command } from './command.js';
import { declareFlags, optionsOf } from './command-line.js';
import { withModelFolder } from './model-folder.js';

const FLAGS = ['dtype', 'block_size', 'max_position_embeddings', 'model_dirs', 'json'] as const;

interface Directories {
  readonly input: string;
  readonly output: string;
}

/** `atb-models export`: what an NPU needs to run a checkpoint. */
export const exportCommand: Command<Directories> = {
  builder: (argv) =>
    declareFlags(
      argv
        .positional('input', {
          type: 'string',
          demandOption: true,
          describe: 'directory of a checkpoint',
        })
        .positional('output', { type: 'string', demandOption: true, describe: 'directory to make' }),
      {
        command: 'atb-models export',
        example: 'DIR OUT',
        flags: FLAGS,
        alsoKnown: ['input', 'output'],
      },
    ),
  async handler(argv) {
    const { json, ...options } = optionsOf(argv, FLAGS);
    const files = await exportModel({
      ...options,
      ...(await withModelFolder({ modelPath: argv.input })),
      output: argv.output,
      onWarning: (text) => process.stderr.write(`${text}\n`),
    });
    process.stdout.write(json ? `${JSON.stringify({ files })}\n` : `${files.join('\n')}\n`);
  },
};
