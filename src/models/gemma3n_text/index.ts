import { rounded } from '../../dtype.js';
import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { lentAttention } from '../../layers/attention/lent-keys.js';
import { ValueNormedAttention } from '../../layers/attention/value-normed-attention.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { PerLayerInputs } from '../../layers/streams/per-layer-inputs.js';
import { StreamedLayer } from '../../layers/streams/streamed-layer.js';
import { StreamsBegin, StreamsEnd } from '../../layers/streams/streams.js';
import { headNamesUnder, registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { GEMMA3N_CONFIG, type Gemma3nConfig } from './config-gemma3n.js';

export * from './config-gemma3n.js';

/** Gemma 3n's text: several streams of hidden states, keys and values of earlier layers, a vector for each layer. */
export class Gemma3nModelATB extends BaseModelATB {
  readonly perLayer: PerLayerInputs;
  readonly begin: StreamsBegin;

  constructor(config: Gemma3nConfig, weights: Weights) {
    const attention = lentAttention(config, {
      own: (layerId, at) => new ValueNormedAttention(layerId, config, at),
      configOf: () => config,
    });
    super(config, weights, {
      layer: (layerId, at) => new StreamedLayer(layerId, config, at, attention(layerId, at.at('self_attn'))),
      norm: new StreamsEnd(
        config,
        weights,
        new BaseRMSNorm(weights.at('norm'), config.hiddenSize, config.rmsNormEps),
      ),
      embeddingScale: rounded(Math.sqrt(config.hiddenSize), weights.dtype ?? 'bf16'),
    });
    this.perLayer = new PerLayerInputs(config, weights);
    this.begin = new StreamsBegin(config, weights);
  }

  override buildInputGraph(graph: AtbGraph, kind: GraphKind, embeddings?: string): string {
    const hidden = super.buildInputGraph(graph, kind, embeddings);
    this.perLayer.buildGraph(graph, hidden);
    return this.begin.buildGraph(graph, hidden);
  }
}

export class FlashGemma3nForCausalLMATB extends FlashForCausalLMATB<Gemma3nConfig> {
  readonly name = 'gemma3n_text';
  protected readonly model: Gemma3nModelATB;

  /** `root`: what the checkpoint's names begin with. */
  constructor(config: Gemma3nConfig, weights: Weights, root = 'model') {
    super(config, weights, { softcap: config.logitSoftcap, names: headNamesUnder(root) });
    this.model = new Gemma3nModelATB(config, weights.at(root));
  }
}

/** Of layers that attend to the keys and values of others, and of models that do not scale what they corrected. */
export const GEMMA3N_UNREAD = [
  /\.self_attn\.(k_proj|v_proj|k_norm|v_norm)\.(weight|bias)$/,
  /\.altup\.correct_output_scale$/,
];

export const Gemma3nRouter = routerOf(GEMMA3N_CONFIG, FlashGemma3nForCausalLMATB, {
  about: {
    kind: 'gemma',
    features: [
      'as gemma4_text',
      'several streams (AltUp)',
      'learned residuals (LAuReL)',
      'gates that are mostly closed',
    ],
    reference: 'transformers',
  },
  harmlessTensors: GEMMA3N_UNREAD,
});
registerModel('gemma3n_text', Gemma3nRouter);
