import { readFile } from 'node:fs/promises';
import type { Argv, CommandModule } from 'yargs';
import type { FloatDType } from '../dtype.js';
import { type Perplexity, perplexity } from '../engine/perplexity.js';
import { AtbError } from '../errors.js';
import { getModel } from '../models/get-model.js';
import { ModelRunner, type ModelRunnerOptions, runConfig } from '../runner/model-runner.js';
import '../runner/router-parts.js';
import { environmentOptions } from './environment.js';
import { MODEL_DIRS_FLAG } from './flags.js';
import { loadProgress } from './progress.js';
import { KV_QUANT_FLAGS, kvQuantOptions, QUANTIZE_FLAGS, quantizeOptions } from './quantize-flags.js';

const DEFAULT_CONTEXT = 512;
const BLOCK_SIZE = 128;

export interface EvalArguments extends Omit<ModelRunnerOptions, 'numBlocks' | 'blockSize'> {
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
export async function evaluate({ text, contextLen, ...options }: EvalArguments): Promise<EvalReport> {
  const router = await getModel(options.modelPath, options);
  const { maxPositionEmbeddings } = runConfig(router, options.maxPositionEmbeddings);
  const { tokenizer } = await router.part('textProcessing')({});
  if (!tokenizer) throw new TypeError('a tokenizer was asked for');
  const { bosTokenId } = tokenizer;
  const startsWithBos = bosTokenId !== undefined && tokenizer.encode('').at(0) === bosTokenId;
  const tokens = tokenizer.encode(text, { addSpecialTokens: false });
  const size = contextLen ?? Math.min(DEFAULT_CONTEXT, maxPositionEmbeddings);
  if (!Number.isSafeInteger(size) || size < 2 || size > maxPositionEmbeddings) {
    const expected = `an integer from 2 to the model's context of ${maxPositionEmbeddings}`;
    throw new AtbError('REQUEST_INVALID', { field: '--context', expected, found: size });
  }
  const numBlocks = Math.ceil(size / BLOCK_SIZE);
  const runner = await ModelRunner.load({ ...options, numBlocks, blockSize: BLOCK_SIZE });
  try {
    const found = await perplexity(runner, tokens, {
      contextLen: size,
      bosTokenId: startsWithBos ? bosTokenId : undefined,
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

function declareOptions(argv: Argv<object>) {
  return argv
    .option('model_path', { type: 'string', demandOption: true, describe: 'directory of a checkpoint' })
    .option('text', {
      type: 'string',
      demandOption: true,
      describe: 'file of text that the model did not see',
    })
    .options(QUANTIZE_FLAGS)
    .options(KV_QUANT_FLAGS)
    .option('context', { type: 'number', describe: `tokens of a window (${DEFAULT_CONTEXT})` })
    .option('json', { type: 'boolean', default: false, describe: 'one JSON object instead of text' })
    .option('dtype', {
      choices: ['bf16', 'f16', 'f32'] as const,
      describe: "override of the checkpoint's dtype",
    })
    .option('isa', { type: 'string', describe: 'kernel table (the best)' })
    .option('threads', { type: 'number', describe: 'compute threads (all cores)' })
    .options(MODEL_DIRS_FLAG);
}

type Parsed = Awaited<ReturnType<typeof declareOptions>['argv']>;

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new AtbError(
      'REQUEST_INVALID',
      { field: '--text', expected: 'a readable file', found: file },
      { cause },
    );
  }
}

/** `atb-models eval`: what quantising costs, on a text. */
export const evalCommand: CommandModule<object, Parsed> = {
  command: 'eval',
  describe: 'perplexity of a text, in windows that do not overlap',
  builder: declareOptions,
  async handler(argv) {
    const found = await evaluate({
      modelPath: argv.model_path,
      text: await readText(argv.text),
      contextLen: argv.context,
      modelDirs: argv.model_dirs,
      ...quantizeOptions(argv),
      ...kvQuantOptions(argv),
      ...(argv.dtype !== undefined && { dtype: argv.dtype as FloatDType }),
      ...(argv.isa !== undefined && { isa: argv.isa }),
      ...(argv.threads !== undefined && { threads: argv.threads }),
      ...environmentOptions(),
      onProgress: loadProgress(process.stderr),
    });
    process.stdout.write(argv.json ? `${JSON.stringify(found, null, 2)}\n` : reportText(found));
  },
};
