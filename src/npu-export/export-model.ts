import { copyFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { FloatDType } from '../dtype.js';
import { AtbError } from '../errors.js';
import type { GraphSpec } from '../graph/atb-graph.js';
import { type GraphKind, PREFILL } from '../graph/graph-kind.js';
import { type LegalityProblem, problemText } from '../graph/legality-problem.js';
import { formatNestedExport, nestedExport } from '../graph/nested-graph.js';
import { specProblems } from '../graph/nested-legality.js';
import { BLOCK_SIZES } from '../graph/ops/paged-attention.js';
import { makeFolder } from '../make-folder.js';
import { inputDescs, type StepShape } from '../models/base/input-descs.js';
import { getModel } from '../models/get-model.js';
import { type OpenModel, openModel } from '../runner/open-model.js';
import { CHECKS, checkOptions, type OptionChecks, oneOf } from '../runner/options.js';
import { requireNumbers } from '../runner/weight-storage.js';
import { ADDED_ROWS } from '../step-inputs/index.js';
import { manifestOf } from './manifest.js';

/** The programs that build and run an export, beside this package's code. */
const PROGRAM = join(import.meta.dirname, '../../../npu');

export interface ExportOptions {
  readonly modelPath: string;
  /** The directory to write; it may not hold an export already. */
  readonly output: string;
  /** bf16 or f16. f32, which no NPU takes, for checking the programs without one. The checkpoint's, or bf16, when absent. */
  readonly dtype?: FloatDType | undefined;
  /** Tokens of a block of the KV cache; when absent the most, up to 128, that ATB takes with the model's heads. */
  readonly blockSize?: number | undefined;
  /** Override of the model's context length. */
  readonly maxPositionEmbeddings?: number | undefined;
  readonly modelDirs?: readonly string[] | undefined;
  /** Called with what is odd but keeps nothing from running. */
  readonly onWarning?: ((text: string) => void) | undefined;
}

const EXPORT_OPTIONS: OptionChecks<ExportOptions> = {
  modelPath: CHECKS.modelPath,
  output: CHECKS.output,
  dtype: oneOf('bf16', 'f16', 'f32'),
  blockSize: CHECKS.count,
  maxPositionEmbeddings: CHECKS.count,
  modelDirs: CHECKS.texts,
  onWarning: CHECKS.callback,
};

/**
 * Writes what the owner of an NPU needs to run a checkpoint there: nested graphs of every kind, a manifest of weights,
 * step inputs and caches, and a Python program that builds them through MindIE's or ATB's own bindings. Of a model that sees
 * or hears these are the graphs of text, among whose embeddings the program puts what an encoder made elsewhere. Returns the
 * files. Throws CONFIG_*, ROUTER_*, WEIGHT_*, REQUEST_INVALID, OUTPUT_UNWRITABLE; GRAPH_ILLEGAL for a model that ATB refuses,
 * MODEL_EXPORT_UNSUPPORTED for an encoder, for text that attends to caches of pictures, and where words of an answer hear
 * sound: `atb-models graph --format json` gives their graphs.
 */
export async function exportModel(options: ExportOptions): Promise<string[]> {
  checkOptions(options, EXPORT_OPTIONS, 'ExportOptions');
  const { modelPath, modelDirs = [], maxPositionEmbeddings, onWarning } = options;
  const router = await getModel(modelPath, { modelDirs });
  const { dtype: stored = 'bf16' } = router.config;
  const dtype = options.dtype ?? (stored === 'f32' ? 'bf16' : stored);
  const open = await openModel({
    modelPath,
    modelDirs,
    dtype,
    ...(maxPositionEmbeddings !== undefined && { maxPositionEmbeddings }),
    ...(onWarning && { onWarning }),
  });
  const { model } = open;
  requireText(open);
  for (const weight of model.getWeights()) await requireNumbers(weight);
  const kinds = model.graphKinds.filter((kind) => kind.fillsCache);
  const graphs = new Map(kinds.map((kind) => [kind, model.buildGraph(kind)]));
  const blockSize = options.blockSize ?? largestBlock(open, graphs);
  const step = stepOf(blockSize);
  for (const [kind, spec] of graphs) requireLegal(open, kind, spec, step, onWarning);
  const directory = await emptyDirectory(options.output);
  const graphFiles = new Map([...graphs.keys()].map((kind) => [kind, `${kind.name}.json`]));
  const texts = new Map<string, string>();
  for (const [kind, spec] of graphs) {
    const nested = nestedExport(spec, inputDescs(model, kind, dtype, step));
    texts.set(`${kind.name}.json`, formatNestedExport(nested));
  }
  const manifest = manifestOf(open, { blockSize, graphs, graphFiles });
  texts.set('manifest.json', `${JSON.stringify(manifest, null, 1)}\n`);
  return writeFiles(directory, texts);
}

/** Writes the texts by their names, and the programs beside them; all of them or none. @throws OUTPUT_UNWRITABLE */
async function writeFiles(directory: string, texts: ReadonlyMap<string, string>): Promise<string[]> {
  const files: string[] = [];
  const put = async (name: string, write: (file: string) => Promise<void>): Promise<void> => {
    const file = join(directory, name);
    files.push(file);
    await write(file);
  };
  try {
    for (const [name, text] of texts) await put(name, (file) => writeFile(file, text, { flag: 'wx' }));
    for (const name of (await readdir(PROGRAM)).filter((file) => file.endsWith('.py')))
      await put(name, (file) => copyFile(join(PROGRAM, name), file));
    return files;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    for (const file of files) await rm(file, { force: true });
    throw new AtbError('OUTPUT_UNWRITABLE', { flag: 'OUT', file: directory, reason }, { cause });
  }
}

/** The program that goes with the graphs generates text from token ids, in caches that belong to sequences. */
function requireText({ model, router }: OpenModel): void {
  const shown = model.shown?.();
  const adds = model.stepInputs.some(({ names }) => names.includes(ADDED_ROWS));
  if (model.graphKinds.includes(PREFILL) && !shown && !adds) return;
  const phases = model.graphKinds.map(({ name }) => name);
  const reason = shown
    ? 'the program of an export fills no caches of pictures, to which its text attends'
    : adds
      ? 'the program of an export adds nothing to the words that it generates'
      : 'the program of an export generates text, and this model encodes it';
  throw new AtbError('MODEL_EXPORT_UNSUPPORTED', { modelType: router.config.modelType, reason, phases });
}

/** A step by which graphs are judged. */
const stepOf = (blockSize: number): StepShape => ({ batch: 1, tokens: blockSize, blockSize });

/** The largest blocks with which every graph is legal. A model that ATB refuses is refused with the largest of all. */
function largestBlock(open: OpenModel, graphs: ReadonlyMap<GraphKind, GraphSpec>): number {
  const isLegal = (blockSize: number): boolean =>
    [...graphs].every(([kind, spec]) => judge(open, kind, spec, stepOf(blockSize)).problems.length === 0);
  return BLOCK_SIZES.find(isLegal) ?? BLOCK_SIZES[0];
}

/** What ATB refuses of a graph. Of f32 nothing but dtypes may be wrong; then the export is for a stub and no NPU. */
function judge({ model, dtype }: OpenModel, kind: GraphKind, spec: GraphSpec, step: StepShape) {
  const isAboutF32 = ({ rule, text }: LegalityProblem): boolean =>
    dtype === 'f32' && (rule === 'dtype' || /found (?:f32|ACL_FLOAT)$/.test(text));
  const all = specProblems(spec, inputDescs(model, kind, dtype, step));
  return { problems: all.filter((problem) => !isAboutF32(problem)), aboutF32: all.filter(isAboutF32) };
}

function requireLegal(
  open: OpenModel,
  kind: GraphKind,
  spec: GraphSpec,
  step: StepShape,
  onWarning: ExportOptions['onWarning'],
): void {
  const { problems, aboutF32 } = judge(open, kind, spec, step);
  if (problems.length > 0)
    throw new AtbError('GRAPH_ILLEGAL', { graph: spec.name, problems: problems.map(problemText) });
  const [first] = aboutF32;
  if (first)
    onWarning?.(
      `no NPU takes f32 (rule dtype): ${problemText(first)}; this export is for checking the program`,
    );
}

async function emptyDirectory(output: string): Promise<string> {
  const directory = resolve(output);
  try {
    await makeFolder(directory);
    if ((await readdir(directory)).length === 0) return directory;
  } catch (cause) {
    const expected = 'a directory that can be written';
    throw new AtbError('REQUEST_INVALID', { field: 'OUTPUT', expected, found: output }, { cause });
  }
  throw new AtbError('REQUEST_INVALID', { field: 'OUTPUT', expected: 'an empty directory', found: output });
}
