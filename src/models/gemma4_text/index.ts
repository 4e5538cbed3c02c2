import { rounded } from '../../dtype.js';
import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { BorrowingAttention } from '../../layers/borrowing-attention.js';
import type { CacheRef } from '../../layers/cache-ref.js';
import { ExpertsBesideMLP } from '../../layers/experts-beside-mlp.js';
import { BaseMLP } from '../../layers/mlp.js';
import { BaseRMSNorm } from '../../layers/norms.js';
import { PerLayerInputs, PerLayerStep } from '../../layers/per-layer-inputs.js';
import { PerLayerSandwich } from '../../layers/per-layer-sandwich.js';
import { headNamesUnder, registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { attentionConfig, Gemma4Attention } from './attention.js';
import { GEMMA4_CONFIG, type Gemma4Config } from './config-gemma4.js';

export * from './config-gemma4.js';

/** For each layer, whose keys and values it attends to: its own, or behind the last of these the last of its kind. */
function ownersOf({ slidingWindows, borrowingLayers }: Gemma4Config): readonly number[] {
  const own = slidingWindows.length - borrowingLayers;
  const lastOf = (window: number | undefined) => slidingWindows.slice(0, own).lastIndexOf(window);
  return slidingWindows.map((window, layer) => (layer < own ? layer : lastOf(window)));
}

/** Makes the layers, which are told of those before them. */
function layerMaker(config: Gemma4Config) {
  const owners = ownersOf(config);
  const caches = new Map<number, CacheRef>();
  return (layerId: number, at: Weights): PerLayerSandwich => {
    const norm = (name: string) => new BaseRMSNorm(at.at(name), config.hiddenSize, config.rmsNormEps);
    const isOwn = owners[layerId] === layerId;
    const attention = () => {
      const selfAttn = new Gemma4Attention(layerId, config, at.at('self_attn'));
      caches.set(layerId, selfAttn.caches()[0] as CacheRef);
      return selfAttn;
    };
    const borrowing = () => {
      const options = { scale: 1, cache: caches.get(owners[layerId] as number) as CacheRef };
      const own = { ...attentionConfig(config, layerId), rmsNormEps: config.rmsNormEps };
      return new BorrowingAttention(layerId, own, at.at('self_attn'), options);
    };
    const width = config.intermediateSize * (config.widensBorrowing && !isOwn ? 2 : 1);
    const mlp = new BaseMLP({ ...config, intermediateSize: width }, at.at('mlp'));
    const isLending = isOwn && owners.includes(layerId, layerId + 1);
    const parts = {
      beforeAttention: norm('input_layernorm'),
      selfAttn: isOwn ? attention() : borrowing(),
      afterAttention: norm('post_attention_layernorm'),
      beforeMlp: norm('pre_feedforward_layernorm'),
      mlp: config.hasExperts ? new ExpertsBesideMLP(config, at, mlp) : mlp,
      afterMlp: norm('post_feedforward_layernorm'),
      perLayer: config.perLayerSize === 0 ? undefined : new PerLayerStep(config, at),
      owner: isOwn ? undefined : owners[layerId],
      isLending,
    };
    const isSliding = config.slidingWindows[layerId] !== undefined;
    const variant = [isSliding && 'sliding', !isOwn && 'borrowing', isLending && 'lending'];
    return new PerLayerSandwich(layerId, at, parts, variant.filter((part) => part !== false).join('_'));
  };
}

/** Gemma 4's text: the last layers attend to keys and values of earlier ones, and each layer is given a vector of each token. */
class Gemma4ModelATB extends BaseModelATB {
  readonly perLayer: PerLayerInputs | undefined;

  constructor(config: Gemma4Config, weights: Weights) {
    super(config, weights, {
      layer: layerMaker(config),
      norm: new BaseRMSNorm(weights.at('norm'), config.hiddenSize, config.rmsNormEps),
      embeddingScale: rounded(Math.sqrt(config.hiddenSize), weights.dtype ?? 'bf16'),
    });
    this.perLayer = config.perLayerSize === 0 ? undefined : new PerLayerInputs(config, weights);
  }

  protected override buildInputGraph(graph: AtbGraph, kind: GraphKind): string {
    const hidden = super.buildInputGraph(graph, kind);
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
