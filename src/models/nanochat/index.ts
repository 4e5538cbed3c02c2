import type { AtbGraph } from '../../graph/atb-graph.js';
import { projectionNorms, RotaryNormedAttention } from '../../layers/attention/attention-orders.js';
import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  fullAttention,
  LLAMA_DEFAULTS,
  softcap,
} from '../../layers/config/index.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { addRMSNorm, BaseNorm, HeadNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import { constantWeight } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';

/** Defaults of transformers 5.24, NanoChatConfig. */
const NANOCHAT_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, hiddenAct: 'relu2', rotary: { turnsBack: true } }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    logitSoftcap: softcap('final_logit_softcapping', 15),
    slidingWindows: fullAttention,
  },
});
type NanoChatConfig = ConfigOf<typeof NANOCHAT_CONFIG>;

/** RMSNorm without weights: all of a model that are of one size share ones. */
class PlainRMSNorm extends BaseNorm {
  private readonly ones: TensorRef;

  constructor(weights: Weights, size: number, epsilon: number) {
    super(weights, epsilon);
    this.ones = constantWeight(`rms_norm.ones_${size}`, [size], 1);
  }

  override getWeights(): TensorRef[] {
    return [this.ones];
  }

  buildGraph(graph: AtbGraph, input: string, normOut?: string): string {
    const { name, epsilon, ones: weight } = this;
    return addRMSNorm(graph, { name, epsilon, weight }, input, normOut);
  }
}

/** A decoder that norms its embeddings, too. */
class NanoChatModelATB extends BaseModelATB {
  private readonly embeddingNorm: PlainRMSNorm;

  constructor(config: NanoChatConfig, weights: Weights) {
    const { hiddenSize, headDim, rmsNormEps } = config;
    const norm = (at: Weights) => new PlainRMSNorm(at, hiddenSize, rmsNormEps);
    super(config, weights, {
      layer(layerId, at) {
        const own = at.at('self_attn');
        const norms = projectionNorms(config, (of, heads) => {
          return new HeadNorm(own.at(`${of}_norm`), { heads, headDim }, rmsNormEps, PlainRMSNorm);
        });
        return new PreNormLayer(layerId, at, {
          inputLayernorm: norm(at.at('input_layernorm')),
          selfAttn: new RotaryNormedAttention(layerId, config, own, norms),
          postAttentionLayernorm: norm(at.at('post_attention_layernorm')),
          mlp: new UngatedMLP(config, at.at('mlp'), { names: { up: 'fc1', down: 'fc2' } }),
        });
      },
      norm: norm(weights.at('norm')),
    });
    this.embeddingNorm = norm(weights.at('embedding_norm'));
  }

  override buildWordEmbeddingGraph(graph: AtbGraph): string {
    return this.embeddingNorm.buildGraph(graph, super.buildWordEmbeddingGraph(graph));
  }
}

/** Norms without weights, of queries and keys behind their rotation, which goes the other way; bounded logits. */
export class FlashNanoChatForCausalLMATB extends FlashForCausalLMATB<NanoChatConfig> {
  readonly name = 'nanochat';
  protected readonly model: NanoChatModelATB;

  constructor(config: NanoChatConfig, weights: Weights) {
    super(config, weights, { softcap: config.logitSoftcap });
    this.model = new NanoChatModelATB(config, weights.at('model'));
  }
}

export const NanoChatRouter = routerOf(NANOCHAT_CONFIG, FlashNanoChatForCausalLMATB, {
  about: {
    kind: 'variant',
    features: [
      'RMSNorm without weights',
      'norms of q and k after rotary',
      'a norm of the embeddings',
      'relu²',
    ],
    reference: 'transformers',
  },
});
registerModel('nanochat', NanoChatRouter);
