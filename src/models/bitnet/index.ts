import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import type { AttentionConfig } from '../../layers/attention-config.js';
import {
  biases,
  type DecoderConfig,
  decoder,
  defineConfig,
  fullAttention,
} from '../../layers/config/index.js';
import { BaseMLP, type MLPConfig } from '../../layers/mlp/mlp.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashLlamaForCausalLMATB, LlamaLayer } from '../llama/index.js';

/** Defaults of transformers 5.24, BitNetConfig. */
const BITNET_CONFIG = defineConfig({
  fields: {
    ...decoder({
      numKeyValueHeads: 5,
      headDim: 'hidden_size / num_attention_heads',
      hiddenAct: 'relu2',
      rmsNormEps: 1e-5,
      ropeTheta: 500_000,
      tieWordEmbeddings: false,
    }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    slidingWindows: fullAttention,
  },
});

class BitNetAttention extends RotaryAttention {
  readonly norm: BaseRMSNorm;

  constructor(layerId: number, config: AttentionConfig & { readonly rmsNormEps: number }, weights: Weights) {
    super(layerId, config, weights);
    this.norm = new BaseRMSNorm(weights.at('attn_sub_norm'), config.hiddenSize, config.rmsNormEps);
  }

  override buildDenseGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    return super.buildDenseGraph(graph, kind, this.norm.buildGraph(graph, input));
  }
}

class BitNetMLP extends BaseMLP {
  readonly norm: BaseRMSNorm;

  constructor(config: MLPConfig & { readonly rmsNormEps: number }, weights: Weights) {
    super(config, weights);
    this.norm = new BaseRMSNorm(weights.at('ffn_sub_norm'), config.intermediateSize, config.rmsNormEps);
  }

  override buildDownGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    return super.buildDownGraph(graph, kind, this.norm.buildGraph(graph, input));
  }
}

/** Llama with norms before the last product of attention and MLP, whose weights are meant to be -1, 0 and 1 (arXiv:2504.12285). */
export class FlashBitNetForCausalLMATB extends FlashLlamaForCausalLMATB {
  override readonly name = 'bitnet';

  constructor(config: DecoderConfig, weights: Weights) {
    super(config, weights, (layerId, at) => {
      const selfAttn = new BitNetAttention(layerId, config, at.at('self_attn'));
      return new LlamaLayer(layerId, config, at, { selfAttn, mlp: new BitNetMLP(config, at.at('mlp')) });
    });
  }
}

export const BitNetRouter = routerOf(BITNET_CONFIG, FlashBitNetForCausalLMATB, {
  about: {
    kind: 'variant',
    features: ['norms before last products', 'gated relu²', 'ternary weights'],
    reference: 'transformers',
  },
});
registerModel('bitnet', BitNetRouter);
