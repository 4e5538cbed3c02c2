import { CommonOpBuilderManager } from '../../../common-op-builders/index.js';
import { type AtbGraph, BaseOperation, dim } from '../../../graph/atb-graph.js';
import type { GraphKind } from '../../../graph/graph-kind.js';
import { RotaryAttention } from '../../../layers/attention/attention-orders.js';
import { encoderAttention } from '../../../layers/attention-config.js';
import { BaseLayer } from '../../../layers/decoder/base-layer.js';
import { type LayerStep, PreNormLayer } from '../../../layers/decoder/decoder-layers.js';
import { gatherRows, sumOfRows } from '../../../layers/formulas/gather-rows.js';
import { addResidual } from '../../../layers/formulas/residual.js';
import { buildLinear } from '../../../layers/linear/linear-steps.js';
import type { QkvNames } from '../../../layers/linear/projections.js';
import { Module } from '../../../layers/module.js';
import type { BaseNorm, NormStep } from '../../../layers/norms/norms.js';
import type { EncoderInput, WindowedPatches } from '../../../media/index.js';
import {
  axialRotary,
  CORNERS,
  interpolatedPositions,
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
import type { TensorRef, Weights } from '../../../weights/weights.js';
import type { Encoder } from '../flash-with-encoder-atb.js';

/** Of all norms of these towers. */
export const EPSILON = 1e-6;

/** Patches of pixels as vectors: a convolution whose stride is its kernel. */
export class PatchEmbedding extends Module {
  readonly proj: Linear;

  /** `kernel`: channels, frames, rows and columns of a patch. */
  constructor(weights: Weights, outFeatures: number, kernel: readonly number[], hasBias: boolean) {
    super();
    const inFeatures = kernel.reduce((product, size) => product * size, 1);
    this.proj = Linear.load(weights, { parts: [{ name: 'proj', outFeatures, kernel }], inFeatures, hasBias });
  }

  buildGraph(graph: AtbGraph): string {
    return buildLinear(graph, this.proj, PATCHES, 'patch_embedding_out');
  }
}

/** What a merger reads and gives. */
export interface MergerSizes {
  readonly hiddenSize: number;
  readonly outSize: number;
  /** Between the two linears; as wide as a block when absent. */
  readonly innerSize?: number;
  /** Patches of a block. */
  readonly area: number;
  /** The checkpoint's names of the norm and of two linears. */
  readonly names: { readonly norm: string; readonly up: string; readonly down: string };
  /** Whether what is put side by side is normed, not what is before it. */
  readonly normsBlocks: boolean;
  /** The input that says which rows are a block; `merged_patches` when absent. */
  readonly rows?: string;
  norm(weights: Weights, size: number): NormStep;
}

/**
 * Blocks of patches as tokens: norm, put side by side, Linear, gelu, Linear. [patches, hidden] -> [tokens, out]. It follows
 * the last block as if it were one more, because ATB makes views within graphs of their own.
 */
export class PatchMerger extends BaseLayer {
  readonly norm: NormStep;
  readonly up: Linear;
  readonly down: Linear;

  private readonly normsBlocks: boolean;
  private readonly rows: string;

  constructor(
    layerId: number,
    weights: Weights,
    { hiddenSize, outSize, area, names, normsBlocks, norm, ...sizes }: MergerSizes,
  ) {
    const { innerSize = area * hiddenSize, rows = MERGED_PATCHES } = sizes;
    super(layerId, weights, normsBlocks ? 'block_merger' : 'merger');
    this.normsBlocks = normsBlocks;
    this.rows = rows;
    const linear = (name: string, inFeatures: number, outFeatures: number): Linear =>
      Linear.load(weights, { parts: [{ name, outFeatures }], inFeatures, hasBias: true });
    this.norm = norm(weights.at(names.norm), normsBlocks ? area * hiddenSize : hiddenSize);
    this.up = linear(names.up, area * hiddenSize, innerSize);
    this.down = linear(names.down, innerSize, outSize);
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    const normed = this.normsBlocks ? hidden : this.norm.buildGraph(graph, hidden);
    gatherRows(graph, normed, this.rows, 'merged_hidden');
    graph.addReshape('merged_hidden', 'merged_rows', [dim(0), dim(1, 2)]);
    const rows = this.normsBlocks ? this.norm.buildGraph(graph, 'merged_rows') : 'merged_rows';
    const up = buildLinear(graph, this.up, rows, 'merger_up_out');
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

/** Rows and, behind each, those of further vectors for layers of text, which have as many: [tokens, (1 + deep) * out]. */
export const besideRows = (graph: AtbGraph, rows: string, deep: readonly string[]): string =>
  deep.reduce((all, more, level) => {
    const name = `deep_embeddings_${level}`;
    graph.addOperation(new BaseOperation('Concat', { concatDim: 1 }, name), [all, more], [name]);
    return name;
  }, rows);

/** What a vision transformer is made of; what its families have in common is in the class. */
export interface VisionParts {
  readonly depth: number;
  readonly numHeads: number;
  /** Heads of keys and values; as many as of queries when absent. */
  readonly numKeyValueHeads?: number;
  readonly hiddenSize: number;
  readonly outSize: number;
  readonly inChannels: number;
  readonly temporalPatchSize: number;
  readonly patchSize: number;
  readonly mergeSize: number;
  /** Of the positions' frequencies. */
  readonly theta: number;
  norm(weights: Weights, size: number): BaseNorm;
  /** `weights` is the MLP's own cursor. */
  mlp(weights: Weights): LayerStep;
  /** For models some of whose layers attend within windows: how patches are ordered for it, and which layers these are. */
  readonly windows?: {
    of(input: EncoderInput): WindowedPatches;
    includes(layerId: number): boolean;
  };
  /** The axes of a patch in the embedding's weight; channels, frames, rows and columns when absent. */
  readonly patchAxes?: readonly number[];
  /** What makes tokens of rows behind the last block, in place of Qwen2-VL's merger. */
  merger?(layerId: number): BaseLayer;
  /** Names of queries, keys and values; packed as `qkv` when absent. */
  readonly qkv?: QkvNames;
  /** Whether the embedding of patches has a bias; false when absent. */
  readonly patchBias?: boolean;
  /** Of a square of learned positions along a side; there are none when absent. */
  readonly positionSide?: number;
  /** Names of the merger's parts; Qwen2-VL's when absent. */
  readonly mergerNames?: MergerSizes['names'];
  /** Layers whose results become vectors of their own, behind the embedding. */
  readonly deepLayers?: readonly number[];
  /** Where the mergers of these stand; `deepstack_merger_list` when absent. */
  readonly deepMergers?: string;
}

/**
 * A vision transformer over patches of pictures of any size, each frame by itself, with rotary positions of two axes;
 * blocks of patches become tokens (arXiv:2409.12191, section 2.1).
 */
export class VisionTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly patchEmbedding: PatchEmbedding;
  readonly blocks: readonly PreNormLayer[];
  readonly merger: BaseLayer;
  readonly deepMergers: readonly PatchMerger[];
  private readonly positions: TensorRef | undefined;
  private readonly deepLayers: readonly number[];

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(parts: VisionParts, weights: Weights) {
    super();
    const { depth, numHeads, hiddenSize, outSize, mergeSize, theta, windows, positionSide } = parts;
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
      ...(positionSide === undefined ? [] : [interpolatedPositions(positionSide, mergeSize)]),
    ];
    const { numKeyValueHeads = numHeads } = parts;
    const attention = {
      ...encoderAttention({ hiddenSize, numHeads, qkvBias: true, denseBias: true }),
      numKeyValueHeads,
    };
    this.patchEmbedding = new PatchEmbedding(
      weights.at('patch_embed'),
      hiddenSize,
      parts.patchAxes ?? kernel,
      parts.patchBias ?? false,
    );
    this.positions =
      positionSide === undefined
        ? undefined
        : weights.get('pos_embed.weight', [positionSide ** 2, hiddenSize]);
    this.blocks = Array.from({ length: depth }, (_, layerId) => {
      const at = weights.at('blocks').at(layerId);
      const isWindowed = windows?.includes(layerId) ?? false;
      const layer = {
        inputLayernorm: parts.norm(at.at('norm1'), hiddenSize),
        selfAttn: new RotaryAttention(layerId, attention, at.at('attn'), {
          qkv: parts.qkv ?? { packed: 'qkv', order: 'blocks' },
          dense: 'proj',
          ...(isWindowed && { seqLen: WINDOW_LENS }),
        }),
        postAttentionLayernorm: parts.norm(at.at('norm2'), hiddenSize),
        mlp: parts.mlp(at.at('mlp')),
      };
      return new PreNormLayer(layerId, at, layer, isWindowed ? 'window' : '');
    });
    const { mergerNames: names = { norm: 'ln_q', up: 'mlp.0', down: 'mlp.2' }, deepLayers = [] } = parts;
    const sizes = { hiddenSize, outSize, area, names, norm: parts.norm };
    this.merger =
      parts.merger?.(depth) ?? new PatchMerger(depth, weights.at('merger'), { ...sizes, normsBlocks: false });
    this.deepLayers = deepLayers;
    this.deepMergers = deepLayers.map((_, level) => {
      const at = weights.at(parts.deepMergers ?? 'deepstack_merger_list').at(level);
      return new PatchMerger(depth + 1 + level, at, { ...sizes, normsBlocks: true });
    });
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), ...(this.positions ? [this.positions] : [])];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    let hidden = this.buildPositionGraph(graph, this.patchEmbedding.buildGraph(graph));
    const deep: string[] = [];
    for (const block of this.blocks) {
      hidden = block.buildGraph(graph, kind, hidden);
      const level = this.deepLayers.indexOf(block.layerId);
      if (level >= 0) deep[level] = this.deepMergers[level]?.buildGraph(graph, kind, hidden) ?? hidden;
    }
    const merged = this.merger.buildGraph(graph, kind, hidden);
    return besideRows(graph, merged, deep);
  }

  /** Adds learned positions, where there are any. */
  private buildPositionGraph(graph: AtbGraph, hidden: string): string {
    const { positions } = this;
    if (!positions) return hidden;
    const sum = sumOfRows(graph, positions.name, CORNERS, 'position_sum');
    return addResidual(graph, hidden, sum, 'positioned_patches');
  }
}
