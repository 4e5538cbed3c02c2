import { statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join, resolve, sep } from 'node:path';
import { parseBytes } from '../bytes.js';
import type { FloatDType } from '../dtype.js';
import { AtbError } from '../errors.js';
import { isObject } from '../is-object.js';
import type { KvQuantOptions } from '../kv-cache/kv-quant.js';
import type { BaseConfig } from '../layers/config/index.js';
import { loadModels } from '../models/get-model.js';
import { createEngine } from '../native/index.js';
import type { CausalLM } from '../router/index.js';
import { getRouter, readConfigDict, withModelType } from '../router/index.js';
import { memoryOf } from '../runner/estimate-memory.js';
import { type ModelPlan, modelOf, openModel, planModel } from '../runner/open-model.js';
import { type StoredForms, storedForms } from '../runner/stored-forms.js';
import { ChatTemplate } from '../tokenizer/chat-template.js';
import { findChatTemplates } from '../tokenizer/chat-template-source.js';
import { HfTokenizer } from '../tokenizer/hf-tokenizer.js';
import { readModelJson } from '../tokenizer/model-files.js';
import { Checkpoint } from '../weights/checkpoint.js';
import type { LinkOptions } from '../weights/regular-file.js';
import { unreadTensors } from '../weights/unread-tensors.js';
import type { Command } from './command.js';
import { declareFlags, optionsOf } from './command-line.js';
import { environmentOptions } from './environment.js';
import type { Inspection, SpeedEstimate, WeightSummary } from './inspection.js';
import { inspectionText } from './inspection-text.js';
import { withModelFolder } from './model-folder.js';

export interface InspectArguments extends KvQuantOptions, LinkOptions {
  readonly modelPath: string;
  /** Override of the model's dtype. */
  readonly dtype?: FloatDType;
  /** Tokens of each sequence, and how many sequences there are, for the memory that it takes. */
  readonly contextLen?: number;
  readonly batch?: number;
  /** A model that guesses ahead, for the memory that it takes. */
  readonly draftModelPath?: string;
  /** What everything is to fit into: bytes, or "6GiB"; the machine's memory when absent. */
  readonly memoryBudget?: string;
  readonly modelDirs?: readonly string[];
  /** Measure the machine to tell how fast decoding can be, which takes a moment. */
  readonly measure?: boolean;
}

/**
 * Looks at a model directory without loading it: config.json, the headers of its weights, its chat template. What is
 * wrong with the checkpoint goes into `problems`. Throws REQUEST_INVALID and ROUTER_MODEL_DIR_INVALID for what is wrong
 * with the arguments.
 */
export async function inspectModel(args: InspectArguments): Promise<Inspection> {
  const { modelPath, draftModelPath, contextLen: context, batch, memoryBudget } = args;
  const budgetBytes = memoryBudget === undefined ? undefined : parseBytes('--memory', memoryBudget);
  await loadModels(args.modelDirs);
  const errors: AtbError[] = [];
  const attempt = collector(errors);
  const dict = await attempt(async () => withModelType(await readConfigDict(modelPath, args)));
  const router =
    dict &&
    (await attempt(() => new (getRouter(dict.model_type))(modelPath, dict, { allowLinks: args.allowLinks })));
  const planned = router && (await attempt(() => planModel(router, args)));
  const warnings: string[] = [];
  const onWarning = (text: string) => warnings.push(text);
  // What is neither a folder nor a model by itself has no files, and one problem.
  const isThere = dict !== undefined || statSync(modelPath, { throwIfNoEntry: false })?.isDirectory();
  const within = async <T>(step: () => T) => (isThere ? attempt(step) : undefined);
  const checkpoint = await within(() => Checkpoint.open(modelPath, { ...args, config: dict, onWarning }));
  const plan = planned && planModel(planned.router, args, checkpoint?.floatDType);
  const model =
    plan && checkpoint && (await attempt(async () => (await modelOf(plan, checkpoint, { onWarning })).model));
  const memory =
    plan &&
    model &&
    (await attempt(async () => {
      const draft =
        draftModelPath === undefined ? undefined : await openModel({ ...args, modelPath: draftModelPath });
      return memoryOf(
        { plan, model },
        { context, batch, budgetBytes, ...environmentOptions() },
        draft && { plan: draft, model: draft.model },
      );
    }));
  const stored =
    plan &&
    model &&
    storedForms(model.getWeights(), { dtype: plan.dtype, table: tableOf(plan), experts: plan.config });
  const speed = args.measure && stored ? await measureSpeed(stored) : undefined;
  const chatTemplates = await within(() => chatTemplateNames(modelPath, args));
  const tokenizer = await within(() => tokenizerName(modelPath, args, onWarning));
  const generation = planned && (await attempt(() => planned.router.getGenerationConfig()));
  warnings.push(...(generation?.warnings ?? []));
  return {
    directory: resolve(modelPath),
    modelType: typeof dict?.model_type === 'string' ? dict.model_type : undefined,
    architectures: Array.isArray(dict?.architectures) ? dict.architectures.filter(isString) : [],
    modelClass: router?.modelClass.name,
    nearest: nearestModel(errors),
    config: plan && withoutRope(plan.config),
    weights: checkpoint && summarise(checkpoint, model, stored, plan?.router.predictionTensors ?? []),
    memory,
    ...(speed && { speed }),
    chatTemplates,
    tokenizer,
    warnings,
    problems: errors.map(({ code, message }) => ({ code, message })),
  };
}

/** Runs a step, and keeps what is wrong with the checkpoint for the report instead of ending with it. */
function collector(errors: AtbError[]) {
  return async <T>(step: () => T): Promise<Awaited<T> | undefined> => {
    try {
      return await step();
    } catch (error) {
      if (!(error instanceof AtbError) || error.code === 'REQUEST_INVALID') throw error;
      // Two steps may read one broken file.
      if (errors.every(({ message }) => message !== error.message)) errors.push(error);
      return undefined;
    }
  };
}

const isString = (value: unknown): value is string => typeof value === 'string';

function nearestModel(errors: readonly AtbError[]): string | undefined {
  const unknown = errors.find(({ code }) => code === 'ROUTER_UNKNOWN_MODEL');
  return (unknown as AtbError<'ROUTER_UNKNOWN_MODEL'> | undefined)?.detail.nearest;
}

/** The embedding, where it is no product's weight. */
const tableOf = ({ config, router }: ModelPlan): string =>
  config.tieWordEmbeddings ? '' : `${router.headNames.embedding}.weight`;

async function measureSpeed({ stepBytes }: StoredForms): Promise<SpeedEstimate> {
  const engine = createEngine({ threads: availableParallelism(), ...environmentOptions() });
  try {
    const { readBytesPerSecond } = await engine.measureLimits();
    return { readBytesPerSecond, tokensPerSecond: readBytesPerSecond / stepBytes };
  } finally {
    engine.dispose();
  }
}

function withoutRope({ rope: _, ...config }: BaseConfig): Omit<BaseConfig, 'rope'> {
  return config;
}

function summarise(
  checkpoint: Checkpoint,
  model: CausalLM | undefined,
  stored: StoredForms | undefined,
  ofPrediction: readonly RegExp[],
): WeightSummary {
  const dtypes: Record<string, { tensors: number; bytes: number }> = {};
  for (const { dtype, bytes } of checkpoint.tensors.values()) {
    const sum = dtypes[dtype];
    dtypes[dtype] = { tensors: (sum?.tensors ?? 0) + 1, bytes: (sum?.bytes ?? 0) + bytes };
  }
  const unread =
    model &&
    unreadTensors(checkpoint, model.getWeights()).filter(({ name }) => !checkpoint.format?.isSpare?.(name));
  const partlyRead = unread?.filter(({ bytes, unreadBytes }) => unreadBytes < bytes) ?? [];
  const left = unread?.filter(({ bytes, unreadBytes }) => unreadBytes === bytes);
  const guesses = ({ name }: { readonly name: string }) => ofPrediction.some((pattern) => pattern.test(name));
  const prediction = left?.filter(guesses) ?? [];
  const quantType = checkpoint.format?.method;
  return {
    files: checkpoint.files.length,
    tensors: checkpoint.tensors.size,
    bytes: checkpoint.totalBytes,
    ...(quantType !== undefined && { quantType, ...(stored && { stored }) }),
    dtypes,
    unused: left?.filter((tensor) => !guesses(tensor)).map(({ name }) => name),
    ...(prediction.length > 0 && {
      prediction: {
        tensors: prediction.map(({ name }) => name),
        bytes: prediction.reduce((sum, { bytes }) => sum + bytes, 0),
      },
    }),
    ...(partlyRead.length > 0 && { partlyRead: partlyRead.map(({ name }) => name) }),
  };
}

/** Loaded once to see that it can be. Without one, a model takes token ids only: no problem, but nothing to be silent about. */
async function tokenizerName(
  modelPath: string,
  { allowLinks }: LinkOptions,
  onWarning: (text: string) => void,
): Promise<string> {
  try {
    const { file, warnings } = await HfTokenizer.load(modelPath, { allowLinks });
    for (const warning of warnings) onWarning(warning);
    return basename(file);
  } catch (error) {
    if (!(error instanceof AtbError && error.code === 'TOKENIZER_MISSING')) throw error;
    onWarning(error.message);
    return 'none';
  }
}

/** Where each template is, compiled once to see that it can be. */
async function chatTemplateNames(modelPath: string, links: LinkOptions): Promise<string[]> {
  const tokenizerConfig = await readModelJson(modelPath, 'tokenizer_config.json', links);
  const found = await findChatTemplates(modelPath, isObject(tokenizerConfig) ? tokenizerConfig : {}, links);
  return [...found.values()].map(({ source, name }) => {
    new ChatTemplate(source, name);
    return name.replace(join(modelPath, sep), '');
  });
}

const FLAGS = [
  'model_path',
  'json',
  'dtype',
  'kv_quant',
  'context',
  'batch',
  'draft_model_path',
  'memory',
  'model_dirs',
  'allow_links',
] as const;

/** `atb-models inspect`: whether a checkpoint can run here, and what it needs. Ends with 1 when it cannot. */
export const inspectCommand: Command = {
  builder: (argv) =>
    declareFlags(argv, {
      command: 'atb-models inspect',
      example: '--model_path DIR --context 8192 --batch 8',
      flags: FLAGS,
    }),
  async handler(argv) {
    const { json, ...options } = await withModelFolder(optionsOf(argv, FLAGS));
    const found = await inspectModel({ ...options, measure: true });
    process.stdout.write(json ? `${JSON.stringify(found, null, 2)}\n` : inspectionText(found));
    if (found.problems.length > 0) process.exitCode = 1;
  },
};
