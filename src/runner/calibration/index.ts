import { toFloat32 } from '../../dtype.js';
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
}

/**
 * Rounds the weights of a float model's products by what goes into them when it reads a text. The model runs beside, as
 * floats. Inputs that reach a product from outside its layer's graph, and those of experts, are not known.
 */
export class Calibration {
  #moments = new Map<string, Float64Array>();
  #factor: (Factor & { readonly path: string }) | undefined;

  private constructor(
    private readonly runner: ModelRunner,
    private readonly engine: NativeEngine,
    private readonly windows: readonly Int32Array[],
    /** By the name of the weight in the files. */
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

  async #factorOf({ path, channels }: ProductInput): Promise<Factor> {
    if (this.#factor?.path === path) return this.#factor;
    if (!this.#moments.has(path)) await this.#collect(path);
    const factor = factorOf(this.#moments.get(path) as Float64Array, channels);
    this.#factor = { ...factor, path };
    return factor;
  }

  /** Runs the text for the moments of an input, and of as many behind it as there is room for. */
  async #collect(first: string): Promise<void> {
    this.#moments = new Map();
    let bytes = 0;
    const inputs = [...new Map([...this.inputs.values()].map((input) => [input.path, input])).values()];
    const from = inputs.findIndex(({ path }) => path === first);
    for (const { path, channels } of [...inputs.slice(from), ...inputs.slice(0, from)]) {
      bytes += channels ** 2 * Float64Array.BYTES_PER_ELEMENT;
      if (bytes > MAX_MOMENT_BYTES && this.#moments.size > 0) break;
      this.#moments.set(path, new Float64Array(channels ** 2));
    }
    for (const window of this.windows) {
      const { tensors } = await this.runner.trace(window, [...this.#moments.keys()]);
      for (const [path, sums] of this.#moments) {
        const x = toFloat32(tensors[path] as NonNullable<(typeof tensors)[string]>);
        const k = Math.sqrt(sums.length);
        const products = await this.#run(SQUARE, { x: { dtype: 'f32', shape: [x.length / k, k], data: x } });
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

/** What goes into the products of a model, by the names of their weights in the files. */
function inputsOf({ model, checkpoint }: OpenModel): Map<string, ProductInput> {
  const places = new TensorPlaces(checkpoint.tensors);
  const weights = new Map(model.getWeights().map((weight) => [weight.name, weight]));
  const inputs = new Map<string, ProductInput>();
  for (const { node, matrix, innerInputs } of productsOf(model.buildGraph(PREFILL))) {
    const [path] = innerInputs;
    const weight = weights.get(matrix);
    if (path === undefined || !weight || !('type' in node.op) || node.op.type !== 'Linear') continue;
    for (const part of weight.parts) {
      const name = part.file === undefined ? undefined : places.at(part.file, part.offset);
      if (name !== undefined) inputs.set(name, { path, channels: weight.shape[1] ?? 0 });
    }
  }
  return inputs;
}
