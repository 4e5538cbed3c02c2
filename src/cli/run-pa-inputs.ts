import { existsSync, statSync } from 'node:fs';
import type { PAInputs } from '../engine/pa-runner.js';
import { refuseRequest } from '../errors.js';
import type { OptionsOf, Parsed } from './command-line.js';
import { readDialogueFile } from './dialogue-file.js';
import { FLAGS } from './flags.js';
import { readText } from './read-text.js';

/** The flags that say what to answer. */
export const INPUT_FLAGS = ['input_texts', 'input_ids', 'input_file', 'input_dict'] as const;

const BY_PRECEDENCE = [
  'input_file',
  'input_dict',
  'input_ids',
  'input_texts',
] as const satisfies (typeof INPUT_FLAGS)[number][];

/**
 * The original's precedence: dialogues of a chat model, then input_dict, input_ids, input_texts.
 * @throws REQUEST_INVALID, OPTION_UNSUPPORTED
 */
export function readInputs({ texts, ids, file, dict }: OptionsOf<(typeof INPUT_FLAGS)[number]>): PAInputs {
  if (file !== undefined) return readDialogues(file);
  if (dict !== undefined) return readDict(dict);
  if (ids !== undefined) return readIds(ids);
  if (texts.length === 0) refuseRequest('--input_texts', 'at least one prompt', texts);
  return {
    kind: 'texts',
    prompts: texts.map((text) => (isFile(text) ? readText('--input_texts', text) : text)),
  };
}

/** A line about flags of that precedence that were given and are of no effect. `parsed`: what the command line says. */
export function inputWarnings(parsed: Parsed): string[] {
  const isGiven = (name: (typeof BY_PRECEDENCE)[number]): boolean =>
    parsed[name] !== undefined && JSON.stringify(parsed[name]) !== JSON.stringify(FLAGS.input_texts.default);
  const [first, ...others] = BY_PRECEDENCE.filter(isGiven).map((name) => `--${name}`);
  if (others.length === 0) return [];
  return [`only ${first} is answered: as in the original it goes before ${others.join(' and ')}`];
}

/** Whether a text is the name of a file that is there. */
export const isFile = (path: string): boolean =>
  path.length < 4096 && existsSync(path) && statSync(path).isFile();

/** @throws REQUEST_INVALID naming the flag */
export function parseJson(flag: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return refuseRequest(flag, 'valid JSON', text);
  }
}

function readDialogues(file: string): PAInputs {
  if (!isFile(file)) refuseRequest('--input_file', 'an existing file', file);
  return { kind: 'dialogues', dialogues: readDialogueFile(file) };
}

function readIds(lists: readonly string[]): PAInputs {
  const idOf = (part: string, list: string): number =>
    /^\s*\d{1,9}\s*$/.test(part)
      ? Number(part)
      : refuseRequest('--input_ids', 'token ids joined by commas', list);
  return {
    kind: 'tokens',
    prompts: lists.map((list) => Int32Array.from(list.split(','), (part) => idOf(part, list))),
  };
}

function readDict(text: string): PAInputs {
  const entries = parseJson('--input_dict', text);
  if (!Array.isArray(entries) || entries.length === 0)
    return refuseRequest('--input_dict', 'a list of at least one {"prompt","adapter"}', text);
  const asked = entries.map(askedOf);
  return {
    kind: 'texts',
    prompts: asked.map(({ prompt }) => prompt),
    adapters: asked.map(({ adapter }) => adapter),
  };
}

/** A prompt, and the name of the adapter that it is for: `base` is the original's name of none. */
function askedOf(entry: unknown): { readonly prompt: string; readonly adapter: string | undefined } {
  const { prompt, adapter } = (entry ?? {}) as { prompt?: unknown; adapter?: unknown };
  if (typeof prompt !== 'string')
    return refuseRequest('--input_dict', 'a string "prompt" in each entry', entry);
  if (adapter === undefined || adapter === 'base') return { prompt, adapter: undefined };
  if (typeof adapter !== 'string')
    return refuseRequest('--input_dict', 'the name of an adapter as "adapter", or none', entry);
  return { prompt, adapter };
}
