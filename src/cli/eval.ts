import { type Perplexity, type PerplexityOptions, perplexity } from '../engine/perplexity.js';
import { refuseRequest } from '../errors.js';
import { ModelRunner } from '../runner/model-runner.js';
import { openModel } from '../runner/open-model.js';
import { DEFAULT_BLOCK_SIZE, type ModelRunnerOptions } from '../runner/runner-options.js';
import type { Command } from './command.js';
import { declareFlags, optionsOf } from './command-line.js';
import { environmentOptions, threadWarnings } from './environment.js';
import { withModelFolder } from './model-folder.js';
import { countProgress, loadProgress } from './progress.js';
import { readText } from './read-text.js';

const DEFAULT_CONTEXT = 512;

export interface EvalArguments
  extends Omit<ModelRunnerOptions, 'numBlocks' | 'blockSize'>,
    Pick<PerplexityOptions, 'onWindow'> {
  /** Of natural text, as the model writes it. */
  readonly text: string;
  /** Tokens of a window; 512, or the model's context where that is less, when absent. */
  readonly contextLen?: number | undefined;
}

export interface EvalReport extends Perplexity {
  readonly contextLen: number;
  readonly weightBytes: number;
  readonly isa: string;
}

/** Perplexity of a text. Throws what `ModelRunner.load` and `perplexity` throw, and TOKENIZER_*. */
export async function evaluate({
  text,
  contextLen,
  onWindow,
  ...options
}: EvalArguments): Promise<EvalReport> {
  const model = await openModel(options);
  const { maxPositionEmbeddings } = model.config;
  const { tokenizer } = await model.text();
  if (!tokenizer) return refuseRequest('loadTokenizer', 'true: texts are scored', false);
  const { bosTokenId } = tokenizer;
  const startsWithBos = bosTokenId !== undefined && (await tokenizer.encodeAsync('')).at(0) === bosTokenId;
  const tokens = await tokenizer.encodeAsync(text, { addSpecialTokens: false });
  const size = contextLen ?? Math.min(DEFAULT_CONTEXT, maxPositionEmbeddings);
  if (!Number.isSafeInteger(size) || size < 2 || size > maxPositionEmbeddings)
    refuseRequest('--context', `an integer from 2 to the model's context of ${maxPositionEmbeddings}`, size);
  const numBlocks = Math.ceil(size / DEFAULT_BLOCK_SIZE);
  const runner = await ModelRunner.load(model, { ...options, numBlocks, blockSize: DEFAULT_BLOCK_SIZE });
  try {
    const found = await perplexity(runner, tokens, {
      contextLen: size,
      bosTokenId: startsWithBos ? bosTokenId : undefined,
      onWindow,
    });
    return { ...found, contextLen: size, weightBytes: runner.memory().weightBytes, isa: runner.isa };
  } finally {
    runner.dispose();
  }
}

function reportText(found: EvalReport): string {
  const { contextLen, scoredTokens, windows, meanNll, weightBytes, isa } = found;
  const mib = (weightBytes / 2 ** 20).toFixed(1);
  return (
    `perplexity ${found.perplexity.toFixed(4)} (${meanNll.toFixed(5)} nats per token), ${scoredTokens} tokens scored in ` +
    `${windows} windows of ${contextLen} that do not overlap\nweights ${mib} MiB, ${isa} kernels\n`
  );
}

const FLAGS = [
  'model_path',
  'allow_links',
  'text',
  'quantize',
  'quantize_head',
  'quant_group_size',
  'kv_quant',
  'context',
  'dtype',
  'isa',
  'weights_cache',
  'threads',
  'json',
  'model_dirs',
] as const;

/** `atb-models eval`: what quantising costs, on a text. */
export const evalCommand: Command = {
  builder: (argv) =>
    declareFlags(argv, {
      command: 'atb-models eval',
      example: '--model_path DIR --text FILE --quantize w8a16',
      flags: FLAGS,
    }),
  async handler(argv) {
    const { textFile, json, ...options } = await withModelFolder(optionsOf(argv, FLAGS));
    for (const warning of threadWarnings(options.threads)) process.stderr.write(`warning: ${warning}\n`);
    const found = await evaluate({
      ...options,
      text: readText('--text', textFile),
      ...environmentOptions(),
      onProgress: loadProgress(process.stderr),
      onWindow: countProgress(process.stderr, 'windows'),
    });
    process.stdout.write(json ? `${JSON.stringify(found, null, 2)}\n` : reportText(found));
  },
};
