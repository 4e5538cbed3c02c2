import { rounded } from '../../dtype.js';
import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { lendingVariant, lentAttention } from '../../layers/attention/lent-keys.js';
import { ValueNormedAttention } from '../../layers/attention/value-normed-attention.js';
import type { AttentionConfig } from '../../layers/attention-config.js';
import { ExpertsBesideMLP } from '../../layers/experts/experts-beside-mlp.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { PerLayerInputs, PerLayerStep } from '../../layers/streams/per-layer-inputs.js';
import { PerLayerSandwich } from '../../layers/streams/per-layer-sandwich.js';
import { headNamesUnder, registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { GEMMA4_CONFIG, type Gemma4Config } from './config-gemma4.js';

export * from './config-gemma4.js';

/** What text beside an encoder is told. */
interface SeeingConfig extends Gemma4Config {
  /** Ids that stand for what is no word. */
  readonly padded?: readonly number[];
  /** Whether tokens of a picture see each other, in layers with a window. */
  readonly seesInserts?: boolean;
}

/**
 * What attention of a layer is told: in layers with a window pictures see themselves, heads of others have sizes of
 * their own.
 */
function attentionConfig(config: SeeingConfig, layerId: number): SeeingConfig & AttentionConfig {
  if (config.slidingWindows[layerId] !== undefined) return config;
  const { globalHeadDim: headDim, globalKeyValueHeads, keysAreValues, numKeyValueHeads } = config;
  const shared = keysAreValues ? globalKeyValueHeads : undefined;
  return { ...config, seesInserts: false, headDim, numKeyValueHeads: shared ?? numKeyValueHeads };
}

/** Makes the layers, which are told of those before them. */
function layerMaker(config: SeeingConfig) {
  const isSliding = (layerId: number) => config.slidingWindows[layerId] !== undefined;
  const configOf = (layerId: number) => attentionConfig(config, layerId);
  const attention = lentAttention(config, {
    own: (layerId, at) => {
      const areOne = config.keysAreValues && !isSliding(layerId);
      return new ValueNormedAttention(layerId, configOf(layerId), at, areOne ? 'k_proj' : 'v_proj');
    },
    configOf,
  });
  return (layerId: number, at: Weights): PerLayerSandwich => {
    const norm = (name: string) => new BaseRMSNorm(at.at(name), config.hiddenSize, config.rmsNormEps);
    const lent = attention(layerId, at.at('self_attn'));
    const isWide = config.widensBorrowing && lent.owner !== undefined;
    const mlp = new BaseMLP(
      { ...config, intermediateSize: config.intermediateSize * (isWide ? 2 : 1) },
      at.at('mlp'),
    );
    const parts = {
      ...lent,
      beforeAttention: norm('input_layernorm'),
      afterAttention: norm('post_attention_layernorm'),
      beforeMlp: norm('pre_feedforward_layernorm'),
      mlp: config.hasExperts ? new ExpertsBesideMLP(config, at, mlp) : mlp,
      afterMlp: norm('post_feedforward_layernorm'),
      perLayer: config.perLayerSize === 0 ? undefined : new PerLayerStep(config, at),
    };
    return new PerLayerSandwich(layerId, at, parts, lendingVariant(lent, isSliding(layerId)));
  };
}

/** Gemma 4's text: the last layers attend to keys and values of earlier ones, and each layer is given a vector of each token. */
export class Gemma4ModelATB extends BaseModelATB {
  readonly perLayer: PerLayerInputs | undefined;

  constructor(config: SeeingConfig, weights: Weights) {
    super(config, weights, {
      layer: layerMaker(config),
      norm: new BaseRMSNorm(weights.at('norm'), config.hiddenSize, config.rmsNormEps),
      embeddingScale: rounded(Math.sqrt(config.hiddenSize), weights.dtype ?? 'bf16'),
    });
    this.perLayer = config.perLayerSize === 0 ? undefined : new PerLayerInputs(config, weights);
  }

  override buildInputGraph(graph: AtbGraph, kind: GraphKind, embeddings?: string): string {
    const hidden = super.buildInputGraph(graph, kind, embeddings);
    this.perLayer?.buildGraph(graph, hidden);
    return hidden;
  }
}

export class FlashGemma4ForCausalLMATB extends FlashForCausalLMATB<Gemma4Config> {
  readonly name = 'gemma4_text';
  protected readonly model: Gemma4ModelATB;

  /** `root`: what the checkpoint's names begin with. */
  constructor(config: Gemma4Config, weights: Weights, root = 'model') {
    super(config, weights, { softcap: config.logitSoftcap, names: headNamesUnder(root) });
    this.model = new Gemma4ModelATB(config, weights.at(root));
  }
}

/** Of layers that attend to the keys and values of others. */
export const BORROWED = [/\.self_attn\.(k_proj|v_proj|k_norm|v_norm)\.weight$/];

export const Gemma4Router = routerOf(GEMMA4_CONFIG, FlashGemma4ForCausalLMATB, {
  about: {
    kind: 'gemma',
    features: [
      'as gemma3_text',
      'keys and values of earlier layers',
      'a vector for each layer',
      'larger heads without windows',
    ],
    reference: 'transformers',
  },
  harmlessTensors: BORROWED,
});
registerModel('gemma4_text', Gemma4Router);
