import { BaseLayerNorm, BaseRMSNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashRenamedLlamaATB, type LlamaNames } from '../llama/index.js';
import { chatglmChat } from './chat-format.js';
import { CHATGLM_CONFIG, type ChatglmConfig } from './config-chatglm.js';

const HEAD = { embedding: 'transformer.embedding.word_embeddings', head: 'transformer.output_layer' };

const namesOf = ({ isMultiQuery }: ChatglmConfig): LlamaNames => ({
  ...HEAD,
  layers: 'transformer.encoder.layers',
  norm: 'transformer.encoder.final_layernorm',
  layer: {
    inputNorm: 'input_layernorm',
    attention: 'self_attention',
    qkv: { packed: 'query_key_value', order: isMultiQuery ? 'blocks' : 'groups' },
    dense: 'dense',
    postAttentionNorm: 'post_attention_layernorm',
    mlp: 'mlp',
    projections: { gateUp: 'dense_h_to_4h', down: 'dense_4h_to_h' },
  },
});

/** ChatGLM2, ChatGLM3 and GLM-4 of 2024 (arXiv:2406.12793), as their own code stores them. */
export class FlashChatglmForCausalLMATB extends FlashRenamedLlamaATB<ChatglmConfig> {
  readonly name = 'chatglm';

  constructor(config: ChatglmConfig, weights: Weights) {
    const { hiddenSize, rmsNormEps: eps, isRmsNorm } = config;
    super(config, weights, namesOf(config), (at) =>
      isRmsNorm ? new BaseRMSNorm(at, hiddenSize, eps) : new BaseLayerNorm(at, hiddenSize, eps),
    );
  }
}

export const ChatglmRouter = routerOf(CHATGLM_CONFIG, FlashChatglmForCausalLMATB, {
  about: {
    kind: 'remote',
    features: [
      'interleaved rotary on half of a head',
      'few keys and values for many heads',
      'RMSNorm or LayerNorm',
    ],
    reference: 'transformers, as glm',
  },
  chatFormat: chatglmChat,
  headNames: HEAD,
  harmlessTensors: [/\.rotary_pos_emb\.inv_freq$/],
});
registerModel('chatglm', ChatglmRouter);
