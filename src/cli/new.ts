import { open, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { AtbError, refuseRequest } from '../errors.js';
import { makeFolder } from '../make-folder.js';
import { loadModels } from '../models/get-model.js';
import { familyOf, getRouter, knownModelTypes } from '../router/index.js';
import { writing } from '../weights/durable-output.js';
import type { Command } from './command.js';
import { declareFlags, optionsOf } from './command-line.js';

export interface NewModelArguments {
  /** The directory to make; its name becomes the `model_type`. */
  readonly directory: string;
  /** The `model_type` of the family that it begins as. */
  readonly like: string;
}

/**
 * Writes a model directory that runs: another name for a known family, with the classes in which the difference goes.
 * Returns the file. Throws REQUEST_INVALID for a name or a directory that cannot be, OUTPUT_UNWRITABLE, ROUTER_UNKNOWN_MODEL.
 */
export async function writeNewModel({ directory, like: given }: NewModelArguments): Promise<string> {
  const folder = resolve(directory);
  const modelType = basename(folder);
  if (!/^[a-z][a-z0-9_]*$/.test(modelType))
    refuseRequest('DIRECTORY', 'a folder whose name is a model_type: small letters, digits and _', modelType);
  await loadModels();
  if (knownModelTypes().includes(modelType))
    refuseRequest('DIRECTORY', 'the name of a model_type that is not known yet', modelType);
  const like = familyOf(given);
  const { name: modelClass } = new (getRouter(like))('', { model_type: like }).modelClass;
  const file = join(folder, 'index.mjs');
  try {
    await writing('DIRECTORY', file, async () => {
      await makeFolder(folder);
      await writeWhole(file, sourceOf(modelType, like, modelClass));
    });
  } catch (error) {
    const { cause } = error as { cause?: NodeJS.ErrnoException };
    if (cause?.code !== 'EEXIST' || cause.path !== file) throw error;
    const expected = 'a folder that has no index.mjs yet';
    throw new AtbError('REQUEST_INVALID', { field: 'DIRECTORY', expected, found: folder }, { cause });
  }
  return file;
}

/** A new file with all of a text, or none: what a full disk cuts off goes again. */
async function writeWhole(file: string, text: string): Promise<void> {
  const handle = await open(file, 'wx');
  try {
    await handle.writeFile(text);
  } catch (error) {
    await rm(file, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
}

const camel = (name: string): string =>
  name.replace(/(?:^|_)([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/** The file of a family that differs from another in its name so far. */
function sourceOf(modelType: string, like: string, modelClass: string): string {
  const name = camel(modelType);
  return `import { ${modelClass}, getRouter, registerModel } from 'atb-models';

/**
 * ${modelType}: ${like} so far. What differs goes here: docs/adding-a-model.md has a table of differences and their pieces.
 * \`npx atb-models check\` says what is left over, \`npx atb-models compare\` which tensor differs first.
 */
export class Flash${name}ForCausalLMATB extends ${modelClass} {
  name = '${modelType}';
}

/** Reads config.json as ${like} does, and says which class runs it. With a configuration of its own: routerOf(CONFIG, class). */
export class ${name}Router extends getRouter('${like}') {
  getModelClass() {
    return Flash${name}ForCausalLMATB;
  }
}

registerModel('${modelType}', ${name}Router);
`;
}

const FLAGS = ['like', 'json'] as const;

/** `atb-models new`: a model directory to begin with. */
export const newCommand: Command = {
  builder: (argv) =>
    declareFlags(
      argv.positional('directory', {
        type: 'string',
        describe: 'folder to make; its name is the model_type',
      }),
      {
        command: 'atb-models new',
        example: 'my-models/my_llama --like llama',
        flags: FLAGS,
        alsoKnown: ['directory'],
      },
    ),
  async handler(argv) {
    const { json, like } = optionsOf(argv, FLAGS);
    const directory = String(argv.directory);
    const file = await writeNewModel({ directory, like });
    const modelType = basename(resolve(directory));
    process.stdout.write(
      json
        ? `${JSON.stringify({ file, modelType })}\n`
        : `${file}\nSet "model_type": "${modelType}" in config.json, then:\n` +
            `  npx atb-models check --model_dirs ${JSON.stringify(dirname(dirname(file)))} --model_path CHECKPOINT\n`,
    );
  },
};
