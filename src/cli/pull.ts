import { pullModel } from '../hub/pull.js';
import type { Command } from './command.js';
import { declareFlags, optionsOf } from './command-line.js';
import { hubEnvironment } from './environment.js';
import { longProgress } from './progress.js';
import { stoppable } from './stop-signals.js';

const FLAGS = ['json'] as const;

/** `atb-models pull`: a model of the hub into the cache, where every `--model_path` finds it by name. */
export const pullCommand: Command<{ readonly model: string }> = {
  builder: (argv) =>
    declareFlags(
      argv.positional('model', {
        type: 'string',
        demandOption: true,
        describe: 'org/name or org/name@revision',
      }),
      {
        command: 'atb-models pull',
        example: 'HuggingFaceTB/SmolLM2-135M-Instruct',
        flags: FLAGS,
        alsoKnown: ['model'],
      },
    ),
  async handler(argv) {
    const { json } = optionsOf(argv, FLAGS);
    const pulled = await stoppable((signal) =>
      pullModel(argv.model, {
        ...hubEnvironment(),
        signal,
        onProgress: longProgress(process.stderr, 'fetching'),
      }),
    );
    process.stdout.write(json ? `${JSON.stringify(pulled)}\n` : `${pulled.folder}\n`);
  },
};
