import { basename, dirname, join } from 'node:path';
import { AtbError } from '../errors.js';
import type { LinkOptions } from '../weights/regular-file.js';
import { readModelJson, readModelText } from './model-files.js';

/** Templates by name ("default", "tool_use", …), each with where it came from. */
export type ChatTemplateSources = ReadonlyMap<string, { readonly source: string; readonly name: string }>;

export interface ChatTemplateChoice extends LinkOptions {
  /** A template, or a path of one, in place of the checkpoint's. */
  readonly chatTemplate?: string | undefined;
  /** What the Python code of the checkpoint's family writes, for a checkpoint without a template. */
  readonly familyTemplate?: string | undefined;
}

/** Far above what compiles; a longer file is refused without being read. */
const MAX_FILE_BYTES = 2 ** 20;

/**
 * The chat templates of a model directory, the first that exists: `option` (a template, or a path of one),
 * chat_template.jinja, chat_template.json, tokenizer_config.json, and what its family has for checkpoints without one.
 * Empty when there is none.
 * @throws TEMPLATE_MISSING when `option` is neither a template nor a file, TEMPLATE_INVALID for a malformed entry
 */
export async function findChatTemplates(
  dir: string,
  tokenizerConfig: Readonly<Record<string, unknown>>,
  { chatTemplate: option, familyTemplate, ...links }: ChatTemplateChoice = {},
): Promise<ChatTemplateSources> {
  if (option !== undefined) return named(await readOption(option), '--chat_template');
  const text = await readModelText(dir, 'chat_template.jinja', MAX_FILE_BYTES, links);
  if (text !== undefined) return named(text, join(dir, 'chat_template.jinja'));
  const json = await readModelJson(dir, 'chat_template.json', links);
  const fromJson =
    typeof json === 'object' && json !== null && 'chat_template' in json ? json.chat_template : undefined;
  if (fromJson !== undefined) return namedEntries(fromJson, join(dir, 'chat_template.json'));
  const inConfig = namedEntries(tokenizerConfig.chat_template ?? [], join(dir, 'tokenizer_config.json'));
  return inConfig.size === 0 && familyTemplate !== undefined ? named(familyTemplate, 'its family') : inConfig;
}

async function readOption(option: string): Promise<string> {
  if (/\{[{%#]/.test(option)) return option;
  const text = await readModelText(dirname(option), basename(option), MAX_FILE_BYTES);
  if (text === undefined) throw new AtbError('TEMPLATE_MISSING', { looked: [option] });
  return text;
}

function named(source: string, name: string): ChatTemplateSources {
  return new Map([['default', { source, name: `the chat template of ${name}` }]]);
}

/** A text, or a list of `{name, template}`. */
function namedEntries(value: unknown, file: string): ChatTemplateSources {
  if (typeof value === 'string') return named(value, file);
  const templates = new Map<string, { source: string; name: string }>();
  for (const entry of Array.isArray(value) ? value : [undefined]) {
    const { name, template } = (entry ?? {}) as Record<string, unknown>;
    if (typeof name !== 'string' || typeof template !== 'string') {
      const reason = 'chat_template must be a text or a list of {"name", "template"}';
      throw new AtbError('TEMPLATE_INVALID', { source: file, reason });
    }
    templates.set(name, { source: template, name: `the chat template "${name.slice(0, 64)}" of ${file}` });
  }
  return templates;
}
