import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describeValue } from '../describe-value.js';
import { AtbError } from '../errors.js';
import type { NamedFile } from './merge-tensors.js';
import type { SafetensorsFile } from './safetensors-file.js';

export const SINGLE_FILE = 'model.safetensors';
/** What Mistral calls its one file, and others that have its names: with other names in it, or with the usual ones. */
const CONSOLIDATED_FILE = 'consolidated.safetensors';
/** What peft writes of an adapter, which some models have beside their weights. */
export const ADAPTER_FILE = 'adapter_model.safetensors';
export const INDEX_FILE = 'model.safetensors.index.json';
const RESAVE =
  'load it once with transformers and write it with `model.save_pretrained(folder, safe_serialization=True)`';

/** Files of other formats that a model directory may hold instead, and what the user can do about each. */
const FOREIGN_FORMATS: ReadonlyArray<readonly [pattern: RegExp, remedy: string]> = [
  [/\.(incomplete|part|crdownload|aria2)$/, 'its download is not complete; download it again'],
  [
    /^adapter_model\./,
    'it is an adapter; give the folder of its base model, and this one with --lora_modules',
  ],
  [
    /^consolidated.*\.safetensors$/,
    `it is in Mistral's own format, whose names and rows are others; fetch the files of the same model in Hugging Face's format (${SINGLE_FILE}, or ${INDEX_FILE} and what it names), or convert it with transformers`,
  ],
  [
    /\.safetensors$/,
    `rename it to ${SINGLE_FILE} if it is the whole model; of several files, ${INDEX_FILE} or some of the files are missing`,
  ],
  [/\.safetensors\.index\.json$/, `rename it to ${INDEX_FILE}, and fetch the files that it names`],
  [/\.gguf$/i, 'a GGUF file is a model by itself: give the file in place of its folder'],
  [/\.(bin|pt|pth|ckpt)$/i, `pickled files can run code and are not read; ${RESAVE}`],
  [/\.(h5|msgpack|onnx|onnx_data|npz)$/i, `this format is not read; ${RESAVE}`],
];

/** Whether the names of tensors are those of Mistral's own format, whose rows are others, too. */
export const isOfMistral = (names: Iterable<string>): boolean =>
  [...names].some(
    (name) => name === 'tok_embeddings.weight' || /^layers\.\d+\.attention\.w[qkvo]\./.test(name),
  );

const NUMBERED = /^model-(\d{5})-of-(\d{5})\.safetensors$/;

/**
 * The files of a checkpoint that has no index: those whose names say that they are all there, which vLLM and mlx-lm read,
 * too, or Mistral's one file. Empty when there are none.
 */
export async function filesWithoutIndex(directory: string): Promise<readonly string[]> {
  const listed = (await readdir(directory).catch((): string[] => [])).sort();
  const names = listed.filter((name) => NUMBERED.test(name));
  const count = String(names.length).padStart(5, '0');
  const isWhole = names.every((name, index) => {
    const [, number, of] = NUMBERED.exec(name) ?? [];
    return Number(number) === index + 1 && of === count;
  });
  return names.length > 0 && isWhole ? names : listed.filter((name) => name === CONSOLIDATED_FILE);
}

/** An adapter in a folder of its own, as peft writes it. */
export interface AdapterFolder {
  readonly folder: string;
  /** What the model calls it in names of its tensors. */
  readonly name: string;
  /** Where what peft says of it stands beside what config.json says. */
  readonly section: string;
}

/** Of models that have several adapters, by model_type. */
const ADAPTER_FOLDERS: Readonly<Record<string, readonly AdapterFolder[]>> = {
  phi4_multimodal: [
    { folder: 'vision-lora', name: 'vision', section: 'vision_lora' },
    { folder: 'speech-lora', name: 'speech', section: 'speech_lora' },
  ],
};

/** The folders in which a model may have adapters. */
export const adapterFolders = ({
  model_type: type,
}: Readonly<Record<string, unknown>>): readonly AdapterFolder[] =>
  typeof type === 'string' && Object.hasOwn(ADAPTER_FOLDERS, type) ? (ADAPTER_FOLDERS[type] ?? []) : [];

/** A file of an adapter; `adapter`: its name, where there are several, whose tensors are all called alike. */
interface AdapterFile {
  readonly name: string;
  readonly adapter?: string;
}

/** Opens the files of adapters that config.json, or what peft says, tells of, where there are any. */
export async function openAdapters(
  directory: string,
  config: Readonly<Record<string, unknown>> = {},
  open: (name: string) => Promise<NamedFile>,
): Promise<readonly NamedFile[]> {
  const told: AdapterFile[] = [
    ...(config.has_lora_adapter === true ? [{ name: ADAPTER_FILE }] : []),
    ...adapterFolders(config)
      .filter(({ section }) => section in config)
      .map(({ folder, name }) => ({ name: join(folder, ADAPTER_FILE), adapter: name })),
  ];
  const there = await Promise.all(told.map(({ name }) => exists(join(directory, name))));
  return Promise.all(
    told
      .filter((_, at) => there[at])
      .map(async ({ name, adapter }) => {
        const { file } = await open(name);
        return { name, file: adapter === undefined ? file : ofAdapter(file, adapter) };
      }),
  );
}

/** Its tensors by the names of the adapter that they are of: `q_proj.lora_A.vision.weight`. */
export const ofAdapter = (file: SafetensorsFile, adapter: string): SafetensorsFile => ({
  ...file,
  tensors: new Map(
    [...file.tensors].map(([name, tensor]) => [
      name.replace(/(\.lora_[AB])(?:\.default)?\.weight$/, `$1.${adapter}.weight`),
      tensor,
    ]),
  ),
});

/** Why a model directory without weights that are read has none. */
export async function describeMissing(directory: string): Promise<AtbError> {
  let names: string[];
  try {
    names = (await readdir(directory)).sort();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return new AtbError('WEIGHT_FILE_UNREADABLE', { file: directory, reason }, { cause: error });
  }
  for (const [pattern, remedy] of FOREIGN_FORMATS) {
    const found = names.find((name) => pattern.test(name));
    if (found !== undefined) return new AtbError('WEIGHT_CHECKPOINT_FORMAT', { directory, found, remedy });
  }
  const shown = names.slice(0, 8).map((name) => describeValue(name));
  const more = names.length > shown.length ? ` and ${names.length - shown.length} more` : '';
  return new AtbError('WEIGHT_CHECKPOINT_MISSING', {
    directory,
    found: names.length === 0 ? 'an empty directory' : `${shown.join(', ')}${more}`,
  });
}

/** Whether the directory has an entry of this name, even if it is a link whose target is gone. */
export async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return false;
    return true;
  }
}
