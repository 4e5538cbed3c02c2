import { join } from 'node:path';
import { toFloat32 } from '../../dtype.js';
import { AtbError } from '../../errors.js';
import { isObject } from '../../is-object.js';
import { readModelJson } from '../../tokenizer/model-files.js';
import { Checkpoint } from '../../weights/checkpoint.js';
import { readTensor } from '../../weights/read-tensor.js';
import { isText, ModuleFile, type ModuleFolder } from './module-files.js';
import { type DenseStep, dense, normalized, POOLING_MODES, type PoolingMode } from './pooling.js';

/** What sentence-transformers' files say about a model: how hidden states become vectors. */
export interface SentenceModules {
  /** Absent: the tokenizer and the model's positions decide. */
  readonly maxSeqLength: number | undefined;
  readonly lowercase: boolean;
  readonly pooling: {
    readonly modes: readonly PoolingMode[];
    /** Whether the tokens of a prompt count. */
    readonly includesPrompt: boolean;
  };
  /** Numbers of a vector. */
  readonly width: number;
  /** What becomes of the pooled vector, in order. */
  readonly steps: readonly ((vector: Float32Array) => Float32Array)[];
  /** What is put before a text, by name. */
  readonly prompts: ReadonlyMap<string, string>;
  readonly defaultPromptName: string | undefined;
}

/** The names that this file has had. */
const TRANSFORMER_FILES = [
  'bert',
  'roberta',
  'distilbert',
  'camembert',
  'albert',
  'xlm-roberta',
  'xlnet',
].map((model) => `sentence_${model}_config.json`);

/**
 * Reads modules.json and the files that it names, as sentence-transformers 6.2 does. Without modules.json it takes the
 * last token of a causal language model and the mean of any other.
 * @throws CONFIG_INVALID for what is malformed and, by name, for what is not supported; TOKENIZER_INVALID for a file that
 * is not JSON; WEIGHT_* for weights of a Dense
 */
export async function readSentenceModules(
  folder: ModuleFolder,
  hiddenSize: number,
  isCausalLM: boolean,
): Promise<SentenceModules> {
  const transformer = await readTransformer(folder);
  const prompts = await readPrompts(folder);
  const modules = await readModuleList(folder);
  if (!modules) {
    const modes = [isCausalLM ? 'lasttoken' : 'mean'] as const;
    const pooling = { modes, includesPrompt: true };
    return { ...transformer, ...prompts, pooling, width: hiddenSize, steps: [] };
  }
  const [first, second, ...rest] = modules;
  if (first?.type !== 'Transformer' || second?.type !== 'Pooling' || first.path !== '') {
    const found = modules.map(({ type, path }) => `${type}${path && ` in ${path}`}`).join(', ');
    throw unsupported(
      folder,
      `must begin with a Transformer in the folder itself and Pooling, found ${found}`,
    );
  }
  const pooling = await readPooling(within(folder, second.path), hiddenSize);
  const steps: SentenceModules['steps'][number][] = [];
  let width = hiddenSize * pooling.modes.length;
  for (const { type, path } of rest) {
    if (type === 'Normalize') {
      await readNormalize(within(folder, path));
      steps.push(normalized);
    } else if (type === 'Dense') {
      const step = await readDense(within(folder, path), width);
      width = step.outFeatures;
      steps.push((vector) => dense(vector, step));
    } else if (type !== 'Dropout') {
      throw unsupported(folder, `${type} is not supported; Pooling, Dense and Normalize are`);
    }
  }
  return { ...transformer, ...prompts, pooling, width, steps };
}

const within = ({ dir, links }: ModuleFolder, path: string): ModuleFolder => ({
  dir: join(dir, path),
  links,
});

const unsupported = ({ dir }: ModuleFolder, problem: string): AtbError =>
  new AtbError('CONFIG_INVALID', { file: join(dir, 'modules.json'), problems: [problem] });

async function readModuleList(
  folder: ModuleFolder,
): Promise<{ readonly type: string; readonly path: string }[] | undefined> {
  const list = await readModelJson(folder.dir, 'modules.json', folder.links);
  if (list === undefined) return undefined;
  if (!Array.isArray(list)) throw unsupported(folder, 'must hold a list of modules');
  return list.map((entry: unknown) => {
    const { type, path } = isObject(entry) ? entry : {};
    // Paths that lead out of the folder are nobody's modules.
    if (!isText(type) || !isText(path) || !/^[\w-]*$/.test(path))
      throw unsupported(folder, 'each module must have a type and a path within the folder');
    return { type: type.slice(type.lastIndexOf('.') + 1), path };
  });
}

async function readTransformer(
  folder: ModuleFolder,
): Promise<Pick<SentenceModules, 'maxSeqLength' | 'lowercase'>> {
  for (const name of TRANSFORMER_FILES) {
    const file = await ModuleFile.open(folder, name);
    if (!file) continue;
    const maxSeqLength = file.count('max_seq_length');
    const lowercase = file.flag('do_lower_case') ?? false;
    file.only('transformer_task', 'feature-extraction');
    file.only('module_output_name', 'token_embeddings');
    const forward = { method: 'forward', method_output_name: 'last_hidden_state' };
    file.only('modality_config', { text: forward });
    for (const other of ['query_length', 'document_length', 'query_expansion', 'processing_kwargs'])
      file.only(other);
    for (const what of ['model', 'tokenizer', 'config', 'processor'])
      for (const kind of ['args', 'kwargs']) file.only(`${what}_${kind}`);
    file.skip('unpad_inputs');
    file.done();
    return { maxSeqLength, lowercase };
  }
  return { maxSeqLength: undefined, lowercase: false };
}

async function readPrompts(
  folder: ModuleFolder,
): Promise<Pick<SentenceModules, 'prompts' | 'defaultPromptName'>> {
  // Queries and documents always have a prompt, an empty one when nobody says another.
  const prompts = new Map([
    ['query', ''],
    ['document', ''],
  ]);
  const file = await ModuleFile.open(folder, 'config_sentence_transformers.json');
  const isPrompts = (value: unknown): value is Record<string, string> =>
    isObject(value) && Object.values(value).every(isText);
  const given = file?.get('prompts', 'an object of texts', isPrompts) ?? {};
  for (const [name, prompt] of Object.entries(given)) prompts.set(name, prompt);
  const defaultPromptName = file?.text('default_prompt_name');
  if (defaultPromptName !== undefined && !prompts.has(defaultPromptName))
    file?.fail(
      `default_prompt_name must be one of ${[...prompts.keys()].join(', ')}, found ${defaultPromptName}`,
    );
  file?.only('truncate_dim');
  return { prompts, defaultPromptName };
}

async function readPooling(folder: ModuleFolder, hiddenSize: number): Promise<SentenceModules['pooling']> {
  const file = await required(folder);
  for (const name of ['word_embedding_dimension', 'embedding_dimension']) file.only(name, hiddenSize);
  const isModes = (value: unknown): value is PoolingMode | PoolingMode[] =>
    [value].flat().every((mode) => POOLING_MODES.some((known) => known === mode));
  const named = file.get('pooling_mode', `one or several of ${POOLING_MODES.join(', ')}`, isModes);
  const flagged = POOLING_MODES.filter((mode) => file.flag(flagOf(mode)));
  const includesPrompt = file.flag('include_prompt') ?? true;
  file.done();
  const modes = named === undefined ? flagged : [named].flat();
  return { modes: modes.length === 0 ? ['mean'] : modes, includesPrompt };
}

/** What a mode was called when each had a flag. */
function flagOf(mode: PoolingMode): string {
  const all = mode === 'max' || mode === 'mean' || mode === 'weightedmean';
  return `pooling_mode_${mode}${mode === 'cls' ? '_token' : all ? '_tokens' : ''}`;
}

async function readNormalize(folder: ModuleFolder): Promise<void> {
  const file = await ModuleFile.open(folder, 'config.json');
  file?.only('module_input_name', 'sentence_embedding');
  file?.only('module_output_name', 'sentence_embedding');
  file?.done();
}

const ACTIVATIONS: Readonly<Record<string, DenseStep['activation']>> = {
  'torch.nn.modules.linear.Identity': 'identity',
  'torch.nn.modules.activation.Tanh': 'tanh',
};

async function readDense(folder: ModuleFolder, width: number): Promise<DenseStep> {
  const file = await required(folder);
  const inFeatures = file.count('in_features') ?? file.fail('in_features is missing');
  const outFeatures = file.count('out_features') ?? file.fail('out_features is missing');
  if (inFeatures !== width) file.fail(`in_features must be ${width}, found ${inFeatures}`);
  const hasBias = file.flag('bias') ?? true;
  const name = file.text('activation_function') ?? 'torch.nn.modules.activation.Tanh';
  const activation = Object.hasOwn(ACTIVATIONS, name) ? ACTIVATIONS[name] : undefined;
  if (activation === undefined)
    return file.fail(
      `activation_function must be one of ${Object.keys(ACTIVATIONS).join(', ')}, found ${name}`,
    );
  file.only('module_input_name', 'sentence_embedding');
  file.only('module_output_name', 'sentence_embedding');
  file.only('use_residual', false);
  file.done();
  const weights = (await Checkpoint.open(folder.dir, folder.links)).weights();
  const read = async (part: string, shape: readonly number[]): Promise<Float32Array> =>
    toFloat32(await readTensor(weights.get(`linear.${part}`, shape)));
  return {
    inFeatures,
    outFeatures,
    activation,
    weight: await read('weight', [outFeatures, inFeatures]),
    bias: hasBias ? await read('bias', [outFeatures]) : undefined,
  };
}

async function required(folder: ModuleFolder): Promise<ModuleFile> {
  const file = await ModuleFile.open(folder, 'config.json');
  if (file) return file;
  throw new AtbError('CONFIG_INVALID', { file: join(folder.dir, 'config.json'), problems: ['is missing'] });
}
