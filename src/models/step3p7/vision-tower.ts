import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import { encoderAttention } from '../../layers/attention-config.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { ScaledStep } from '../../layers/decoder/scaled-step.js';
import { sumOfRows } from '../../layers/formulas/gather-rows.js';
import { addResidual } from '../../layers/formulas/residual.js';
import { SquareConv } from '../../layers/linear/convolution.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import {
  axialRotary,
  CORNERS,
  halvedGridOf,
  halvedGrids,
  interpolatedPositions,
  lengths,
  PATCHES,
  patches,
  type StepInput,
} from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { patchLinear } from '../base/vision/index.js';
import type { Step3p7Vision } from './config.js';

/** Tensors of torch's attention, whose names do not end as those of linears do. */
const PACKED = { 'in_proj.weight': 'in_proj_weight', 'in_proj.bias': 'in_proj_bias' };

/** Convolutions behind the layers, each with twice as many channels as the one before. */
const HALVINGS = 2;

/** Patches with learned positions, drawn out bilinearly, normed: [patches, hidden]. */
class Front extends BaseLayer {
  readonly proj: Linear;
  readonly norm: BaseLayerNorm;
  private readonly positions: TensorRef;

  constructor({ hiddenSize, patchSize, layerNormEps }: Step3p7Vision, weights: Weights, side: number) {
    super(-1, weights, 'front');
    this.proj = patchLinear(weights, 'conv1', hiddenSize, patchSize);
    this.norm = new BaseLayerNorm(weights.at('ln_pre'), hiddenSize, layerNormEps);
    this.positions = weights.get('positional_embedding', [side * side, hiddenSize]);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.positions];
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, input: string): string {
    const embedded = buildLinear(graph, this.proj, input, 'patch_embedding_out');
    const places = sumOfRows(graph, this.positions.name, CORNERS, 'position_sum');
    return this.norm.buildGraph(graph, addResidual(graph, embedded, places, 'positioned_patches'));
  }
}

/** Convolutions that halve each side, then one product: [patches, hidden] -> [tokens, out]. */
class Halvings extends BaseLayer {
  readonly convs: readonly SquareConv[];
  readonly proj: Linear;

  constructor(
    { hiddenSize, numLayers }: Step3p7Vision,
    weights: Weights,
    whole: Weights,
    sizes: { readonly outFeatures: number; readonly hasBias: boolean },
  ) {
    super(numLayers, weights, 'halvings');
    this.convs = Array.from({ length: HALVINGS }, (_, level) => {
      const inSize = hiddenSize * 2 ** level;
      const window = { kernel: 3, neighbours: halvedGridOf(level) };
      const name = `vit_downsampler${level + 1}`;
      return new SquareConv(weights, { name, inSize, outSize: 2 * inSize, window, hasBias: true });
    });
    const { outFeatures, hasBias } = sizes;
    const parts = [{ name: 'vit_large_projector', outFeatures }] as const;
    this.proj = Linear.load(whole, { parts, inFeatures: hiddenSize * 2 ** HALVINGS, hasBias });
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    const rows = this.convs.reduce(
      (input, conv, level) => conv.buildGraph(graph, input, `halved_${level}`),
      hidden,
    );
    return buildLinear(graph, this.proj, rows, 'projector_out');
  }
}

/** A vision transformer that turns by two axes beside learned positions, over squares of several sizes. */
export class Step3p7Tower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly front: Front;
  readonly layers: readonly PreNormLayer[];
  readonly halvings: Halvings;

  /** `sizes`: of words, and whether their product has a bias. Throws what `Linear.load` throws. */
  constructor(
    vision: Step3p7Vision,
    weights: Weights,
    sizes: { readonly outFeatures: number; readonly hasBias: boolean },
  ) {
    super();
    const { hiddenSize, numHeads, numLayers, patchSize, imageSize, layerNormEps, theta } = vision;
    const side = Math.floor(imageSize / patchSize);
    const headDim = hiddenSize / numHeads;
    this.stepInputs = [
      ...[patches(3 * patchSize ** 2), interpolatedPositions(side, 1, 'edges'), lengths],
      ...[axialRotary({ theta, headDim, mergeSize: 1, xFirst: true }), halvedGrids(HALVINGS)],
    ];
    const tower = weights.at('vision_model');
    this.front = new Front(vision, tower, side);
    const rope = { theta, headDim, rotaryDim: headDim, interleaved: true, maxPositionEmbeddings: side };
    const attention = {
      ...encoderAttention({ hiddenSize, numHeads, qkvBias: true, denseBias: true }),
      rope: { ...rope, scaling: { type: 'default' } },
    } as const;
    const qkv = { packed: 'in_proj', order: 'blocks' } as const;
    const norm = (at: Weights) => new BaseLayerNorm(at, hiddenSize, layerNormEps);
    this.layers = Array.from({ length: numLayers }, (_, layerId) => {
      const at = tower.at('transformer.resblocks').at(layerId);
      const own = at.at('attn').withNames(PACKED);
      const selfAttn = new RotaryAttention(layerId, attention, own, { qkv, dense: 'out_proj' });
      const mlp = new UngatedMLP({ ...vision, mlpBias: true }, at.at('mlp'), {
        names: { up: 'c_fc', down: 'c_proj' },
      });
      return new PreNormLayer(layerId, at, {
        inputLayernorm: norm(at.at('ln_1')),
        selfAttn: new ScaledStep(selfAttn, at.get('ls_1.gamma', [hiddenSize])),
        postAttentionLayernorm: norm(at.at('ln_2')),
        mlp: new ScaledStep(mlp, at.get('ls_2.gamma', [hiddenSize])),
      });
    });
    this.halvings = new Halvings(vision, tower, weights, sizes);
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    let hidden = this.front.buildGraph(graph, kind, PATCHES);
    for (const layer of this.layers) hidden = layer.buildGraph(graph, kind, hidden);
    return this.halvings.buildGraph(graph, kind, hidden);
  }
}
