import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashRenamedLlamaATB, type LlamaNames } from '../llama/index.js';
import { TELECHAT_CHAT } from './chat-format.js';
import { TELECHAT_CONFIG, type TelechatConfig } from './config-telechat.js';

/** `prefix` stands before all names but the head's. */
const namesBehind = (prefix: string): LlamaNames => ({
  embedding: `${prefix}word_embeddings`,
  layers: `${prefix}h`,
  norm: `${prefix}ln_f`,
  head: 'lm_head',
  layer: {
    inputNorm: 'input_layernorm',
    attention: 'self_attention',
    qkv: { q: 'query', keyValue: 'key_value' },
    dense: 'dense',
    postAttentionNorm: 'post_attention_layernorm',
    mlp: 'mlp',
    projections: { gate: 'gate_proj', up: 'up_proj', down: 'down_proj' },
  },
});
const NAMES = namesBehind('transformer.');
/** TeleChat-7B was saved without its head. */
const BARE_NAMES = namesBehind('');

/** TeleChat and TeleChat2 (arXiv:2401.03804, section 3): Llama with biases where attention and MLP end. */
export class FlashTelechatForCausalLMATB extends FlashRenamedLlamaATB<TelechatConfig> {
  readonly name = 'telechat';

  constructor(config: TelechatConfig, weights: Weights) {
    super(config, weights, weights.has(`${BARE_NAMES.embedding}.weight`) ? BARE_NAMES : NAMES);
  }
}

export const TelechatRouter = routerOf(TELECHAT_CONFIG, FlashTelechatForCausalLMATB, {
  about: {
    kind: 'remote',
    features: ['keys and values packed head by head', 'biases where attention and MLP end'],
    reference: 'transformers, as llama',
  },
  chatFormat: () => TELECHAT_CHAT,
  headNames: NAMES,
});
registerModel(['telechat', 'telechat2'], TelechatRouter);
