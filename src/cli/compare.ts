import { compareWithReference, type TensorComparison } from '../runner/compare.js';
import { openModel } from '../runner/open-model.js';
import type { Command } from './command.js';
import { declareFlags, optionsOf } from './command-line.js';
import { environmentOptions } from './environment.js';
import { withModelFolder } from './model-folder.js';
import { loadProgress } from './progress.js';

/** One line of the table: what differs, by how much, and where first. */
export function comparisonText({ reference, tensor, ...found }: TensorComparison): string {
  const { maxAbs, cosine, firstBad, tolerance } = found;
  const verdict = firstBad
    ? `differs from [${firstBad}] on; the tolerance is ${tolerance.toExponential(1)}`
    : 'ok';
  const figures = `max abs ${maxAbs.toExponential(1)}  cosine ${cosine.toFixed(6)}`;
  return `${reference.padEnd(44)} ${tensor.padEnd(34)} ${figures}  ${verdict}\n`;
}

const FLAGS = [
  'model_path',
  'reference',
  'model_dirs',
  'dtype',
  'tolerance',
  'isa',
  'threads',
  'json',
  'allow_unread',
  'allow_links',
] as const;

/** `atb-models compare`: the first tensor that differs from the reference implementation's. Ends with 1 when one does. */
export const compareCommand: Command = {
  builder: (argv) =>
    declareFlags(argv, {
      command: 'atb-models compare',
      example: '--model_path DIR --reference recorded',
      flags: FLAGS,
    }),
  async handler(argv) {
    const { json, reference, tolerance, threads, isa, ...options } = await withModelFolder(
      optionsOf(argv, FLAGS),
    );
    const all: TensorComparison[] = [];
    const open = await openModel(options);
    const different = await compareWithReference(open, {
      reference,
      ...(tolerance !== undefined && { tolerance }),
      ...(threads !== undefined && { threads }),
      ...(isa !== undefined && { isa }),
      ...environmentOptions(),
      onProgress: loadProgress(process.stderr),
      onTensor(compared) {
        all.push(compared);
        if (!json) process.stdout.write(comparisonText(compared));
      },
    });
    if (json) process.stdout.write(`${JSON.stringify(all, null, 2)}\n`);
    else process.stdout.write(different ? '' : `all ${all.length} tensors agree\n`);
    if (different) process.exitCode = 1;
  },
};
