import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import type { Weights } from '../../weights/weights.js';
import { BaseLayer } from '../decoder/base-layer.js';
import { ATTENTION_RESIDUAL, type PreNormParts } from '../decoder/decoder-layers.js';
import type { StreamConnection } from './hyper-connection.js';

/** The parts of a layer between streams of hidden states. */
export interface HyperLayerParts extends PreNormParts {
  readonly aroundAttention: StreamConnection;
  readonly aroundMlp: StreamConnection;
}

/** Attention and MLP, each of which reads a norm of gated streams and gives its result to all of them. */
export class HyperLayer extends BaseLayer {
  readonly aroundAttention: StreamConnection;
  readonly inputLayernorm: PreNormParts['inputLayernorm'];
  readonly selfAttn: PreNormParts['selfAttn'];
  readonly aroundMlp: StreamConnection;
  readonly postAttentionLayernorm: PreNormParts['postAttentionLayernorm'];
  readonly mlp: PreNormParts['mlp'];

  /** `variant`: see `BaseLayer`. */
  constructor(layerId: number, weights: Weights, parts: HyperLayerParts, variant?: string) {
    super(layerId, weights, variant);
    this.aroundAttention = parts.aroundAttention;
    this.inputLayernorm = parts.inputLayernorm;
    this.selfAttn = parts.selfAttn;
    this.aroundMlp = parts.aroundMlp;
    this.postAttentionLayernorm = parts.postAttentionLayernorm;
    this.mlp = parts.mlp;
  }

  /** `hidden` [tokens, streams, hidden] -> the same shape. */
  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const { aroundAttention, aroundMlp } = this;
    const first = aroundAttention.buildGraph(graph, hidden);
    const normed = this.inputLayernorm.buildGraph(graph, first.input);
    const attended = this.selfAttn.buildGraph(graph, kind, normed);
    const between = aroundAttention.buildResultGraph(graph, hidden, first, attended, ATTENTION_RESIDUAL);
    const second = aroundMlp.buildGraph(graph, between);
    const normedAgain = this.postAttentionLayernorm.buildGraph(graph, second.input);
    const mixed = this.mlp.buildGraph(graph, kind, normedAgain);
    return aroundMlp.buildResultGraph(graph, between, second, mixed, 'layer_out');
  }
}
