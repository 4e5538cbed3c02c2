import { pullModel } from '../hub/pull.js';
import type { Command } from './command.js';
import { declareFlags, optionsOf } from './command-line.js';
import { hubEnvironment } from './environment.js';
import { longProgress } from './progress.js';
import { stoppable } from './stop-signals.js';

const FLAGS = ['json'] as const;

/**
 * `atb-models pull`: a model of the hub into the cache, where every `--model_path` finds it by name; or one GGUF file, whose
 * path is printed.
 */
export const pullCommand: Command<{ readonly model: string; readonly file?: string }> = {
  builder: (argv) =>
    declareFlags(
      argv
        .positional('model', {
          type: 'string',
          demandOption: true,
          describe: 'org/name or org/name@revision',
        })
        .positional('file', { type: 'string', describe: 'a GGUF file of it' }),
      {
        command: 'atb-models pull',
        example: 'HuggingFaceTB/SmolLM2-135M-Instruct',
        flags: FLAGS,
        alsoKnown: ['model', 'file'],
      },
    ),
  async handler(argv) {
    const { json } = optionsOf(argv, FLAGS);
    const pulled = await stoppable((signal) =>
      pullModel(argv.model, {
        ...hubEnvironment(),
        file: argv.file,
        signal,
        onProgress: longProgress(process.stderr, 'fetching'),
      }),
    );
    process.stdout.write(json ? `${JSON.stringify(pulled)}\n` : `${pulled.path}\n`);
  },
};
