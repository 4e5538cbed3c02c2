import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import { Linear } from '../../weights/linear.js';
import { withRowOrder } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { gatherRows } from '../formulas/gather-rows.js';
import { addResidual, addScaled } from '../formulas/residual.js';
import { addColumns } from '../linear/gate.js';
import { buildLinear } from '../linear/linear-steps.js';
import { Module } from '../module.js';
import { BaseRMSNorm, HeadNorm } from '../norms/norms.js';

/** What vectors of embeddings alone are told by the configuration. */
export interface ProjectedConfig {
  readonly hiddenSize: number;
  readonly numHiddenLayers: number;
  readonly perLayerSize: number;
  readonly rmsNormEps: number;
}

/** What those of ids are told, too. */
export interface PerLayerConfig extends ProjectedConfig {
  readonly vocabSize: number;
  /** Ids that the table has a row for; those beyond it take its first row. */
  readonly perLayerVocab: number;
  /** Ids that stand for what is no word: they take the row of padding. */
  readonly padded?: readonly number[];
  readonly padTokenId?: number | undefined;
}

/** What a layer calls what is meant for it, and the model. */
const PER_LAYER_INPUT = 'per_layer_input';

/** What a layer reads of it: for `borrowed()` of a layer. */
export const perLayerInput = (layerId: number): readonly [inner: string, outer: string] => [
  PER_LAYER_INPUT,
  `${PER_LAYER_INPUT}_${layerId}`,
];

/** A vector of each token for each layer, of its embedding by a projection, which is normed. */
export class ProjectedPerLayerInputs extends Module {
  readonly projection: Linear;
  readonly norm: HeadNorm;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(
    private readonly sizes: ProjectedConfig,
    weights: Weights,
  ) {
    super();
    const { hiddenSize, numHiddenLayers: heads, perLayerSize: headDim, rmsNormEps } = sizes;
    this.projection = Linear.load(weights, {
      parts: [
        {
          name: 'per_layer_model_projection',
          outFeatures: heads * headDim,
          times: 1 / Math.sqrt(hiddenSize),
        },
      ],
      inFeatures: hiddenSize,
    });
    this.norm = new HeadNorm(weights.at('per_layer_projection_norm'), { heads, headDim }, rmsNormEps);
  }

  /** Embeddings `hidden` [tokens, hidden] -> `per_layer_input_<n>` [tokens, perLayerSize] for each layer. */
  buildGraph(graph: AtbGraph, hidden: string): void {
    const { perLayerSize, numHiddenLayers } = this.sizes;
    const projected = buildLinear(graph, this.projection, hidden, 'per_layer_projection_out');
    const all = this.buildWholeGraph(graph, this.norm.buildGraph(graph, projected));
    for (let layer = 0; layer < numHiddenLayers; layer++)
      addColumns(graph, all, layer * perLayerSize, perLayerSize, `${PER_LAYER_INPUT}_${layer}`);
  }

  /** What is made of `normed` [tokens, layers * perLayerSize]: the vectors of all layers, of the same shape. */
  protected buildWholeGraph(_graph: AtbGraph, normed: string): string {
    return normed;
  }
}

/** The same, and of its id by a table (Gemma 4's per-layer embeddings). */
export class PerLayerInputs extends ProjectedPerLayerInputs {
  private readonly table: TensorRef;

  /** Throws what `ProjectedPerLayerInputs` throws. */
  constructor(
    private readonly config: PerLayerConfig,
    weights: Weights,
  ) {
    super(config, weights);
    const { numHiddenLayers, perLayerSize, perLayerVocab } = config;
    const shape = [perLayerVocab, numHiddenLayers * perLayerSize];
    const table = weights.at('embed_tokens_per_layer').get('weight', shape);
    this.table = withRowOrder(table, rowsOfIds(config));
  }

  override getWeights(): TensorRef[] {
    return [this.table, ...super.getWeights()];
  }

  protected override buildWholeGraph(graph: AtbGraph, normed: string): string {
    const rows = gatherRows(graph, this.table.name, 'input_ids', 'per_layer_rows');
    const ofIds = addScaled(graph, rows, Math.sqrt(this.config.perLayerSize), 'per_layer_ids');
    const sum = addResidual(graph, normed, ofIds, 'per_layer_sum');
    return addScaled(graph, sum, Math.SQRT1_2, 'per_layer_inputs');
  }
}

/** Which row of the table each id takes; undefined where that is its own. */
function rowsOfIds({
  vocabSize,
  perLayerVocab,
  padded = [],
  padTokenId = 0,
}: PerLayerConfig): Int32Array | undefined {
  if (vocabSize <= perLayerVocab && padded.length === 0) return undefined;
  const rows = Array.from({ length: Math.max(vocabSize, perLayerVocab) }, (_, id) =>
    id < perLayerVocab ? id : 0,
  );
  for (const id of padded) rows[id] = padTokenId;
  // The rows of what stands for no word come last, where no id is: who counts what is read finds them.
  return Int32Array.from([...rows, ...padded.filter((id) => id < perLayerVocab)]);
}

/** norm(up(gelu(gate(x)) * the layer's vector)), which a layer adds. */
export class PerLayerStep extends Module {
  readonly gate: Linear;
  readonly projection: Linear;
  readonly norm: BaseRMSNorm;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(config: Pick<PerLayerConfig, 'hiddenSize' | 'perLayerSize' | 'rmsNormEps'>, weights: Weights) {
    super();
    const { hiddenSize, perLayerSize, rmsNormEps } = config;
    this.gate = Linear.load(weights, {
      parts: [{ name: 'per_layer_input_gate', outFeatures: perLayerSize }],
      inFeatures: hiddenSize,
    });
    this.projection = Linear.load(weights, {
      parts: [{ name: 'per_layer_projection', outFeatures: hiddenSize }],
      inFeatures: perLayerSize,
    });
    this.norm = new BaseRMSNorm(weights.at('post_per_layer_input_norm'), hiddenSize, rmsNormEps);
  }

  /** `hidden` [tokens, hidden] -> the tensor whose name is returned, of the same shape. */
  buildGraph(graph: AtbGraph, hidden: string): string {
    const gate = buildLinear(graph, this.gate, hidden, 'per_layer_gate_out');
    const gelu = { activationType: 'ACTIVATION_GELU', geluMode: 'TANH_MODE' } as const;
    graph.addOperation(new BaseOperation('Activation', gelu, 'per_layer_act'), [gate], ['per_layer_act']);
    const multiply = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_MUL' }, 'per_layer_mul');
    graph.addOperation(multiply, ['per_layer_act', PER_LAYER_INPUT], ['per_layer_gated']);
    return this.norm.buildGraph(
      graph,
      buildLinear(graph, this.projection, 'per_layer_gated', 'per_layer_out'),
    );
  }
}
