import { CommonOpBuilderManager } from '../common-op-builders/index.js';
import { type AtbGraph, BaseOperation } from '../graph/atb-graph.js';
import type { GraphKind } from '../graph/graph-kind.js';
import { Linear } from '../weights/linear.js';
import type { TensorRef, Weights } from '../weights/weights.js';
import { Module } from './module.js';

/** What a model's graph makes of its hidden states: `hidden` [tokens, hidden] -> [rows, width], the graph's result. */
export interface RowHead {
  getWeights(): TensorRef[];
  buildGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string;
}

/** What the graph's result is called. */
const RESULT = 'model_out';

/** The hidden states of the rows that `lm_head_indices` names: [rows, hidden]. */
export class HiddenRows extends Module implements RowHead {
  buildGraph(graph: AtbGraph, _kind: GraphKind, hidden: string, out = RESULT): string {
    const gather = new BaseOperation('Gather', { axis: 0 }, 'wanted_rows');
    graph.addOperation(gather, [hidden, 'lm_head_indices'], [out]);
    return out;
  }
}

/** What a classifier looks like. */
export interface ClassificationSizes {
  readonly hiddenSize: number;
  readonly labels: number;
  /** The checkpoint's names: of a layer whose result goes through tanh, if there is one, and of the layer behind it. */
  readonly names: { readonly dense?: string; readonly out: string };
  /** Whether these have biases. */
  readonly hasBias: boolean;
}

/** The head with biases of a configuration that names labels; undefined where there are none. */
export const classifierOf = (
  weights: Weights,
  { hiddenSize, labels }: { readonly hiddenSize: number; readonly labels: number | undefined },
  names: ClassificationSizes['names'],
): ClassificationHead | undefined =>
  labels === undefined
    ? undefined
    : new ClassificationHead(weights, { hiddenSize, labels, names, hasBias: true });

/** out(tanh(dense(x))), or out(x), of one row of each text: [rows, labels] (transformers 5.24, BertPooler). */
export class ClassificationHead extends Module implements RowHead {
  readonly dense: Linear | undefined;
  readonly out: Linear;
  private readonly rows = new HiddenRows();

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(weights: Weights, { hiddenSize, labels, names, hasBias }: ClassificationSizes) {
    super();
    const linear = (name: string, outFeatures: number): Linear =>
      Linear.load(weights, {
        parts: [{ name, outFeatures }],
        inFeatures: hiddenSize,
        hasBias,
        role: 'head',
      });
    this.dense = names.dense === undefined ? undefined : linear(names.dense, hiddenSize);
    this.out = linear(names.out, labels);
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const rows = this.rows.buildGraph(graph, kind, hidden, 'head_rows');
    return this.buildLinearGraph(graph, 'classifier', this.out, this.buildDenseGraph(graph, rows), RESULT);
  }

  private buildDenseGraph(graph: AtbGraph, rows: string): string {
    if (!this.dense) return rows;
    const dense = this.buildLinearGraph(graph, 'head_dense', this.dense, rows, 'head_dense_out');
    const tanh = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_TANH' }, 'head_tanh');
    graph.addOperation(tanh, [dense], ['head_tanh_out']);
    return 'head_tanh_out';
  }

  private buildLinearGraph(
    graph: AtbGraph,
    opName: string,
    linear: Linear,
    input: string,
    linearOut: string,
  ): string {
    CommonOpBuilderManager.getBuilder({ category: 'LINEAR', opName, linear }).build(graph, {
      input,
      linearOut,
    });
    return linearOut;
  }
}
