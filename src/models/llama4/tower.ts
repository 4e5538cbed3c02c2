import { CommonOpBuilderManager } from '../../common-op-builders/index.js';
import { type AtbGraph, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import { encoderAttention } from '../../layers/attention-config.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { gatherRows } from '../../layers/formulas/gather-rows.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import {
  lengths,
  MERGED_PATCHES,
  mergedSquares,
  PATCHES,
  patches,
  type StepInput,
  squarePictures,
  squareRotary,
} from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import { withRowOrder } from '../../weights/weight-changes.js';
import type { Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { SquareFront } from '../base/vision/index.js';
import type { Llama4Config } from './config.js';

type Vision = Llama4Config['vision'];

/** Of all norms: the class leaves them to torch. */
const EPSILON = 1e-5;

const linear = (weights: Weights, name: string, inFeatures: number, outFeatures: number): Linear =>
  Linear.load(weights, { parts: [{ name, outFeatures }], inFeatures });

/** The patches of each block side by side, and two products, gelu behind each: [rows, hidden] -> [tokens, out]. */
class PixelShuffleMLP extends BaseLayer {
  readonly up: Linear;
  readonly down: Linear;

  constructor({ numLayers, hiddenSize, mergeSize, outSize }: Vision, weights: Weights) {
    super(numLayers, weights, 'adapter');
    this.up = linear(weights, 'fc1', mergeSize ** 2 * hiddenSize, outSize);
    this.down = linear(weights, 'fc2', outSize, outSize);
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    gatherRows(graph, hidden, MERGED_PATCHES, 'merged_hidden');
    graph.addReshape('merged_hidden', 'merged_rows', [dim(0), dim(1, 2)]);
    const activated = (name: string, product: Linear, input: string): string => {
      const rows = buildLinear(graph, product, input, `${name}_out`);
      CommonOpBuilderManager.getBuilder({
        category: 'ACTIVATION',
        opName: `${name}_activation`,
        ...{ kind: 'gelu', isGated: false, isPack: false },
      }).build(graph, { input: rows, actOut: `${name}_act_out` });
      return `${name}_act_out`;
    };
    return activated('adapter_down', this.down, activated('adapter_up', this.up, 'merged_rows'));
  }
}

/** A vision transformer over squares whose patches turn by two axes, and what makes tokens of blocks of them. */
export class Llama4Tower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly front: SquareFront;
  readonly layers: readonly PreNormLayer[];
  readonly norm: BaseLayerNorm;
  readonly adapter: PixelShuffleMLP;
  readonly projector: Linear;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor({ vision, hiddenSize: textSize }: Llama4Config, weights: Weights) {
    super();
    const { hiddenSize, intermediateSize, numHeads, numLayers, patchSize, theta } = vision;
    const side = Math.floor(vision.imageSize / patchSize);
    const [count, features, headDim] = [side * side, 3 * patchSize * patchSize, hiddenSize / numHeads];
    this.stepInputs = [
      ...[patches(features), lengths, squarePictures(count, false)],
      ...[squareRotary({ theta, headDim, side }), mergedSquares(side, vision.mergeSize)],
    ];
    const tower = weights.at('vision_model');
    const norm = (at: Weights) => new BaseLayerNorm(at, hiddenSize, EPSILON);
    // The checkpoint's row that stands for a picture comes behind its patches, and here before them.
    const order = Int32Array.from({ length: count + 1 }, (_, row) => (row + count) % (count + 1));
    this.front = new SquareFront(tower, {
      proj: linear(tower.at('patch_embedding'), 'linear', features, hiddenSize),
      classRow: tower.get('class_embedding', [hiddenSize]),
      positions: withRowOrder(tower.get('positional_embedding_vlm', [count + 1, hiddenSize]), order),
      norm: norm(tower.at('layernorm_pre')),
    });
    const rope = { theta, headDim, rotaryDim: headDim, interleaved: true, maxPositionEmbeddings: side };
    const attention = {
      ...encoderAttention({ hiddenSize, numHeads, qkvBias: true, denseBias: true }),
      rope: { ...rope, scaling: { type: 'default' } },
    } as const;
    const mlp = { hiddenSize, intermediateSize, hiddenAct: 'gelu', mlpBias: true } as const;
    this.layers = Array.from({ length: numLayers }, (_, layerId) => {
      const at = tower.at('model.layers').at(layerId);
      return new PreNormLayer(layerId, at, {
        inputLayernorm: norm(at.at('input_layernorm')),
        selfAttn: new RotaryAttention(layerId, attention, at.at('self_attn')),
        postAttentionLayernorm: norm(at.at('post_attention_layernorm')),
        mlp: new UngatedMLP(mlp, at.at('mlp'), { names: { up: 'fc1', down: 'fc2' } }),
      });
    });
    this.norm = norm(tower.at('layernorm_post'));
    this.adapter = new PixelShuffleMLP(vision, tower.at('vision_adapter.mlp'));
    this.projector = linear(weights.at('multi_modal_projector'), 'linear_1', vision.outSize, textSize);
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    let hidden = this.front.buildGraph(graph, kind, PATCHES);
    for (const layer of this.layers) hidden = layer.buildGraph(graph, kind, hidden);
    const tokens = this.adapter.buildGraph(graph, kind, this.norm.buildGraph(graph, hidden));
    return buildLinear(graph, this.projector, tokens, 'projector_out');
  }
}
