import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describeValue } from '../describe-value.js';
import { isGgufPath } from '../weights/gguf/model-file.js';

const WEIGHTS_FILE = /\.(safetensors|bin|pt|pth|ckpt|gguf)$/i;
/** `owner/name` of Hugging Face, which might as well be a path. */
const HUB_ID = /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/;

/** Files that tell another kind of folder, and what to give instead. */
const OTHER_FOLDERS: ReadonlyArray<readonly [pattern: RegExp, problem: string]> = [
  [
    /^params\.json$/,
    "the folder holds a checkpoint in Meta's or Mistral's own format; give one in Hugging Face's format, or convert it with transformers",
  ],
  [/^model_index\.json$/, 'the folder holds a pipeline of diffusers; give the folder of its language model'],
  [/\.nemo$/i, 'the folder holds a checkpoint of NeMo; export it in the format of Hugging Face'],
];

/** What is wrong with a path that is no model directory, and what to give instead. */
export async function describeNoFolder(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  const shown = describeValue(path);
  if (found !== undefined) {
    return WEIGHTS_FILE.test(path) || basename(path) === 'config.json'
      ? 'is a file; give the folder that holds it'
      : `${shown} is not a folder`;
  }
  if (!HUB_ID.test(path)) return `${shown} is not a folder: there is nothing of this name`;
  return `${shown} is not a folder; if it is the name of a model at Hugging Face, download it (\`atb-models pull ${path}\`) and give the folder that this prints`;
}

/** Why a folder has no config.json, and what to give instead. */
export async function describeNoConfig(folder: string): Promise<string> {
  const names = (await readdir(folder).catch(() => [])).sort();
  if (names.includes('adapter_config.json')) return `is missing: ${await adapterText(folder)}`;
  const snapshot = await snapshotOf(folder, names);
  if (snapshot !== undefined) return `does not exist: the folder is a Hugging Face cache; give ${snapshot}`;
  // Of one that was cut, the first file stands for all.
  const gguf = names.filter((name) => isGgufPath(name) && !/-(?!00001-of)\d{5}-of-\d{5}\.gguf$/i.test(name));
  if (gguf.length > 0)
    return `does not exist: the folder holds GGUF files; give one of them, as ${describeValue(join(folder, gguf[0] ?? ''))}`;
  for (const [pattern, problem] of OTHER_FOLDERS) {
    if (names.some((name) => pattern.test(name))) return `does not exist: ${problem}`;
  }
  for (const name of names) {
    const inner = join(folder, name);
    if (await stat(join(inner, 'config.json')).catch(() => undefined))
      return `does not exist, but ${describeValue(join(inner, 'config.json'))} does; give ${describeValue(inner)}`;
  }
  const isWeights = names.some((name) => WEIGHTS_FILE.test(name));
  return isWeights
    ? 'does not exist beside the weights; copy it from where the checkpoint comes from'
    : 'does not exist: this is not the folder of a checkpoint';
}

async function adapterText(folder: string): Promise<string> {
  const text = await readFile(join(folder, 'adapter_config.json'), 'utf8').catch(() => '');
  const [, base] = /"base_model_name_or_path"\s*:\s*("(?:[^"\\]|\\.)*")/.exec(text) ?? [];
  const of = base === undefined ? '' : ` of ${describeValue(JSON.parse(base))}`;
  return `the folder holds an adapter${of}, not a model; give the folder of its base model, and this one with \`--lora_modules '{"NAME": "FOLDER"}'\``;
}

/** In a cache's folder of a model (`models--owner--name`, or its `snapshots`): the folder of the revision that was fetched last. */
async function snapshotOf(folder: string, names: readonly string[]): Promise<string | undefined> {
  const isModel = names.includes('snapshots');
  if (!isModel && basename(folder) !== 'snapshots') return undefined;
  const snapshots = isModel ? join(folder, 'snapshots') : folder;
  const revisions = (await readdir(snapshots).catch(() => [])).sort();
  const main = (await readFile(join(snapshots, '..', 'refs', 'main'), 'utf8').catch(() => '')).trim();
  const revision = revisions.find((name) => name === main) ?? revisions[0];
  return revision === undefined
    ? 'a folder below its snapshots/, of which there is none: download the model again'
    : describeValue(join(snapshots, revision));
}
