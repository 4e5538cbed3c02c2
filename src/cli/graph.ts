import type { FloatDType } from '../dtype.js';
import { refuseRequest } from '../errors.js';
import type { GraphSpec } from '../graph/atb-graph.js';
import { flatten, formatFlatGraph } from '../graph/flatten.js';
import { ENCODE } from '../graph/graph-kind.js';
import type { TensorDesc } from '../graph/infer-shapes.js';
import { assertLegal } from '../graph/legality.js';
import { type LegalityProblem, problemText } from '../graph/legality-problem.js';
import { formatNestedExport, nestedExport } from '../graph/nested-graph.js';
import { assertLegalSpec, specProblems } from '../graph/nested-legality.js';
import { applyPasses, PASSES, type PassSelection } from '../graph/passes/index.js';
import { printDot, printSvg, printText } from '../graph/printers/index.js';
import { inputDescs } from '../models/base/input-descs.js';
import { getModel } from '../models/get-model.js';
import { planModel } from '../runner/open-model.js';
import { DEFAULT_BLOCK_SIZE } from '../runner/runner-options.js';
import { declaredQuantization } from '../weights/formats/index.js';
import type { QuantizeOptions } from '../weights/quantization.js';
import { declaredWeights } from '../weights/weights.js';
import type { Command } from './command.js';
import { declareFlags, optionsOf } from './command-line.js';
import { withModelFolder } from './model-folder.js';
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
  /** With json: one graph without sub-graphs and with the shapes of one step, which ATB holds of small models only. */
  readonly flat?: boolean;
  /** Called with each rule of ATB's that a portable graph breaks, unless it is exported. */
  readonly onWarning?: (text: string) => void;
}

/**
 * A model's graph as text, from config.json and, of a quantised checkpoint, its description; no weights are read. What is
 * exported as json must be legal in ATB.
 * Throws CONFIG_INVALID, ROUTER_*, REQUEST_INVALID, WEIGHT_QUANT_*, GRAPH_*; GRAPH_ILLEGAL for json that ATB refuses.
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
  const { dtype: ofConfig = 'bf16' } = router.config;
  const dtype = args.dtype ?? (ofConfig === 'f32' ? 'bf16' : ofConfig);
  const { quantization } = planModel(router, { ...args, dtype });
  const willQuantize = quantization !== undefined;
  const stored = await declaredQuantization(args.modelPath, router.configDict, { willQuantize });
  const weights = declaredWeights(dtype, quantization ?? stored);
  const whole = router.createModel(weights);
  const isEncoder = args.phase !== ENCODE.name || whole.graphKinds.includes(ENCODE);
  const model = isEncoder ? whole : router.createModel(weights, router.config, 'embed');
  const kind = model.graphKinds.find(({ name }) => name === args.phase);
  if (kind === undefined) {
    const expected = `a graph of ${model.name}: ${model.graphKinds.map(({ name }) => name).join(', ')}`;
    return refuseRequest('--phase', expected, args.phase);
  }
  const spec = applyPasses(model.buildGraph(kind), args.passes);
  const inputs = inputDescs(model, kind, dtype, args);
  if (args.format === 'json') return exported(spec, inputs, args);
  // Passes are for this engine: what they make is not meant for ATB.
  if (args.passes === 'none') warn(specProblems(spec, inputs), args);
  switch (args.format) {
    case 'text':
      return printText(spec);
    case 'dot':
      return printDot(spec);
    case 'svg':
      return printSvg(spec);
  }
}

function exported(
  spec: GraphSpec,
  inputs: ReadonlyMap<string, TensorDesc>,
  { flat }: GraphArguments,
): string {
  if (!flat) {
    assertLegalSpec(spec, inputs);
    return formatNestedExport(nestedExport(spec, inputs));
  }
  const { graph } = flatten(spec, inputs);
  assertLegal(graph);
  return formatFlatGraph(graph);
}

/** Problems of many operations are often one. */
const SHOWN_PROBLEMS = 5;

function warn(problems: readonly LegalityProblem[], { onWarning }: GraphArguments): void {
  for (const problem of problems.slice(0, SHOWN_PROBLEMS))
    onWarning?.(`ATB would refuse this graph (rule ${problem.rule}): ${problemText(problem)}`);
  const more = problems.length - SHOWN_PROBLEMS;
  if (more > 0) onWarning?.(`ATB would refuse this graph: ${more} more problems`);
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
  'quantize_head',
  'quant_group_size',
  'passes',
  'model_dirs',
  'flat',
  'output',
] as const;

/** `atb-models graph`: how a model looks to the engine, and to ATB. */
export const graphCommand: Command = {
  builder: (argv) => {
    const names = PASSES.map(({ name, summary }) => `  ${name}: ${summary}`).join('\n');
    return declareFlags(argv, {
      command: 'atb-models graph',
      example: '--model_path DIR --phase decode --format svg --output decode.svg',
      flags: FLAGS,
    }).epilogue(`--passes names some of:\n${names}`);
  },
  async handler(argv) {
    const { output, ...options } = await withModelFolder(optionsOf(argv, FLAGS));
    if (options.flat && options.format !== 'json')
      refuseRequest('--flat', 'used together with --format json', options.format);
    const file = output === undefined ? undefined : new OutputFile('--output', output);
    const text = await renderGraph({
      batch: 1,
      tokens: 128,
      blockSize: DEFAULT_BLOCK_SIZE,
      dtype: undefined,
      passes: 'none',
      modelDirs: [],
      ...options,
      onWarning: (text) => process.stderr.write(`${text}\n`),
    });
    if (file === undefined) process.stdout.write(text);
    else file.write(text);
  },
};
