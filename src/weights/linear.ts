import { AtbError } from '../errors.js';
import { concatRows, type TensorRef, type Weights } from './weights.js';

/** How a linear's weight is stored; selects the builder. FLOAT32 is our extension. */
export type LinearDesc = 'FLOAT16' | 'BFLOAT16' | 'FLOAT32';

const DESC_OF_DTYPE: Readonly<Partial<Record<TensorRef['dtype'], LinearDesc>>> = {
  f32: 'FLOAT32',
  f16: 'FLOAT16',
  bf16: 'BFLOAT16',
};

export interface LinearOptions {
  /** Name of the result; the part's own by default. Needed for several parts. */
  readonly name?: string;
  readonly parts: readonly [LinearPart, ...LinearPart[]];
  readonly inFeatures: number;
  readonly hasBias?: boolean;
}

export interface LinearPart {
  /** Checkpoint name of the projection: `q_proj`. */
  readonly name: string;
  readonly outFeatures: number;
}

/** One projection, or several packed by rows into one matrix product. The weight is [outFeatures, inFeatures]. */
export class Linear {
  private constructor(
    readonly name: string,
    readonly desc: LinearDesc,
    readonly weight: TensorRef,
    readonly bias: TensorRef | undefined,
  ) {}

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  static load(weights: Weights, options: LinearOptions): Linear {
    const { parts, inFeatures, hasBias = false } = options;
    const [first, ...others] = parts;
    const name = options.name ?? first.name;
    const pack = (suffix: string, shapeOf: (outFeatures: number) => number[]): TensorRef => {
      const ref = (part: LinearPart): TensorRef =>
        weights.get(`${part.name}.${suffix}`, shapeOf(part.outFeatures));
      const refs: [TensorRef, ...TensorRef[]] = [ref(first), ...others.map(ref)];
      return others.length === 0 ? refs[0] : concatRows(weights.path(`${name}.${suffix}`), refs);
    };
    const weight = pack('weight', (outFeatures) => [outFeatures, inFeatures]);
    const bias = hasBias ? pack('bias', (outFeatures) => [outFeatures]) : undefined;
    return new Linear(weights.path(name), describe(weight), weight, bias);
  }

  get hasBias(): boolean {
    return this.bias !== undefined;
  }

  get outFeatures(): number {
    return this.weight.shape[0] ?? 0;
  }

  /** Names in the order in which a Linear operation reads them. */
  weightNames(): string[] {
    return this.getWeights().map((weight) => weight.name);
  }

  getWeights(): TensorRef[] {
    return this.bias ? [this.weight, this.bias] : [this.weight];
  }
}

function describe(weight: TensorRef): LinearDesc {
  const desc = DESC_OF_DTYPE[weight.dtype];
  if (desc === undefined) {
    throw new AtbError('WEIGHT_DTYPE_UNSUPPORTED', {
      name: weight.name,
      file: weight.parts[0]?.file ?? 'the checkpoint',
      found: weight.dtype,
      supported: Object.keys(DESC_OF_DTYPE),
    });
  }
  return desc;
}
