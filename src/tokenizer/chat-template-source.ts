import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AtbError } from '../errors.js';
import { isObject } from '../is-object.js';
import type { LinkOptions } from '../weights/regular-file.js';
import { readModelJson, readModelText } from './model-files.js';

/** Templates by name ("default", "tool_use", …), each with where it came from. */
export type ChatTemplateSources = ReadonlyMap<string, { readonly source: string; readonly name: string }>;

export interface ChatTemplateChoice extends LinkOptions {
  /** A template, a path of one, or the name of one of the checkpoint's, in place of that which it would take. */
  readonly chatTemplate?: string | undefined;
  /** What the Python code of the checkpoint's family writes, for a checkpoint without a template. */
  readonly familyTemplate?: string | undefined;
}

/** Far above what compiles; a longer file is refused without being read. */
const MAX_FILE_BYTES = 2 ** 20;
/** Where transformers writes the templates that are not the default one. */
const ADDITIONAL = 'additional_chat_templates';
/** Checkpoints have up to three. */
const MAX_ADDITIONAL = 32;

/**
 * The chat templates of a model directory, the first that exists: `option`; chat_template.jinja and
 * additional_chat_templates/; what its processor has, where it is a model that sees or hears; tokenizer_config.json; what a
 * processor would have; and what its family has for checkpoints without one. Empty when there is none.
 * @throws TEMPLATE_UNKNOWN when `option` is none of what it may be, TEMPLATE_INVALID for a malformed entry
 */
export async function findChatTemplates(
  dir: string,
  tokenizerConfig: Readonly<Record<string, unknown>>,
  { chatTemplate: option, familyTemplate, ...links }: ChatTemplateChoice = {},
): Promise<ChatTemplateSources> {
  if (option === undefined) return ownTemplates(dir, tokenizerConfig, familyTemplate, links);
  if (/\{[{%#]/.test(option)) return named(option, '--chat_template');
  const isFolder = (await stat(option).catch(() => undefined))?.isDirectory();
  const text = isFolder ? undefined : await readModelText(dirname(option), basename(option), MAX_FILE_BYTES);
  if (text !== undefined) return named(text, '--chat_template');
  const own = await ownTemplates(dir, tokenizerConfig, familyTemplate, links);
  const chosen = own.get(option);
  if (chosen === undefined) throw new AtbError('TEMPLATE_UNKNOWN', { option, names: [...own.keys()] });
  return new Map([['default', chosen]]);
}

async function ownTemplates(
  dir: string,
  tokenizerConfig: Readonly<Record<string, unknown>>,
  familyTemplate: string | undefined,
  links: LinkOptions,
): Promise<ChatTemplateSources> {
  const inFiles = await templateFiles(dir, links);
  if (inFiles.size > 0) return inFiles;
  const ofTokenizer = () =>
    namedEntries(tokenizerConfig.chat_template ?? [], join(dir, 'tokenizer_config.json'));
  const ofProcessor = await processorTemplates(dir, links);
  const [first, second] = ofProcessor.isUsed
    ? [ofProcessor.templates, ofTokenizer]
    : [ofTokenizer(), () => ofProcessor.templates];
  if (first.size > 0) return first;
  const others = second();
  return others.size === 0 && familyTemplate !== undefined ? named(familyTemplate, 'its family') : others;
}

/** As transformers 5 writes them: the default one in a file of its own, the others in a folder, by their names. */
async function templateFiles(dir: string, links: LinkOptions): Promise<ChatTemplateSources> {
  const folder = join(dir, ADDITIONAL);
  const listed = await readdir(folder).catch((): string[] => []);
  const names = listed.filter((file) => file.endsWith('.jinja')).sort();
  if (names.length > MAX_ADDITIONAL)
    throw new AtbError('TEMPLATE_LIMIT', { source: folder, what: 'templates', limit: MAX_ADDITIONAL });
  const files = [
    ['default', dir, 'chat_template.jinja'],
    ...names.map((file) => [file.slice(0, -'.jinja'.length), folder, file]),
  ] as const;
  const found = new Map<string, { source: string; name: string }>();
  for (const [name, place, file] of files as readonly (readonly [string, string, string])[]) {
    const source = await readModelText(place, file, MAX_FILE_BYTES, links);
    if (source !== undefined) found.set(name, { source, name: `the chat template of ${join(place, file)}` });
  }
  return found;
}

/** `isUsed`: the model has pictures or sound, whose processor transformers asks before the tokenizer. */
async function processorTemplates(
  dir: string,
  links: LinkOptions,
): Promise<{ readonly templates: ChatTemplateSources; readonly isUsed: boolean }> {
  const [legacy, config, preprocessor] = await Promise.all(
    ['chat_template.json', 'processor_config.json', 'preprocessor_config.json'].map((name) =>
      readModelJson(dir, name, links),
    ),
  );
  const isUsed = config !== undefined || preprocessor !== undefined;
  const files = { 'processor_config.json': config, 'chat_template.json': legacy };
  for (const [name, value] of Object.entries(files)) {
    const template = isObject(value) ? (value.chat_template ?? undefined) : undefined;
    if (template !== undefined) return { templates: namedEntries(template, join(dir, name)), isUsed };
  }
  return { templates: new Map(), isUsed };
}

function named(source: string, name: string): ChatTemplateSources {
  return new Map([['default', { source, name: `the chat template of ${name}` }]]);
}

/** A text, a list of `{name, template}`, or an object of texts by name. */
function namedEntries(value: unknown, file: string): ChatTemplateSources {
  if (typeof value === 'string') return named(value, file);
  const templates = new Map<string, { source: string; name: string }>();
  const entries: unknown[] =
    isObject(value) && Object.keys(value).length > 0
      ? Object.entries(value).map(([name, template]) => ({ name, template }))
      : [value].flat();
  for (const entry of entries) {
    const { name, template } = isObject(entry) ? entry : {};
    if (typeof name !== 'string' || typeof template !== 'string') {
      const reason =
        'chat_template must be a text, a list of {"name", "template"} or an object of texts by name';
      throw new AtbError('TEMPLATE_INVALID', { source: file, reason });
    }
    templates.set(name, { source: template, name: `the chat template "${name.slice(0, 64)}" of ${file}` });
  }
  return templates;
}
