import { describeValue } from '../describe-value.js';
import type { FloatDType } from '../dtype.js';
import { refuseRequest } from '../errors.js';
import { type KvQuantOptions, kvCacheDType } from '../kv-cache/kv-quant.js';
import type { BaseConfig } from '../layers/config/index.js';
import { getModel } from '../models/get-model.js';
import { type ArgumentKind, OBJECT, requireArgument } from '../require-argument.js';
import type { CausalLM, ModelUse, Router } from '../router/index.js';
import { Checkpoint } from '../weights/checkpoint.js';
import { type QuantizationPlan, type QuantizeOptions, quantizationPlan } from '../weights/quantization.js';
import type { LinkOptions } from '../weights/regular-file.js';
import { readLoraModules, refuseUnreadAdapters } from './lora-modules.js';
import { observer } from './observer.js';
import { loadTextProcessing, type TextProcessing, type TextProcessingOptions } from './text-processing.js';
import { endingIn, settleTiedHead } from './tied-head.js';
import { refuseUnread, unreadWeights } from './unread-weights.js';

/** How a model runs, where that is not as its config.json says. */
export interface PlanOptions extends QuantizeOptions, KvQuantOptions {
  /** Override of the model's context length. */
  readonly maxPositionEmbeddings?: number | undefined;
  /** Of weights and activations; the checkpoint's when absent. */
  readonly dtype?: FloatDType | undefined;
}

export interface OpenModelOptions extends PlanOptions, TextProcessingOptions, LinkOptions {
  /** Directory of a Hugging Face checkpoint, or a GGUF file. */
  readonly modelPath: string;
  /** Folders with model directories of the user's own, beside this package's. */
  readonly modelDirs?: readonly string[] | undefined;
  /**
   * LoRA adapters that requests may ask for by name, each in its folder as peft writes it; none when absent. A request without
   * one gets the model itself.
   */
  readonly loraModules?: Readonly<Record<string, string>> | undefined;
  /** What the model is run for: to generate text, to embed texts or to rank pairs of them; to generate when absent. */
  readonly use?: ModelUse | undefined;
  /** Load a checkpoint although the model leaves out tensors that belong to what it reads. */
  readonly allowUnread?: boolean | undefined;
  /**
   * Called with each thing that is odd about the checkpoint but does not keep it from running. What it throws is a warning
   * of the process and ends the calls.
   */
  readonly onWarning?: ((text: string) => void) | undefined;
}

/** What is decided about a model from its config.json and the options alone, checked. */
export interface ModelPlan {
  readonly router: Router;
  /** As the model runs: with the override of its context length. */
  readonly config: BaseConfig;
  /** Of weights and activations. */
  readonly dtype: FloatDType;
  /** What keys and values are stored as. */
  readonly cacheDType: FloatDType | 'i8';
  /** Which linears become integers while they are loaded; absent for a checkpoint that is loaded as it is. */
  readonly quantization: QuantizationPlan | undefined;
}

/**
 * `storedDType`: of the weights in the files, which counts where neither the options nor config.json name one.
 * @throws CONFIG_INVALID for config.json, REQUEST_INVALID for the options
 */
export function planModel(router: Router, options: PlanOptions, storedDType?: FloatDType): ModelPlan {
  const config = configAsRun(router.config, options.maxPositionEmbeddings);
  const dtype = options.dtype ?? config.dtype ?? storedDType ?? 'bf16';
  const cacheDType = kvCacheDType(dtype, options);
  return { router, config, dtype, cacheDType, quantization: quantizationPlan(options) };
}

/** The override bounds positions; rope scaling goes on reading the length that the model was trained for. */
function configAsRun(config: BaseConfig, maxPositionEmbeddings: number | undefined): BaseConfig {
  if (maxPositionEmbeddings === undefined) return config;
  if (!Number.isSafeInteger(maxPositionEmbeddings) || maxPositionEmbeddings < 1)
    refuseRequest('maxPositionEmbeddings', 'an integer >= 1', maxPositionEmbeddings);
  const { learnedPositions: tokens = Infinity, longestContext } = config;
  for (const limit of [{ tokens, because: 'as many positions as the model has learned' }, longestContext]) {
    if (limit === undefined || maxPositionEmbeddings <= limit.tokens) continue;
    const expected = `at most ${limit.tokens}, ${limit.because}`;
    refuseRequest('maxPositionEmbeddings', expected, maxPositionEmbeddings);
  }
  return { ...config, maxPositionEmbeddings };
}

/** A model directory that was read and checked: names, shapes and places of its weights are known, no bytes are read yet. */
export interface OpenModel extends ModelPlan {
  readonly checkpoint: Checkpoint;
  readonly model: CausalLM;
  /** Milliseconds that opening took. */
  readonly openMs: number;
  /** The option of that name; it does nothing when that was absent, and never throws. */
  readonly onWarning: (text: string) => void;
  /**
   * Tokenizer, chat template and generation_config.json, read once, when they are first asked for.
   * @throws TOKENIZER_*, TEMPLATE_*, CONFIG_INVALID
   */
  text(): Promise<TextProcessing>;
}

/**
 * Opens a model directory, once, for whoever runs it or asks about it: config.json, the headers of its weights, the model
 * class that its family has for it. The result holds no file open and nothing native; hand it on.
 * @throws ROUTER_*, CONFIG_*, WEIGHT_*, REQUEST_INVALID
 */
export async function openModel(given: OpenModelOptions): Promise<OpenModel> {
  if (typeof given !== 'object' || given === null) refuseRequest('OpenModelOptions', 'an object', given);
  const start = performance.now();
  const options = { ...given, onWarning: observer('onWarning', given.onWarning) };
  const router = await getModel(options.modelPath, options);
  // What is wrong with the options is said before any weights are looked at.
  planModel(router, options);
  const adapters = await readLoraModules(given.loraModules, options);
  if (adapters.length > 0 && (options.use ?? 'generate') !== 'generate')
    refuseRequest('loraModules', 'absent: adapters are for models that generate', given.loraModules);
  const config = router.configDict;
  const checkpoint = await Checkpoint.open(options.modelPath, { ...options, config, adapters });
  const planned = planModel(router, options, checkpoint.floatDType);
  const { plan, model, spare } = await modelOf(planned, checkpoint, options);
  refuseUnreadAdapters(checkpoint, model.getWeights());
  checkUnread(checkpoint, model, [...router.harmlessTensors, ...spare], router.modelClass.name, options);
  let text: Promise<TextProcessing> | undefined;
  return {
    ...plan,
    checkpoint,
    model,
    openMs: performance.now() - start,
    onWarning: options.onWarning,
    text() {
      text ??= loadTextProcessing(plan.router, options);
      return text;
    },
  };
}

const OPEN_MODEL: ArgumentKind = {
  expected: 'an open model, as `await openModel({ modelPath })` gives it',
  holds: (value) =>
    OBJECT.holds(value) && OBJECT.holds((value as OpenModel).model) && 'checkpoint' in (value as object),
};

/** An open model, and the options beside it. @throws ARGUMENT_INVALID */
export function requireOpenModel(call: string, found: unknown, options: unknown): void {
  requireArgument(call, 'the model', OPEN_MODEL, found);
  requireArgument(call, 'the options', OBJECT, options);
}

/** Tensors that nobody reads and that are named; a head or a layer too many has as many as it likes. */
const SHOWN_UNREAD = 5;

function checkUnread(
  checkpoint: Checkpoint,
  model: CausalLM,
  harmless: readonly RegExp[],
  modelClass: string,
  { allowUnread = false, onWarning }: OpenModelOptions,
): void {
  const unread = unreadWeights(checkpoint, model.getWeights(), harmless);
  if (!allowUnread) refuseUnread(unread, checkpoint.directory, modelClass);
  const names = [...unread.errors, ...unread.warnings];
  for (const name of names.slice(0, SHOWN_UNREAD))
    onWarning?.(`${describeValue(name)} of ${checkpoint.directory} is not read`);
  const more = names.length - SHOWN_UNREAD;
  if (more > 0) onWarning?.(`${more} more tensors are not read; \`atb-models check\` lists them`);
}

/** A planned model, as the files have it. */
export interface ModelOfFiles {
  readonly plan: ModelPlan;
  readonly model: CausalLM;
  /** Names of tensors that need not be read: they repeat another one, or are a head that the model is run without. */
  readonly spare: readonly RegExp[];
}

/** A model over its weights' headers, and the plan as the weights have it. @throws WEIGHT_* for weights that are not what it needs */
export async function modelOf(
  planned: ModelPlan,
  checkpoint: Checkpoint,
  {
    onWarning,
    use = 'generate',
  }: Pick<OpenModelOptions, 'onWarning'> & { readonly use?: ModelUse | undefined } = {},
): Promise<ModelOfFiles> {
  const { tieWordEmbeddings, otherNames, copies } = await settleTiedHead(
    planned.config,
    checkpoint,
    planned.router.headNames,
    onWarning,
  );
  const isAsPlanned = tieWordEmbeddings === planned.config.tieWordEmbeddings;
  const plan = isAsPlanned ? planned : { ...planned, config: { ...planned.config, tieWordEmbeddings } };
  const model = plan.router.createModel(checkpoint.weights(plan, otherNames), plan.config, use);
  const heads = use === 'embed' ? [endingIn(`${plan.router.headNames.head}.weight`)] : [];
  return { plan, model, spare: [...copies, ...heads] };
}
