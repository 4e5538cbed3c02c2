import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import type { LayerStep } from '../../layers/decoder/decoder-layers.js';
import { GatedDeltaNet } from '../../layers/recurrent/gated-delta-net.js';
import { GatedStreams } from '../../layers/streams/gated-streams.js';
import { NgramEmbeddings } from '../../layers/streams/ngram-embeddings.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { sparseParts } from '../qwen3_5_text/index.js';
import { Qwen3NextAttention } from '../qwen3_next/index.js';
import type { Qwen4ExpConfig } from './config-qwen4-exp.js';

/** Streams take of n-grams in some layers; then of attention, and of experts. */
class Qwen4ExpLayer extends BaseLayer {
  readonly ngrams: NgramEmbeddings | undefined;
  readonly attentionStreams: GatedStreams;
  readonly attention: LayerStep;
  readonly mlpStreams: GatedStreams;
  readonly mlp: LayerStep;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(layerId: number, config: Qwen4ExpConfig, weights: Weights) {
    const table = config.ngramLayers.indexOf(layerId);
    super(layerId, weights, `${config.linearLayers[layerId] ? 'linear' : ''}${table < 0 ? '' : '_ngrams'}`);
    const parts = sparseParts(config);
    if (table >= 0) this.ngrams = new NgramEmbeddings(layerId, config, weights.at('ple'), table);
    const streams = (at: string, name: string) => new GatedStreams(config, weights.at(at), name);
    this.attentionStreams = streams('attn_hyper_connection', 'attention_streams');
    this.attention = config.linearLayers[layerId]
      ? new GatedDeltaNet(layerId, config, weights.at('linear_attn'), parts.deltaNet)
      : new Qwen3NextAttention(layerId, config, weights.at('self_attn'));
    this.mlpStreams = streams('mlp_hyper_connection', 'mlp_streams');
    this.mlp = parts.mlp(layerId, weights.at('mlp'));
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const begun = this.ngrams?.buildGraph(graph, hidden) ?? hidden;
    const attended = this.attention.buildGraph(graph, kind, this.attentionStreams.buildGraph(graph, begun));
    const behind = this.attentionStreams.buildInjectGraph(graph, begun, attended);
    const mixed = this.mlp.buildGraph(graph, kind, this.mlpStreams.buildGraph(graph, behind));
    return this.mlpStreams.buildInjectGraph(graph, behind, mixed);
  }
}

/** Embeddings as several streams, the layers, and the mean of what becomes of them. */
export const streamedParts = (config: Qwen4ExpConfig) => ({
  layer: (layerId: number, at: Weights) => new Qwen4ExpLayer(layerId, config, at),
  norm: (_: unknown, model: Weights) =>
    new GatedStreams(config, model.at('hyper_connection_mixer'), 'last_streams', true),
  begin(graph: AtbGraph, embeddings: string): string {
    const repeat = new BaseOperation('Repeat', { multiples: [1, config.streams] }, 'streams_repeat');
    graph.addOperation(repeat, [embeddings], ['streams']);
    return 'streams';
  },
});

/** A model of such parts. `weights` is its cursor. */
export class Qwen4ExpModelATB extends BaseModelATB {
  private readonly begin: ReturnType<typeof streamedParts>['begin'];

  constructor(config: Qwen4ExpConfig, weights: Weights) {
    const { layer, norm, begin } = streamedParts(config);
    super(config, weights, { layer, norm: norm(undefined, weights) });
    this.begin = begin;
  }

  override buildInputGraph(graph: AtbGraph, kind: GraphKind, embeddings?: string): string {
    return this.begin(graph, super.buildInputGraph(graph, kind, embeddings));
  }
}
