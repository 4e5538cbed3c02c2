import { writeFile } from 'node:fs/promises';
import type { Argv, CommandModule } from 'yargs';
import type { FloatDType } from '../dtype.js';
import { AtbError } from '../errors.js';
import { flatten, formatFlatGraph } from '../graph/flatten.js';
import { DECODER_KINDS, ENCODE } from '../graph/graph-kind.js';
import { applyPasses, PASSES, type PassSelection } from '../graph/passes/index.js';
import { printDot, printSvg, printText } from '../graph/printers/index.js';
import { inputDescs } from '../models/base/input-descs.js';
import { getModel } from '../models/get-model.js';
import { readQuantDescription } from '../weights/quant-description.js';
import { type QuantizeOptions, quantizationPlan } from '../weights/quantization.js';
import { declaredWeights } from '../weights/weights.js';
import { MODEL_DIRS_FLAG } from './flags.js';
import { QUANTIZE_FLAGS, quantizeOptions } from './quantize-flags.js';

const FORMATS = ['text', 'dot', 'svg', 'json'] as const;
const PHASES: readonly string[] = [...DECODER_KINDS, ENCODE].map(({ name }) => name);
const DTYPES = ['bf16', 'f16', 'f32'] as const;

export interface GraphArguments extends QuantizeOptions {
  readonly modelPath: string;
  /** The name of a graph's kind: `prefill`. */
  readonly phase: string;
  readonly format: (typeof FORMATS)[number];
  /** Sequences of the exported step. */
  readonly batch: number;
  /** Tokens of the step; in decode, length of the contexts. */
  readonly tokens: number;
  readonly blockSize: number;
  readonly passes: PassSelection;
  readonly dtype: FloatDType | undefined;
  readonly modelDirs: readonly string[];
}

/**
 * A model's graph as text, from config.json and, of a quantised checkpoint, its description; no weights are read.
 * Throws CONFIG_INVALID, ROUTER_*, REQUEST_INVALID, WEIGHT_QUANT_*, GRAPH_*.
 */
export async function renderGraph(args: GraphArguments): Promise<string> {
  for (const field of ['batch', 'tokens', 'blockSize'] as const) {
    const found = args[field];
    if (!Number.isSafeInteger(found) || found < 1 || found > 2 ** 24) {
      throw new AtbError('REQUEST_INVALID', {
        field: `--${field}`,
        expected: 'an integer from 1 to 2^24',
        found,
      });
    }
  }
  if (args.phase !== 'decode' && args.tokens < args.batch) {
    const expected = `at least one for each of the ${args.batch} sequences`;
    throw new AtbError('REQUEST_INVALID', { field: '--tokens', expected, found: args.tokens });
  }
  const router = await getModel(args.modelPath, { modelDirs: args.modelDirs });
  // ATB's operations take no float32: such a checkpoint would run there as bf16. `--dtype f32` shows what runs here.
  const { dtype: stored = 'bf16' } = router.config;
  const dtype = args.dtype ?? (stored === 'f32' ? 'bf16' : stored);
  const description = await readQuantDescription(args.modelPath);
  const plan = quantizationPlan(args);
  if (plan && description) {
    const { file, modelType = 'nothing' } = description;
    throw new AtbError('WEIGHT_QUANT_AGAIN', { file, found: modelType });
  }
  const model = router.createModel(declaredWeights(dtype, plan ?? description?.quantOf));
  const kind = model.graphKinds.find(({ name }) => name === args.phase);
  if (kind === undefined) {
    const expected = `a graph of ${model.name}: ${model.graphKinds.map(({ name }) => name).join(', ')}`;
    throw new AtbError('REQUEST_INVALID', { field: '--phase', expected, found: args.phase });
  }
  const spec = applyPasses(model.buildGraph(kind), args.passes);
  switch (args.format) {
    case 'text':
      return printText(spec);
    case 'dot':
      return printDot(spec);
    case 'svg':
      return printSvg(spec);
    case 'json':
      return formatFlatGraph(flatten(spec, inputDescs(model, kind, dtype, args)).graph);
  }
}

/** `all`, `none`, or names separated by commas. */
export const parsePasses = (text: string): PassSelection =>
  text === 'all' || text === 'none' ? text : text.split(',').map((name) => name.trim());

function declareOptions(argv: Argv<object>) {
  const passNames = PASSES.map((pass) => `${pass.name} (${pass.summary})`).join(', ');
  return argv
    .option('model_path', {
      type: 'string',
      demandOption: true,
      describe: 'directory of a checkpoint; its weights are not read',
    })
    .option('phase', { choices: PHASES, demandOption: true, describe: "which of the model's graphs" })
    .option('format', {
      choices: FORMATS,
      default: 'text' as const,
      describe: 'json: flat, with the shapes of one step',
    })
    .option('batch', { type: 'number', default: 1, describe: 'sequences of that step' })
    .option('tokens', {
      type: 'number',
      default: 128,
      describe: 'tokens of that step; in decode, length of the contexts',
    })
    .option('block_size', { type: 'number', default: 128, describe: 'tokens of a KV cache block' })
    .option('dtype', {
      choices: DTYPES,
      describe: "of weights and activations in json; config.json's, and bf16 for float32, which ATB lacks",
    })
    .options(QUANTIZE_FLAGS)
    .option('passes', { type: 'string', default: 'none', describe: `all, none, or some of: ${passNames}` })
    .options(MODEL_DIRS_FLAG)
    .option('output', { type: 'string', describe: 'file to write; standard output by default' });
}

type Parsed = Awaited<ReturnType<typeof declareOptions>['argv']>;

/** `atb-models graph`: how a model looks to the engine, and to ATB. */
export const graphCommand: CommandModule<object, Parsed> = {
  command: 'graph',
  describe: "print a model's graph as text, dot, svg or json",
  builder: declareOptions,
  async handler(argv) {
    const text = await renderGraph({
      modelPath: argv.model_path,
      phase: argv.phase,
      format: argv.format,
      batch: argv.batch,
      tokens: argv.tokens,
      blockSize: argv.block_size,
      dtype: argv.dtype,
      ...quantizeOptions(argv),
      passes: parsePasses(argv.passes),
      modelDirs: argv.model_dirs,
    });
    if (argv.output === undefined) process.stdout.write(text);
    else await writeFile(argv.output, text);
  },
};
