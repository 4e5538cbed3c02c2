import { CommonOpBuilderManager } from '../../common-op-builders/index.js';
import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { ROTARY_ROWS } from '../../layers/attention/rotary-rows.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import { type LayerStep, SandwichLayer } from '../../layers/decoder/decoder-layers.js';
import { gatherRows } from '../../layers/formulas/gather-rows.js';
import { addResidual, addScaled } from '../../layers/formulas/residual.js';
import { ClippedLinear } from '../../layers/linear/clipped-linear.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { rotaryOrder } from '../../layers/linear/projections.js';
import { Module } from '../../layers/module.js';
import { BaseRMSNorm, HeadNorm, UnscaledRMSNorm } from '../../layers/norms/norms.js';
import {
  AXIS_POSITIONS,
  axialRotary,
  axisPositions,
  FULL_MASK,
  lengths,
  MERGED_PATCHES,
  mergedPatches,
  PATCHES,
  patches,
  type RopeConfig,
  type StepInput,
} from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import type { VisionConfig } from './config.js';

/** Patches as vectors, with learned positions of their columns and of their rows. */
class Front extends BaseLayer {
  readonly proj: Linear;
  private readonly positions: TensorRef;

  constructor({ hiddenSize, patchSize, positionSize }: VisionConfig, weights: Weights) {
    // Its result comes before that of layer 0.
    super(-1, weights, 'front');
    const parts = [{ name: 'input_proj', outFeatures: hiddenSize }] as const;
    this.proj = Linear.load(weights, { parts, inFeatures: 3 * patchSize ** 2 });
    this.positions = weights.get('position_embedding_table', [2, positionSize, hiddenSize]);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.positions];
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, input: string): string {
    graph.addReshape(this.positions.name, 'position_rows', [dim(0, 1), dim(2)]);
    const ofColumns = gatherRows(graph, 'position_rows', AXIS_POSITIONS.columns, 'of_columns');
    const ofRows = gatherRows(graph, 'position_rows', AXIS_POSITIONS.rows, 'of_rows');
    const places = addResidual(graph, ofColumns, ofRows, 'of_places');
    return addResidual(graph, buildLinear(graph, this.proj, input, 'patch_out'), places, 'placed_patches');
  }
}

/** Attention of all patches of a picture to each other: queries, keys and values are normed, heads turn by two axes. */
class VisionAttention extends Module implements LayerStep {
  readonly q: ClippedLinear;
  readonly k: ClippedLinear;
  readonly v: ClippedLinear;
  readonly o: ClippedLinear;
  readonly qNorm: HeadNorm;
  readonly kNorm: HeadNorm;
  readonly vNorm: HeadNorm;

  constructor(
    private readonly config: VisionConfig,
    weights: Weights,
  ) {
    super();
    const { hiddenSize, numAttentionHeads, numKeyValueHeads, headDim, theta, clips, rmsNormEps } = config;
    const rope: RopeConfig = {
      ...{ theta, headDim, rotaryDim: headDim, interleaved: false, axial: true },
      ...{ maxPositionEmbeddings: 1, scaling: { type: 'default' } },
    };
    const load = (name: string, heads: number, turns: boolean) =>
      new ClippedLinear(name, weights.at(`${name}_proj`), {
        ...{ inFeatures: hiddenSize, outFeatures: heads * headDim, clips },
        rowOrder: turns ? rotaryOrder(heads, rope) : undefined,
      });
    this.q = load('q', numAttentionHeads, true);
    this.k = load('k', numKeyValueHeads, true);
    this.v = load('v', numKeyValueHeads, false);
    const inFeatures = numAttentionHeads * headDim;
    this.o = new ClippedLinear('o', weights.at('o_proj'), { inFeatures, outFeatures: hiddenSize, clips });
    this.qNorm = new HeadNorm(weights.at('q_norm'), { heads: numAttentionHeads, headDim, rope }, rmsNormEps);
    this.kNorm = new HeadNorm(weights.at('k_norm'), { heads: numKeyValueHeads, headDim, rope }, rmsNormEps);
    const values = { heads: numKeyValueHeads, headDim };
    this.vNorm = new HeadNorm(weights.at('v_norm'), values, rmsNormEps, UnscaledRMSNorm);
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { numAttentionHeads: headNum, numKeyValueHeads: kvHeadNum, headDim } = this.config;
    const v = this.vNorm.buildGraph(graph, this.v.buildGraph(graph, input));
    CommonOpBuilderManager.getBuilder({ category: 'ROPE', opName: 'rope', rotaryCoeff: 2 }).build(graph, {
      q: this.qNorm.buildGraph(graph, this.q.buildGraph(graph, input)),
      k: this.kNorm.buildGraph(graph, this.k.buildGraph(graph, input)),
      ...{ cosEmbedding: ROTARY_ROWS.cos, sinEmbedding: ROTARY_ROWS.sin, seqLen: 'seq_len' },
      ...{ qOut: 'q_rope', kOut: 'k_rope' },
    });
    CommonOpBuilderManager.getBuilder({
      ...{ category: 'ATTENTION', opName: 'attention', attnType: 'PAGED_ATTENTION', kind },
      ...{ headNum, kvHeadNum, headDim, scale: 1, isCausal: false },
    }).build(graph, {
      ...{ q: 'q_rope', k: 'k_rope', v, seqLen: 'seq_len', attentionMask: FULL_MASK, qLen: 'q_len' },
      attentionOut: 'attn_out',
    });
    return this.o.buildGraph(graph, 'attn_out');
  }
}

/** down(act(gate(x)) * up(x)), each product within bounds. */
class VisionMLP extends Module implements LayerStep {
  readonly gate: ClippedLinear;
  readonly up: ClippedLinear;
  readonly down: ClippedLinear;

  constructor(
    private readonly config: VisionConfig,
    weights: Weights,
  ) {
    super();
    const { hiddenSize, intermediateSize, clips } = config;
    const load = (name: string, inFeatures: number, outFeatures: number) =>
      new ClippedLinear(name, weights.at(`${name}_proj`), { inFeatures, outFeatures, clips });
    this.gate = load('gate', hiddenSize, intermediateSize);
    this.up = load('up', hiddenSize, intermediateSize);
    this.down = load('down', intermediateSize, hiddenSize);
  }

  buildGraph(graph: AtbGraph, _kind: GraphKind, input: string): string {
    CommonOpBuilderManager.getBuilder({
      ...{ category: 'ACTIVATION', opName: 'activation', kind: this.config.hiddenAct },
      ...{ isGated: true, isPack: false },
    }).build(graph, {
      gate: this.gate.buildGraph(graph, input),
      up: this.up.buildGraph(graph, input),
      actOut: 'mul_out',
    });
    return this.down.buildGraph(graph, 'mul_out');
  }
}

/**
 * The mean of each block of patches, perhaps shifted and scaled by channel, normed and brought to the size of words.
 */
class PooledEmbedder extends BaseLayer {
  readonly norm: UnscaledRMSNorm;
  readonly proj: Linear;
  private readonly shifts: { readonly bias: TensorRef; readonly scale: TensorRef } | undefined;
  private readonly meanScale: number;

  constructor(vision: VisionConfig, tower: Weights, weights: Weights, outFeatures: number) {
    super(vision.numLayers, weights, 'embedder');
    const { hiddenSize, poolSize, rmsNormEps, standardizes } = vision;
    this.meanScale = Math.sqrt(hiddenSize) / poolSize ** 2;
    this.shifts = standardizes
      ? { bias: tower.get('std_bias', [hiddenSize]), scale: tower.get('std_scale', [hiddenSize]) }
      : undefined;
    this.norm = new UnscaledRMSNorm(weights.at('embedding_pre_projection_norm'), hiddenSize, rmsNormEps);
    const parts = [{ name: 'embedding_projection', outFeatures }] as const;
    this.proj = Linear.load(weights, { parts, inFeatures: hiddenSize });
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), ...(this.shifts ? Object.values(this.shifts) : [])];
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    const blocks = gatherRows(graph, hidden, MERGED_PATCHES, 'merged_hidden');
    const sum = new BaseOperation('Reduce', { reduceType: 'REDUCE_SUM', axis: [1] }, 'block_sum');
    graph.addOperation(sum, [blocks], ['block_sums']);
    const means = addScaled(graph, 'block_sums', this.meanScale, 'block_means');
    return buildLinear(
      graph,
      this.proj,
      this.norm.buildGraph(graph, this.buildShiftGraph(graph, means)),
      'embedder_out',
    );
  }

  private buildShiftGraph(graph: AtbGraph, means: string): string {
    if (!this.shifts) return means;
    const { bias, scale } = this.shifts;
    const pair = (elewiseType: 'ELEWISE_SUB' | 'ELEWISE_MUL', a: string, b: string, out: string): string => {
      graph.addOperation(new BaseOperation('Elewise', { elewiseType }, `${out}_op`), [a, b], [out]);
      return out;
    };
    return pair(
      'ELEWISE_MUL',
      pair('ELEWISE_SUB', means, bias.name, 'shifted_means'),
      scale.name,
      'scaled_means',
    );
  }
}

/** A vision transformer over pictures of any size, blocks of whose patches become tokens. */
export class Gemma4Tower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly front: Front;
  readonly layers: readonly SandwichLayer[];
  readonly embedder: PooledEmbedder;

  /** `outSize`: of words. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(vision: VisionConfig, tower: Weights, embedder: Weights, outSize: number) {
    super();
    const { hiddenSize, numLayers, patchSize, poolSize: mergeSize, positionSize, theta, headDim } = vision;
    this.stepInputs = [
      patches(3 * patchSize ** 2),
      axisPositions(positionSize, mergeSize),
      axialRotary({ theta, headDim, mergeSize }),
      lengths,
      mergedPatches(mergeSize ** 2),
    ];
    this.front = new Front(vision, tower.at('patch_embedder'));
    this.layers = Array.from({ length: numLayers }, (_, layerId) => {
      const at = tower.at('encoder.layers').at(layerId);
      const norm = (name: string) => new BaseRMSNorm(at.at(name), hiddenSize, vision.rmsNormEps);
      return new SandwichLayer(layerId, at, {
        beforeAttention: norm('input_layernorm'),
        selfAttn: new VisionAttention(vision, at.at('self_attn')),
        afterAttention: norm('post_attention_layernorm'),
        beforeMlp: norm('pre_feedforward_layernorm'),
        mlp: new VisionMLP(vision, at.at('mlp')),
        afterMlp: norm('post_feedforward_layernorm'),
      });
    });
    this.embedder = new PooledEmbedder(vision, tower, embedder, outSize);
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    let hidden = this.front.buildGraph(graph, kind, PATCHES);
    for (const layer of this.layers) hidden = layer.buildGraph(graph, kind, hidden);
    return this.embedder.buildGraph(graph, kind, hidden);
  }
}
