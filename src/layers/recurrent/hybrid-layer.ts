import { type AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import { BaseLayer } from '../decoder/base-layer.js';
import type { LayerStep } from '../decoder/decoder-layers.js';
import { addResidual } from '../formulas/residual.js';
import { beside } from '../formulas/split.js';
import { buildLinear } from '../linear/linear-steps.js';
import type { BorrowedTensor } from '../module.js';
import { BaseRMSNorm } from '../norms/norms.js';

/** What such a layer is made of beside its norms. */
export interface HybridParts {
  /** The window of the transformer's weights, which may lie in an earlier layer. */
  readonly shared: Weights;
  /** Its attention, which reads twice as many numbers as hidden states have, and its MLP. */
  readonly selfAttn: LayerStep;
  readonly mlp: LayerStep;
  /** The mixer, of a window of the layer's weights. */
  mixer(weights: Weights): LayerStep;
  /** Counts the layers like this before it. */
  readonly use: number;
}

/** What its norms are told. */
interface HybridSizes {
  readonly hiddenSize: number;
  readonly rmsNormEps: number;
}

/** Of the mixer, in graphs: the transformer before it has a norm whose own name is the same. */
class MixerNorm extends BaseRMSNorm {
  override readonly name = 'mixer_norm';
}

/** x += mixer(norm(x + linear(transformer(x, embeddings)))), of which several layers share the transformer's weights. */
export class HybridLayer extends BaseLayer {
  readonly inputLayernorm: BaseRMSNorm;
  readonly selfAttn: LayerStep;
  readonly preFfLayernorm: BaseRMSNorm;
  readonly mlp: LayerStep;
  readonly linear: Linear;
  readonly mixerNorm: BaseRMSNorm;
  readonly mixer: LayerStep;

  constructor(
    layerId: number,
    { hiddenSize, rmsNormEps }: HybridSizes,
    weights: Weights,
    parts: HybridParts,
  ) {
    // Weights that lie elsewhere have other names in each layer's graph.
    super(layerId, weights, `hybrid_${parts.use}`);
    const { shared } = parts;
    this.inputLayernorm = new BaseRMSNorm(shared.at('input_layernorm'), 2 * hiddenSize, rmsNormEps);
    this.selfAttn = parts.selfAttn;
    this.preFfLayernorm = new BaseRMSNorm(shared.at('pre_ff_layernorm'), hiddenSize, rmsNormEps);
    this.mlp = parts.mlp;
    this.linear = Linear.load(weights, {
      parts: [{ name: 'linear', outFeatures: hiddenSize }],
      inFeatures: hiddenSize,
    });
    const decoder = weights.at('mamba_decoder');
    this.mixerNorm = new MixerNorm(decoder.at('input_layernorm'), hiddenSize, rmsNormEps);
    this.mixer = parts.mixer(decoder.at('mamba'));
  }

  override borrowed(): BorrowedTensor[] {
    return [...super.borrowed(), ['embeddings', 'hidden_states']];
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const both = beside(graph, hidden, 'embeddings', 'with_embeddings');
    const normed = this.inputLayernorm.buildGraph(graph, both);
    const attended = this.selfAttn.buildGraph(graph, kind, normed);
    const mixed = this.mlp.buildGraph(graph, kind, this.preFfLayernorm.buildGraph(graph, attended));
    const transformed = buildLinear(graph, this.linear, mixed, 'transformed_out');
    const sum = addResidual(graph, hidden, transformed, 'transformed_sum');
    const stepped = this.mixer.buildGraph(graph, kind, this.mixerNorm.buildGraph(graph, sum));
    return addResidual(graph, hidden, stepped, 'layer_out');
  }
}

/** How attention reads hidden states and embeddings side by side (arXiv:2405.16712, figure 2). */
export const wideAttention = ({
  hiddenSize,
  headDim,
}: {
  readonly hiddenSize: number;
  readonly headDim: number;
}) => ({
  scale: 1 / Math.sqrt(headDim / 2),
  inFeatures: 2 * hiddenSize,
});
