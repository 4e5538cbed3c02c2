import Table from 'cli-table3';
import { refuseRequest } from '../errors.js';
import { listCached, removeCached } from '../hub/cache.js';
import { loadModels } from '../models/get-model.js';
import { type KnownModel, knownModels, MODEL_KINDS } from '../router/index.js';
import { bytesText } from './bytes-text.js';
import type { Command } from './command.js';
import { declareFlags, type OptionsOf, optionsOf } from './command-line.js';
import { hubEnvironment } from './environment.js';

function asTable(models: readonly KnownModel[]): string {
  const table = new Table({
    head: ['model_type', 'class', 'beside Llama', 'agrees with'],
    style: { head: [], border: [] },
    colWidths: [25, 42, 37, 26],
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

/** The table of README.md: names by kind, so that it stays short; what each family does, `asTable` says. */
export function modelsAsMarkdown(models: readonly KnownModel[]): string {
  const rows = Object.entries(MODEL_KINDS).flatMap(([kind, title]) => {
    const cells = models.filter((model) => model.kind === kind).map(markdownCell);
    return cells.length === 0 ? [] : [`| ${title} | ${cells.join(', ')} |`];
  });
  return ['| what | `model_type` |', '|---|---|', ...rows, ''].join('\n');
}

function markdownCell({ modelType, aliases, reference }: KnownModel): string {
  const names = [modelType, ...aliases].map((name) => `\`${name}\``).join(', ');
  return reference === 'transformers' ? names : `${names} (checked: ${reference ?? 'not stated'})`;
}

const FLAGS = ['json', 'markdown', 'model_dirs'] as const;
type Flags = OptionsOf<(typeof FLAGS)[number]>;

/** What is registered, from what the families say of themselves. */
async function families({ json, markdown, modelDirs }: Flags): Promise<string> {
  await loadModels(modelDirs);
  const models = knownModels();
  if (json) return asJson(models);
  return markdown ? modelsAsMarkdown(models) : asTable(models);
}

/** What the Hugging Face cache holds. */
async function cached({ json }: Flags): Promise<string> {
  const models = await listCached(hubEnvironment());
  if (json) return asJson(models);
  const table = new Table({ head: ['model', 'bytes', 'revisions'], style: { head: [], border: [] } });
  for (const { name, bytes, revisions } of models) {
    const texts = revisions.map(({ commit, names }) => [commit.slice(0, 8), ...names].join(' '));
    table.push([name, bytesText(bytes), texts.join(', ')]);
  }
  return `${table.toString()}\n`;
}

/** Frees what the cache holds of a model. */
async function removed({ json }: Flags, name: string): Promise<string> {
  const bytes = await removeCached(name, hubEnvironment());
  return json ? asJson({ name, bytes }) : `${bytesText(bytes)} are free again\n`;
}

const asJson = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

const ACTIONS = ['list', 'rm'];

interface ModelsArguments {
  readonly action?: string | undefined;
  readonly name?: string | undefined;
}

/** `atb-models models`: the families that are known; `list` and `rm`: the models of the cache. */
export const modelsCommand: Command<ModelsArguments> = {
  builder: (argv) =>
    declareFlags(
      argv
        .positional('action', {
          type: 'string',
          describe: 'list: what the cache holds; rm: free a model of it; absent: the known families',
        })
        .positional('name', { type: 'string', describe: 'org/name, with rm' }),
      {
        command: 'atb-models models',
        example: 'list --json',
        flags: FLAGS,
        alsoKnown: ['action', 'name'],
      },
    ),
  async handler(argv) {
    const { action, name } = argv;
    if (action !== undefined && !ACTIONS.includes(action))
      refuseRequest('what follows models', `nothing, ${ACTIONS.join(' or ')}`, action);
    if ((action === 'rm') !== (name !== undefined))
      refuseRequest('models rm', 'followed by the name of a model', name);
    const flags = optionsOf(argv, FLAGS);
    if (name !== undefined) process.stdout.write(await removed(flags, name));
    else process.stdout.write(await (action === 'list' ? cached(flags) : families(flags)));
  },
};
