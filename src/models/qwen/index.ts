import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashRenamedLlamaATB, type LlamaNames } from '../llama/index.js';
import { QWEN_CHAT } from './chat-format.js';
import { QWEN_CONFIG, type QwenConfig } from './config-qwen.js';

const NAMES: LlamaNames = {
  embedding: 'transformer.wte',
  layers: 'transformer.h',
  norm: 'transformer.ln_f',
  head: 'lm_head',
  layer: {
    inputNorm: 'ln_1',
    attention: 'attn',
    qkv: { packed: 'c_attn', order: 'blocks' },
    dense: 'c_proj',
    postAttentionNorm: 'ln_2',
    mlp: 'mlp',
    projections: { gate: 'w2', up: 'w1', down: 'c_proj' },
  },
};

/** The first Qwen (arXiv:2309.16609, section 2.3). */
export class FlashQwenForCausalLMATB extends FlashRenamedLlamaATB<QwenConfig> {
  readonly name = 'qwen';

  constructor(config: QwenConfig, weights: Weights) {
    super(config, weights, NAMES);
  }
}

export const QwenRouter = routerOf(QWEN_CONFIG, FlashQwenForCausalLMATB, {
  about: {
    kind: 'remote',
    features: ['q, k and v packed', 'biases of q, k and v'],
    reference: 'transformers, as llama',
  },
  chatFormat: () => QWEN_CHAT,
  headNames: NAMES,
  harmlessTensors: [/\.attn\.masked_bias$/],
});
registerModel('qwen', QwenRouter);
