import { CommonOpBuilderManager } from '../../../common-op-builders/index.js';
import { type AtbGraph, BaseOperation, dim } from '../../../graph/atb-graph.js';
import type { GraphKind } from '../../../graph/graph-kind.js';
import { RotaryAttention } from '../../../layers/attention-orders.js';
import { BaseLayer } from '../../../layers/base-layer.js';
import { type LayerStep, PreNormLayer } from '../../../layers/decoder-layers.js';
import { Module } from '../../../layers/module.js';
import type { BaseNorm } from '../../../layers/norms.js';
import type { EncoderInput, WindowedPatches } from '../../../media/index.js';
import {
  axialRotary,
  lengths,
  MERGED_PATCHES,
  mergedPatches,
  PATCHES,
  type PatchPlaces,
  patches,
  type StepInput,
  WINDOW_LENS,
  windowLens,
} from '../../../step-inputs/index.js';
import { Linear } from '../../../weights/linear.js';
import type { Weights } from '../../../weights/weights.js';
import type { Encoder } from '../flash-with-encoder-atb.js';

/** Of all norms of these towers. */
export const EPSILON = 1e-6;

/** Adds a linear: `input` [rows, in] -> `linearOut` [rows, out]. Returns `linearOut`. */
function buildLinear(graph: AtbGraph, linear: Linear, input: string, linearOut: string): string {
  const opName = linearOut.replace(/_out$/, '');
  CommonOpBuilderManager.getBuilder({ category: 'LINEAR', opName, linear }).build(graph, {
    input,
    linearOut,
  });
  return linearOut;
}

/** Patches of pixels as vectors: a convolution whose stride is its kernel. */
export class PatchEmbedding extends Module {
  readonly proj: Linear;

  /** `kernel`: channels, frames, rows and columns of a patch. */
  constructor(weights: Weights, outFeatures: number, kernel: readonly number[]) {
    super();
    const inFeatures = kernel.reduce((product, size) => product * size, 1);
    this.proj = Linear.load(weights, { parts: [{ name: 'proj', outFeatures, kernel }], inFeatures });
  }

  buildGraph(graph: AtbGraph): string {
    return buildLinear(graph, this.proj, PATCHES, 'patch_embedding_out');
  }
}

/** What a merger reads and gives. */
export interface MergerSizes {
  readonly hiddenSize: number;
  readonly outSize: number;
  /** Patches of a block. */
  readonly area: number;
}

/**
 * Blocks of patches as tokens: norm, put side by side, Linear, gelu, Linear. [patches, hidden] -> [tokens, out]. It follows
 * the last block as if it were one more, because ATB makes views within graphs of their own.
 */
export class PatchMerger extends BaseLayer {
  readonly norm: BaseNorm;
  readonly up: Linear;
  readonly down: Linear;

  constructor(layerId: number, weights: Weights, norm: BaseNorm, { hiddenSize, outSize, area }: MergerSizes) {
    super(layerId, weights, 'merger');
    const linear = (name: string, inFeatures: number, outFeatures: number): Linear =>
      Linear.load(weights, { parts: [{ name, outFeatures }], inFeatures, hasBias: true });
    this.norm = norm;
    this.up = linear('mlp.0', area * hiddenSize, area * hiddenSize);
    this.down = linear('mlp.2', area * hiddenSize, outSize);
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    const normed = this.norm.buildGraph(graph, hidden);
    const gather = new BaseOperation('Gather', { axis: 0 }, 'merged_patches_gather');
    graph.addOperation(gather, [normed, MERGED_PATCHES], ['merged_hidden']);
    graph.addReshape('merged_hidden', 'merged_rows', [dim(0), dim(1, 2)]);
    const up = buildLinear(graph, this.up, 'merged_rows', 'merger_up_out');
    CommonOpBuilderManager.getBuilder({
      category: 'ACTIVATION',
      opName: 'merger_activation',
      kind: 'gelu',
      isGated: false,
      isPack: false,
    }).build(graph, { input: up, actOut: 'merger_act_out' });
    return buildLinear(graph, this.down, 'merger_act_out', 'merger_out');
  }
}

/** What a vision transformer is made of; what its families have in common is in the class. */
export interface VisionParts {
  readonly depth: number;
  readonly numHeads: number;
  readonly hiddenSize: number;
  readonly outSize: number;
  readonly inChannels: number;
  readonly temporalPatchSize: number;
  readonly patchSize: number;
  readonly mergeSize: number;
  /** Of the positions' frequencies. */
  readonly theta: number;
  norm(weights: Weights): BaseNorm;
  /** `weights` is the MLP's own window. */
  mlp(weights: Weights): LayerStep;
  /** For models some of whose layers attend within windows: how patches are ordered for it, and which layers these are. */
  readonly windows?: {
    of(input: EncoderInput): WindowedPatches;
    includes(layerId: number): boolean;
  };
}

/**
 * A vision transformer over patches of pictures of any size, each frame by itself, with rotary positions of two axes;
 * blocks of patches become tokens (arXiv:2409.12191, section 2.1).
 */
export class VisionTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly patchEmbedding: PatchEmbedding;
  readonly blocks: readonly PreNormLayer[];
  readonly merger: PatchMerger;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(parts: VisionParts, weights: Weights) {
    super();
    const { depth, numHeads, hiddenSize, outSize, mergeSize, theta, windows } = parts;
    const [headDim, area] = [hiddenSize / numHeads, mergeSize * mergeSize];
    const kernel = [parts.inChannels, parts.temporalPatchSize, parts.patchSize, parts.patchSize];
    const places: PatchPlaces | undefined = windows && ((input) => windows.of(input).order);
    this.stepInputs = [
      patches(
        kernel.reduce((product, size) => product * size, 1),
        places,
      ),
      axialRotary({ theta, headDim, mergeSize }, places),
      lengths,
      mergedPatches(area, places),
      ...(windows ? [windowLens((input) => windows.of(input).lens)] : []),
    ];
    const attention = {
      hiddenSize,
      numAttentionHeads: numHeads,
      numKeyValueHeads: numHeads,
      headDim,
      qkvBias: true,
      denseBias: true,
      slidingWindows: [],
      isCausal: false,
    };
    this.patchEmbedding = new PatchEmbedding(weights.at('patch_embed'), hiddenSize, kernel);
    this.blocks = Array.from({ length: depth }, (_, layerId) => {
      const at = weights.at('blocks').at(layerId);
      const isWindowed = windows?.includes(layerId) ?? false;
      const layer = {
        inputLayernorm: parts.norm(at.at('norm1')),
        selfAttn: new RotaryAttention(layerId, attention, at.at('attn'), {
          qkv: { packed: 'qkv', order: 'blocks' },
          dense: 'proj',
          ...(isWindowed && { seqLen: WINDOW_LENS }),
        }),
        postAttentionLayernorm: parts.norm(at.at('norm2')),
        mlp: parts.mlp(at.at('mlp')),
      };
      return new PreNormLayer(layerId, at, layer, isWindowed ? 'window' : '');
    });
    const merger = weights.at('merger');
    this.merger = new PatchMerger(depth, merger, parts.norm(merger.at('ln_q')), {
      hiddenSize,
      outSize,
      area,
    });
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    let hidden = this.patchEmbedding.buildGraph(graph);
    for (const block of this.blocks) hidden = block.buildGraph(graph, kind, hidden);
    return this.merger.buildGraph(graph, kind, hidden);
  }
}
