import type { CommandModule } from 'yargs';
import type { FloatDType } from '../dtype.js';
import { AtbError, refuseRequest } from '../errors.js';
import { flatten, formatFlatGraph } from '../graph/flatten.js';
import { applyPasses, PASSES, type PassSelection } from '../graph/passes/index.js';
import { printDot, printSvg, printText } from '../graph/printers/index.js';
import { inputDescs } from '../models/base/input-descs.js';
import { getModel } from '../models/get-model.js';
import { DEFAULT_BLOCK_SIZE } from '../runner/model-runner.js';
import { planModel } from '../runner/open-model.js';
import { readQuantDescription } from '../weights/quant-description.js';
import type { QuantizeOptions } from '../weights/quantization.js';
import { declaredWeights } from '../weights/weights.js';
import { declareFlags, optionsOf } from './command-line.js';
import { OutputFile } from './output-file.js';

export interface GraphArguments extends QuantizeOptions {
  readonly modelPath: string;
  /** The name of a graph's kind: `prefill`. */
  readonly phase: string;
  readonly format: 'text' | 'dot' | 'svg' | 'json';
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
    if (!Number.isSafeInteger(found) || found < 1 || found > 2 ** 24)
      refuseRequest(`--${field}`, 'an integer from 1 to 2^24', found);
  }
  if (args.phase !== 'decode' && args.tokens < args.batch)
    refuseRequest('--tokens', `at least one for each of the ${args.batch} sequences`, args.tokens);
  const router = await getModel(args.modelPath, { modelDirs: args.modelDirs });
  // ATB's operations take no float32: such a checkpoint would run there as bf16. `--dtype f32` shows what runs here.
  const { dtype: stored = 'bf16' } = router.config;
  const dtype = args.dtype ?? (stored === 'f32' ? 'bf16' : stored);
  const { quantization } = planModel(router, { ...args, dtype });
  const description = await readQuantDescription(args.modelPath);
  if (quantization && description) {
    const { file, modelType = 'nothing' } = description;
    throw new AtbError('WEIGHT_QUANT_AGAIN', { file, found: modelType });
  }
  const model = router.createModel(declaredWeights(dtype, quantization ?? description?.quantOf));
  const kind = model.graphKinds.find(({ name }) => name === args.phase);
  if (kind === undefined) {
    const expected = `a graph of ${model.name}: ${model.graphKinds.map(({ name }) => name).join(', ')}`;
    return refuseRequest('--phase', expected, args.phase);
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

const FLAGS = [
  'model_path',
  'phase',
  'format',
  'batch',
  'tokens',
  'block_size',
  'dtype',
  'quantize',
  'quant_group_size',
  'passes',
  'model_dirs',
  'output',
] as const;

/** `atb-models graph`: how a model looks to the engine, and to ATB. */
export const graphCommand: CommandModule = {
  command: 'graph',
  describe: "print a model's graph as text, dot, svg or json",
  builder: (argv) => {
    const names = PASSES.map(({ name, summary }) => `  ${name}: ${summary}`).join('\n');
    return declareFlags(argv, {
      command: 'atb-models graph',
      example: '--model_path DIR --phase decode --format svg --output decode.svg',
      flags: FLAGS,
    }).epilogue(`--passes names some of:\n${names}`);
  },
  async handler(argv) {
    const { output, ...options } = optionsOf(argv, FLAGS);
    const file = output === undefined ? undefined : new OutputFile('--output', output);
    const text = await renderGraph({
      batch: 1,
      tokens: 128,
      blockSize: DEFAULT_BLOCK_SIZE,
      dtype: undefined,
      passes: 'none',
      modelDirs: [],
      ...options,
    });
    if (file === undefined) process.stdout.write(text);
    else file.write(text);
  },
};
