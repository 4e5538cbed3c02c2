import { type DecoderConfig, defineConfig } from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { INTERNLM_FIELDS } from '../internlm/index.js';
import { FlashRenamedLlamaATB, type LlamaNames } from '../llama/index.js';
import { INTERNLM2_CHAT } from './chat-format.js';

const INTERNLM2_CONFIG = defineConfig({ fields: INTERNLM_FIELDS });

const NAMES: LlamaNames = {
  embedding: 'model.tok_embeddings',
  layers: 'model.layers',
  norm: 'model.norm',
  head: 'output',
  layer: {
    inputNorm: 'attention_norm',
    attention: 'attention',
    qkv: { packed: 'wqkv', order: 'groups' },
    dense: 'wo',
    postAttentionNorm: 'ffn_norm',
    mlp: 'feed_forward',
    projections: { gate: 'w1', up: 'w3', down: 'w2' },
  },
};

/** Llama under other names, whose projections are packed by key heads (arXiv:2403.17297, section 2.2). */
export class FlashInternlm2ForCausalLMATB extends FlashRenamedLlamaATB {
  readonly name = 'internlm2';

  constructor(config: DecoderConfig, weights: Weights) {
    super(config, weights, NAMES);
  }
}

export const Internlm2Router = routerOf(INTERNLM2_CONFIG, FlashInternlm2ForCausalLMATB, {
  about: {
    kind: 'remote',
    features: ['q, k and v packed by key heads'],
    reference: 'transformers, as llama',
  },
  chatFormat: () => INTERNLM2_CHAT,
  headNames: NAMES,
});
registerModel('internlm2', Internlm2Router);
