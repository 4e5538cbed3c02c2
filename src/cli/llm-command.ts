import { escapeInvisible } from '../describe-value.js';
import { LLM } from '../engine/llm.js';
import type { LLMOptions } from '../engine/llm-options.js';
import { environmentOptions, threadWarnings } from './environment.js';
import { type FlagName, SAMPLING_FLAGS } from './flags.js';
import { withModelFolder } from './model-folder.js';
import { loadProgress } from './progress.js';

/** How a command that answers loads its model. */
export const LLM_FLAGS = [
  'model_path',
  'model_dirs',
  'lora_modules',
  'allow_unread',
  'allow_links',
  'dtype',
  'quantize',
  'quantize_head',
  'quant_group_size',
  'kv_quant',
  'max_model_len',
  'memory',
  'draft_model_path',
  'draft_tokens',
  'threads',
  'isa',
  'weights_cache',
] as const satisfies readonly FlagName[];

/** How it draws tokens; log-probs and what comes after an end are for programs. */
export const ANSWER_FLAGS = [
  'adapter',
  'max_tokens',
  ...SAMPLING_FLAGS.filter((name) => name !== 'logprobs' && name !== 'ignore_eos'),
] as const;

/** Of what will be done, although it is hardly what was meant. */
export const warn = (text: string): void => {
  process.stderr.write(`warning: ${escapeInvisible(text)}\n`);
};

type LoadOptions = LLMOptions & { readonly modelPath: string };

/** A progress bar and warnings on standard error. */
export const loadObservers = () => ({ onProgress: loadProgress(process.stderr), onWarning: warn });

/** Loads a model, with a progress bar and warnings on standard error. */
export async function loadLlm(given: LoadOptions): Promise<LLM> {
  const { modelPath, ...options } = await withModelFolder(given);
  return LLM.load(modelPath, {
    ...loadObservers(),
    ...environmentOptions(),
    ...options,
  });
}

/** Loads a model, and disposes it when the work is done. */
export async function withLlm<T>(options: LoadOptions, work: (llm: LLM) => Promise<T>): Promise<T> {
  for (const warning of threadWarnings(options.threads)) warn(warning);
  const llm = await loadLlm(options);
  try {
    return await work(llm);
  } finally {
    await llm.dispose();
  }
}
