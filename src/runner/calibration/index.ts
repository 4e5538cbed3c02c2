import { type Tensor, toFloat32 } from '../../dtype.js';
import { refuseRequest } from '../../errors.js';
import { AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import { PREFILL } from '../../graph/graph-kind.js';
import { productsOf } from '../../graph/placed-operations.js';
import type { NativeEngine } from '../../native/index.js';
import { TensorPlaces } from '../../weights/unread-tensors.js';
import { ModelRunner } from '../model-runner.js';
import type { OpenModel } from '../open-model.js';
import { type Factor, factorOf, type Multiply, type RoundedRows, roundRows } from './round-rows.js';

/** Tokens of the text that are run at a time, and of which no more than so many are run. */
const WINDOW = 512;
const MAX_TOKENS = 1 << 16;
/** What inputs' moments may take: of more inputs, the text is run again for those that are left. */
const MAX_MOMENT_BYTES = 2 ** 31;
const BLOCK_SIZE = 128;

export interface CalibrationOptions {
  readonly threads?: number | undefined;
  readonly nativePath?: string | undefined;
}

/** The input of a product. */
interface ProductInput {
  /** Its path in the graph. */
  readonly path: string;
  readonly channels: number;
  /** Of experts, whose rows lie one behind the other: which one, and the path of where those of each end. */
  readonly expert?: { readonly index: number; readonly ends: string };
}

const keyOf = ({ path, expert }: ProductInput): string => (expert ? `${path} ${expert.index}` : path);

/**
 * Rounds the weights of a float model's products by what goes into them when it reads a text; those of an expert by what
 * chose it. The model runs beside, as floats. Inputs that reach a product from outside its layer's graph are not known.
 */
export class Calibration {
  #moments = new Map<string, Float64Array>();
  #factor: (Factor & { readonly key: string }) | undefined;

  private constructor(
    private readonly runner: ModelRunner,
    private readonly engine: NativeEngine,
    private readonly windows: readonly Int32Array[],
    /** By the name of the weight in the files, in their order. */
    private readonly inputs: ReadonlyMap<string, ProductInput>,
  ) {}

  /**
   * `engine` multiplies matrices. Throws REQUEST_INVALID for a text of no tokens, and what `ModelRunner.load` and the
   * tokenizer throw.
   */
  static async open(
    open: OpenModel,
    engine: NativeEngine,
    text: string,
    options: CalibrationOptions,
  ): Promise<Calibration> {
    const { tokenizer } = await open.text();
    if (!tokenizer)
      return refuseRequest('calibrate', 'a text for a model with a tokenizer', text.slice(0, 20));
    const tokens = (await tokenizer.encodeAsync(text, { addSpecialTokens: false })).slice(0, MAX_TOKENS);
    if (tokens.length === 0) refuseRequest('calibrate', 'a text', text);
    const size = Math.min(WINDOW, open.config.maxPositionEmbeddings);
    const windows = Array.from({ length: Math.ceil(tokens.length / size) }, (_, i) =>
      Int32Array.from(tokens.slice(i * size, (i + 1) * size)),
    );
    const runner = await ModelRunner.load(open, {
      blockSize: BLOCK_SIZE,
      numBlocks: Math.ceil(size / BLOCK_SIZE),
      passes: 'none',
      ...(options.threads !== undefined && { threads: options.threads }),
      ...(options.nativePath !== undefined && { nativePath: options.nativePath }),
    });
    return new Calibration(runner, engine, windows, inputsOf(open));
  }

  /** Whether the input of this weight's product is known. */
  has(weight: string): boolean {
    return this.inputs.has(weight);
  }

  /** Whole numbers for a weight of which `has` is true; undefined where its rows are of another width than its input. */
  async round(weight: string, rows: RoundedRows): Promise<Int8Array | undefined> {
    const input = this.inputs.get(weight);
    if (input === undefined || input.channels !== rows.k) return undefined;
    return roundRows(rows, await this.#factorOf(input), this.#multiply);
  }

  dispose(): void {
    this.runner.dispose();
  }

  async #factorOf(input: ProductInput): Promise<Factor> {
    const key = keyOf(input);
    if (this.#factor?.key === key) return this.#factor;
    if (!this.#moments.has(key)) await this.#collect(key);
    const factor = await factorOf(this.#moments.get(key) as Float64Array, input.channels, this.#multiply);
    this.#factor = { ...factor, key };
    return factor;
  }

  /** Runs the text for the moments of an input, and of as many behind it as there is room for. */
  async #collect(first: string): Promise<void> {
    this.#moments = new Map();
    let bytes = 0;
    const all = [...new Map([...this.inputs.values()].map((input) => [keyOf(input), input])).values()];
    const from = all.findIndex((input) => keyOf(input) === first);
    const inputs: ProductInput[] = [];
    for (const input of [...all.slice(from), ...all.slice(0, from)]) {
      bytes += input.channels ** 2 * Float64Array.BYTES_PER_ELEMENT;
      if (bytes > MAX_MOMENT_BYTES && inputs.length > 0) break;
      inputs.push(input);
      this.#moments.set(keyOf(input), new Float64Array(input.channels ** 2));
    }
    const paths = [...new Set(inputs.flatMap(({ path, expert }) => (expert ? [path, expert.ends] : [path])))];
    for (const window of this.windows) {
      const { tensors } = await this.runner.trace(window, paths);
      for (const input of inputs) {
        const data = rowsOf(tensors, input);
        if (data.length === 0) continue;
        const x = { dtype: 'f32', shape: [data.length / input.channels, input.channels], data } as const;
        const products = await this.#run(SQUARE, { x });
        const sums = this.#moments.get(keyOf(input)) as Float64Array;
        for (let i = 0; i < sums.length; i++) sums[i] = (sums[i] as number) + (products[i] as number);
      }
    }
  }

  readonly #multiply: Multiply = (a, b, [m, j, n]) =>
    this.#run(PRODUCT, {
      x: { dtype: 'f32', shape: [m, j], data: a },
      w: { dtype: 'f32', shape: [j, n], data: b },
    });

  async #run(...[graph, inputs]: Parameters<NativeEngine['forward']>): Promise<Float32Array> {
    const { outputs } = await this.engine.forward(graph, inputs);
    return outputs.y?.data as Float32Array;
  }
}

/** x [t, k] -> the transpose of x times x, [k, k]. */
const SQUARE = linear('square', ['x'], ['x', 'x'], { transposeA: true, transposeB: false, hasBias: false });
/** x [m, j], w [j, n] -> [m, n]. */
const PRODUCT = linear('product', ['x', 'w'], ['x', 'w'], { transposeB: false, hasBias: false });

function linear(
  name: string,
  input: readonly string[],
  operands: readonly string[],
  param: { readonly transposeA?: boolean; readonly transposeB: boolean; readonly hasBias: boolean },
) {
  const graph = new AtbGraph(name);
  graph.addInputOutput({ input, output: ['y'] });
  graph.addOperation(new BaseOperation('Linear', param, name), operands, ['y']);
  return graph.build();
}

/** The rows of a product's input among what was traced. */
function rowsOf(
  tensors: Readonly<Record<string, Tensor>>,
  { path, channels, expert }: ProductInput,
): Float32Array {
  const x = toFloat32(tensors[path] as Tensor);
  if (expert === undefined) return x;
  const ends = Array.from(tensors[expert.ends]?.data ?? [], Number);
  const [first = 0, last = 0] = [ends[expert.index - 1], ends[expert.index]];
  return x.slice(first * channels, last * channels);
}

/** What goes into the products of a model, by the names of their weights in the files, in the order of these. */
function inputsOf({ model, checkpoint }: OpenModel): Map<string, ProductInput> {
  const places = new TensorPlaces(checkpoint.tensors);
  const weights = new Map(model.getWeights().map((weight) => [weight.name, weight]));
  const inputs = new Map<string, ProductInput>();
  for (const { node, matrix, innerInputs } of productsOf(model.buildGraph(PREFILL))) {
    const type = 'type' in node.op ? node.op.type : undefined;
    const [path, ends] = [innerInputs[0], innerInputs.at(-1)];
    const weight = weights.get(matrix);
    if (path === undefined || !weight || (type !== 'Linear' && type !== 'GroupedMatmul')) continue;
    const channels = weight.shape.at(-1) ?? 0;
    const partsOfExpert = weight.parts.length / (weight.shape[0] ?? 1);
    for (const [at, part] of weight.parts.entries()) {
      const name = part.file === undefined ? undefined : places.at(part.file, part.offset);
      if (name === undefined) continue;
      const expert = { index: Math.floor(at / partsOfExpert), ends: ends ?? '' };
      inputs.set(name, { path, channels, ...(type === 'GroupedMatmul' && { expert }) });
    }
  }
  return new Map(
    [...checkpoint.tensors.keys()].flatMap((name) => {
      const input = inputs.get(name);
      return input ? [[name, input] as const] : [];
    }),
  );
}
