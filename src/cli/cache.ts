import Table from 'cli-table3';
import { refuseRequest } from '../errors.js';
import { listEntries, type PackedEntry, removeEntries } from '../runner/packed-entries.js';
import { bytesText } from './bytes-text.js';
import type { Command } from './command.js';
import { type CommandShape, declareFlags, optionsOf } from './command-line.js';
import { environmentOptions } from './environment.js';

const ACTIONS = ['list', 'rm'];
const SHAPE: CommandShape = {
  command: 'atb-models cache',
  example: 'list --weights_cache DIR',
  flags: ['weights_cache', 'json'],
  alsoKnown: ['action', 'names'],
  required: ['weights_cache'],
};

function asTable(entries: readonly PackedEntry[]): string {
  const table = new Table({
    head: ['entry', 'state', 'bytes', 'form', 'isa', 'model'],
    style: { head: [], border: [] },
  });
  for (const { name, state, bytes, form = '', isa = '', model = '' } of entries)
    table.push([name, state, bytesText(bytes), form, isa, model]);
  return `${table.toString()}\n`;
}

/** The entries that names mean. */
function named(entries: readonly PackedEntry[], names: readonly string[]): readonly PackedEntry[] {
  return entries.filter(({ name, state }) => {
    if (names.includes('all') || names.includes(name)) return true;
    return names.includes('stale') && state !== 'current';
  });
}

/** @throws REQUEST_INVALID for a name that means none */
function requireKnown(entries: readonly PackedEntry[], names: readonly string[]): void {
  const known = new Set(['all', 'stale', ...entries.map(({ name }) => name)]);
  const unknown = names.find((name) => !known.has(name));
  if (unknown !== undefined)
    refuseRequest('cache rm', `followed by names that \`cache list\` shows, stale or all`, unknown);
}

/** `atb-models cache`: the packed weights that a folder keeps, and freeing them. */
export const cacheCommand: Command<{
  readonly action: string | undefined;
  readonly names?: readonly string[] | undefined;
}> = {
  builder: (argv) =>
    declareFlags(
      argv.positional('action', { type: 'string', describe: 'list, or rm' }).positional('names', {
        type: 'string',
        array: true,
        describe: 'with rm: entries, stale (and damaged ones), or all',
      }),
      SHAPE,
    ),
  async handler(argv) {
    const { action = '', names = [] } = argv;
    if (!ACTIONS.includes(action)) refuseRequest('cache', `followed by ${ACTIONS.join(' or ')}`, action);
    if ((action === 'rm') !== names.length > 0)
      refuseRequest('cache rm', 'followed by entries, stale or all', names);
    const { weightsCache = '', json } = optionsOf(argv, ['weights_cache', 'json']);
    const entries = await listEntries(weightsCache, environmentOptions().nativePath);
    requireKnown(entries, names);
    const meant = action === 'rm' ? named(entries, names) : entries;
    if (action === 'rm') await removeEntries(weightsCache, meant);
    if (json) process.stdout.write(`${JSON.stringify(meant, null, 2)}\n`);
    else if (action === 'list') process.stdout.write(asTable(meant));
    else {
      const bytes = meant.reduce((sum, entry) => sum + entry.bytes, 0);
      process.stdout.write(`${bytesText(bytes)} are free again\n`);
    }
  },
};
