import { lstat, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AtbError, refuseRequest } from '../errors.js';
import { isObject } from '../is-object.js';
import type { ConfigDict } from '../layers/config/index.js';
import { readModelJson } from '../tokenizer/model-files.js';
import { parsePythonJson } from '../tokenizer/python-json.js';
import { adapterFolders } from '../weights/checkpoint-files.js';
import { isGgufPath } from '../weights/gguf/model-file.js';
import { followAllowed, type LinkOptions, readExactly, readRegularFile } from '../weights/regular-file.js';
import { describeNoConfig, describeNoFolder } from './model-folder.js';

/** Published ones have a few kilobytes. */
const MAX_CONFIG_BYTES = 4 * 1024 * 1024;

/** A model directory's config.json, as Python reads it. Throws CONFIG_INVALID that says what is wrong with the directory or the file. */
export async function readConfigDict(modelPath: string, options: LinkOptions = {}): Promise<ConfigDict> {
  // Of the directory's many ways here, some come from JavaScript without a check.
  if (typeof modelPath !== 'string' || modelPath === '')
    refuseRequest('modelPath', 'the directory of a checkpoint', modelPath);
  const file = join(modelPath, 'config.json');
  const fail = (problem: string, cause?: unknown, at = file): AtbError =>
    new AtbError('CONFIG_INVALID', { file: at, problems: [problem] }, { cause });
  const folder = await stat(modelPath).catch(() => undefined);
  if (folder?.isFile() && isGgufPath(modelPath))
    return (await readModelJson(modelPath, 'config.json')) as ConfigDict;
  if (!folder?.isDirectory()) throw fail(await describeNoFolder(modelPath), undefined, modelPath);
  if (!(await lstat(file).catch(() => undefined))) throw fail(await describeNoConfig(modelPath));
  let text: string;
  try {
    text = await readRegularFile(await followAllowed(file, options), modelPath, async (handle, stamp) => {
      if (stamp.size > MAX_CONFIG_BYTES) throw fail(`has ${stamp.size} bytes, more than ${MAX_CONFIG_BYTES}`);
      const bytes = Buffer.alloc(stamp.size);
      await readExactly(handle, stamp, bytes, 0, stamp.size, 0);
      try {
        return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
      } catch (error) {
        throw fail('is not text in UTF-8; copy it from where the checkpoint comes from', error);
      }
    });
  } catch (error) {
    if (error instanceof AtbError && error.code === 'CONFIG_INVALID') throw error;
    throw fail(error instanceof Error ? error.message : String(error), error);
  }
  let parsed: unknown;
  try {
    parsed = parsePythonJson(text);
  } catch (error) {
    throw fail(`is not JSON: ${error instanceof Error ? error.message : error}`, error);
  }
  if (!isObject(parsed)) throw fail('must hold an object');
  return parsed;
}

/**
 * What config.json says, and what peft's files say of adapters: of one that config.json tells of, beside the weights, as
 * `adapter_config`; of those in folders where models of its `model_type` have them, as `adapterFolders` says. Throws
 * CONFIG_INVALID.
 */
export async function withAdapter(
  modelPath: string,
  read: ConfigDict,
  options: LinkOptions = {},
): Promise<ConfigDict> {
  const places = [
    ...(read.has_lora_adapter === true ? [{ folder: '.', section: 'adapter_config' }] : []),
    ...adapterFolders(read),
  ];
  const found = await Promise.all(
    places.map(async ({ folder, section }) => [
      section,
      await readModelJson(modelPath, join(folder, 'adapter_config.json'), options),
    ]),
  );
  return { ...read, ...Object.fromEntries(found.filter(([, said]) => said !== undefined)) };
}
