import {
  activation,
  biases,
  type DecoderConfig,
  decoder,
  defineConfig,
  field,
  fullAttention,
  LAYERS,
  LLAMA_DEFAULTS,
  positive,
  required,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashRenamedLlamaATB, type LlamaNames } from '../llama/index.js';

/** Defaults of transformers 5.24, ExaoneConfig. */
const EXAONE_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 8, ropeTheta: 500_000 }),
    numHiddenLayers: field(['num_hidden_layers', 'num_layers'], LAYERS, required),
    hiddenAct: activation(['hidden_act', 'activation_function'], 'silu'),
    rmsNormEps: field(['rms_norm_eps', 'layer_norm_epsilon'], positive(1), 1e-5),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: 'mlp_bias' }),
    slidingWindows: fullAttention,
  },
  irrelevant: { embed_dropout: 'is used in training alone' },
});

const NAMES: LlamaNames = {
  embedding: 'transformer.wte',
  layers: 'transformer.h',
  norm: 'transformer.ln_f',
  head: 'lm_head',
  layer: {
    inputNorm: 'ln_1',
    attention: 'attn.attention',
    qkv: { q: 'q_proj', k: 'k_proj', v: 'v_proj' },
    dense: 'out_proj',
    postAttentionNorm: 'ln_2',
    mlp: 'mlp',
    projections: { gate: 'c_fc_0', up: 'c_fc_1', down: 'c_proj' },
  },
};

/** EXAONE 3 and 3.5: Llama under other names (arXiv:2408.03541). */
export class FlashExaoneForCausalLMATB extends FlashRenamedLlamaATB {
  readonly name = 'exaone';

  constructor(config: DecoderConfig, weights: Weights) {
    super(config, weights, NAMES);
  }
}

export const ExaoneRouter = routerOf(EXAONE_CONFIG, FlashExaoneForCausalLMATB, {
  headNames: NAMES,
  harmlessTensors: [/\.attn\.attention\.rotary\.inv_freq$/],
  about: { kind: 'llama', features: ["names of GPT-2's kind"], reference: 'transformers' },
});
registerModel('exaone', ExaoneRouter);
