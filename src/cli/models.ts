import Table from 'cli-table3';
import type { CommandModule } from 'yargs';
import { loadModels } from '../models/get-model.js';
import { type KnownModel, knownModels, MODEL_KINDS } from '../router/index.js';
import { declareFlags, optionsOf } from './command-line.js';

function asTable(models: readonly KnownModel[]): string {
  const table = new Table({
    head: ['model_type', 'class', 'beside Llama', 'agrees with'],
    style: { head: [], border: [] },
    colWidths: [24, 36, 44, 26],
    wordWrap: true,
  });
  for (const { modelType, aliases, modelClass, features, reference } of models)
    table.push([
      [modelType, ...aliases].join(', '),
      modelClass,
      features.join('; '),
      reference ?? 'not stated',
    ]);
  return `${table.toString()}\n`;
}

/** The table of README.md: families by kind, so that it stays short. */
export function modelsAsMarkdown(models: readonly KnownModel[]): string {
  const rows = Object.entries(MODEL_KINDS).flatMap(([kind, title]) => {
    const cells = models.filter((model) => model.kind === kind).map(markdownCell);
    return cells.length === 0 ? [] : [`| ${title} | ${cells.join(', ')} |`];
  });
  return ['| what | `model_type` |', '|---|---|', ...rows, ''].join('\n');
}

function markdownCell({ modelType, aliases, features, reference }: KnownModel): string {
  const names = [modelType, ...aliases].map((name) => `\`${name}\``).join(', ');
  const notes =
    reference === 'transformers' ? features : [...features, `checked: ${reference ?? 'not stated'}`];
  return notes.length === 0 ? names : `${names} (${notes.join('; ')})`;
}

const FLAGS = ['json', 'markdown', 'model_dirs'] as const;

/** `atb-models models`: what is registered, from what the families say of themselves. */
export const modelsCommand: CommandModule = {
  command: 'models',
  describe: 'list the families of models that are known, with what they agree with',
  builder: (argv) =>
    declareFlags(argv, {
      command: 'atb-models models',
      example: '--json',
      flags: FLAGS,
    }),
  async handler(argv) {
    const { json, markdown, modelDirs } = optionsOf(argv, FLAGS);
    await loadModels(modelDirs);
    const models = knownModels();
    const text = json ? `${JSON.stringify(models, null, 2)}\n` : undefined;
    process.stdout.write(text ?? (markdown ? modelsAsMarkdown(models) : asTable(models)));
  },
};
