import { type ActivationKind, CommonOpBuilderManager } from '../../common-op-builders/index.js';
import { AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { FULL_MASK } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import type { AttentionConfig } from '../attention-config.js';
import { addScaled } from '../formulas/residual.js';
import { buildLinear } from '../linear/linear-steps.js';
import { Module } from '../module.js';

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

/** What a head makes of rows before its last product: `input` [rows, hidden] -> the tensor whose name is returned, the same. */
export interface RowStep extends Module {
  buildGraph(graph: AtbGraph, input: string): string;
}

/** What follows the first product of a classifier: any activation of an MLP, or tanh. */
export type HeadActivation = ActivationKind | 'tanh';

/** act(dense(x)): of BERT, whose classifiers have tanh, and its relatives (transformers 5.24, BertPooler). */
export class ActivatedDense extends Module implements RowStep {
  readonly dense: Linear;

  constructor(
    weights: Weights,
    name: string,
    hiddenSize: number,
    private readonly act: HeadActivation,
  ) {
    super();
    this.dense = headLinear(weights, name, {
      inFeatures: hiddenSize,
      outFeatures: hiddenSize,
      hasBias: true,
    });
  }

  buildGraph(graph: AtbGraph, input: string): string {
    return buildHeadActivation(graph, this.act, buildLinear(graph, this.dense, input, 'head_dense_out'));
  }
}

/** `input` [rows, width] -> `head_act_out`, the same shape. */
export function buildHeadActivation(graph: AtbGraph, act: HeadActivation, input: string): string {
  const actOut = 'head_act_out';
  if (act === 'tanh') {
    const tanh = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_TANH' }, 'head_act');
    graph.addOperation(tanh, [input], [actOut]);
  } else {
    CommonOpBuilderManager.getBuilder({
      category: 'ACTIVATION',
      opName: 'head_act',
      kind: act,
      isGated: false,
      isPack: false,
    }).build(graph, { input, actOut });
  }
  return actOut;
}

/** The sizes of attention heads that are as wide as the hidden states. */
type HeadSizes = Pick<AttentionConfig, 'numAttentionHeads' | 'headDim'>;

/**
 * The mean of a text's hidden states for each of the rows that `lm_head_indices` names: [rows, hidden]. It is attention
 * whose queries are 0, so that all keys have one score; thus no other text of a batch takes part in it.
 */
export class TextMeans extends Module implements RowHead {
  private readonly rows = new HiddenRows();

  constructor(private readonly sizes: HeadSizes) {
    super();
  }

  /** A graph of its own, since attention reads views of its tensors. */
  buildGraph(graph: AtbGraph, kind: GraphKind, hidden: string, out = RESULT): string {
    const means = new AtbGraph('text_means_graph');
    means.addOptionalInputs(graph.names().filter((tensor) => tensor !== hidden));
    const zeros = addScaled(means, hidden, 0, 'zeros');
    const { numAttentionHeads: headNum, headDim } = this.sizes;
    CommonOpBuilderManager.getBuilder({
      category: 'ATTENTION',
      opName: 'mean',
      attnType: 'PAGED_ATTENTION',
      kind,
      headNum,
      kvHeadNum: headNum,
      headDim,
      scale: 1,
      isCausal: false,
    }).build(means, {
      q: zeros,
      k: hidden,
      v: hidden,
      seqLen: 'seq_len',
      attentionMask: FULL_MASK,
      qLen: 'q_len',
      attentionOut: 'mean_out',
    });
    this.rows.buildGraph(means, kind, 'mean_out', 'wanted_means');
    means.addInputOutput({ input: [hidden], output: ['wanted_means'] });
    const spec = means.build();
    graph.addOperation(spec, spec.inputs, [out], { name: 'text_means' });
    return out;
  }
}

/** What a classifier looks like. */
export interface ClassificationSizes {
  readonly hiddenSize: number;
  readonly labels: number;
  /** The checkpoint's name of the last product. */
  readonly name: string;
  readonly hasBias: boolean;
  /** What comes before it. */
  readonly step?: RowStep;
  /** What it reads of a text; the hidden states of a row when absent. */
  readonly rows?: HiddenRows | TextMeans;
}

/** The labels of a configuration that names any: what a classifier's head is made of. */
interface LabelledConfig {
  readonly hiddenSize: number;
  readonly labels: number | undefined;
}

/** BERT's head of a configuration that names labels; undefined where there are none. `act` is tanh when absent. */
export const classifierOf = (
  weights: Weights,
  { hiddenSize, labels }: LabelledConfig,
  {
    dense,
    out,
    act = 'tanh',
  }: {
    /** Undefined where the last product reads the row itself. */
    readonly dense: string | undefined;
    readonly out: string;
    readonly act?: HeadActivation;
  },
): ClassificationHead | undefined =>
  labels === undefined
    ? undefined
    : new ClassificationHead(weights, {
        hiddenSize,
        labels,
        name: out,
        hasBias: true,
        ...(dense !== undefined && { step: new ActivatedDense(weights, dense, hiddenSize, act) }),
      });

/** out(step(x)), or out(x), of one row of each text: [rows, labels]. */
export class ClassificationHead extends Module implements RowHead {
  readonly step: RowStep | undefined;
  readonly out: Linear;
  private readonly rows: HiddenRows | TextMeans;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(
    weights: Weights,
    { hiddenSize, labels, name, hasBias, step, rows = new HiddenRows() }: ClassificationSizes,
  ) {
    super();
    this.step = step;
    this.rows = rows;
    this.out = headLinear(weights, name, { inFeatures: hiddenSize, outFeatures: labels, hasBias });
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const rows = this.rows.buildGraph(graph, kind, hidden, 'head_rows');
    const input = this.step?.buildGraph(graph, rows) ?? rows;
    CommonOpBuilderManager.getBuilder({
      category: 'LINEAR',
      opName: 'classifier',
      linear: this.out,
    }).build(graph, { input, linearOut: RESULT });
    return RESULT;
  }
}

interface LinearSizes {
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly hasBias: boolean;
}

/** A linear of a head, which stays a float when others are quantised. */
export function headLinear(
  weights: Weights,
  name: string,
  { inFeatures, outFeatures, hasBias }: LinearSizes,
): Linear {
  return Linear.load(weights, { parts: [{ name, outFeatures }], inFeatures, hasBias, role: 'head' });
}
