import { expect } from 'chai';
import { DECODER_KINDS } from '../../src/graph/graph-kind.js';
import { specProblems } from '../../src/graph/nested-legality.js';
import { alibiSlopes } from '../../src/layers/config/index.js';
import { inputDescs } from '../../src/models/base/input-descs.js';
import { loadModels } from '../../src/models/get-model.js';
import { getRouter, type Router } from '../../src/router/index.js';
import { declaredWeights } from '../../src/weights/weights.js';
import { problemsOf } from './config-problems.js';

type Dict = Readonly<Record<string, unknown>> & { readonly model_type: string };

const BLOOM = {
  model_type: 'bloom',
  apply_residual_connection_post_layernorm: false,
  attention_softmax_in_fp32: true,
  bias_dropout_fusion: true,
  hidden_size: 1024,
  layer_norm_epsilon: 1e-5,
  masked_softmax_fusion: true,
  n_head: 16,
  n_inner: null,
  n_layer: 24,
  offset_alibi: 100,
  pretraining_tp: 1,
  skip_bias_add: true,
  skip_bias_add_qkv: false,
  slow_but_exact: false,
  vocab_size: 250_880,
};
const GEMMA2 = {
  model_type: 'gemma2',
  attention_bias: false,
  attn_logit_softcapping: 50,
  cache_implementation: 'hybrid',
  final_logit_softcapping: 30,
  head_dim: 256,
  hidden_act: 'gelu_pytorch_tanh',
  hidden_activation: 'gelu_pytorch_tanh',
  hidden_size: 3584,
  intermediate_size: 14_336,
  max_position_embeddings: 8192,
  num_attention_heads: 16,
  num_hidden_layers: 42,
  num_key_value_heads: 8,
  query_pre_attn_scalar: 256,
  rms_norm_eps: 1e-6,
  rope_theta: 10_000,
  sliding_window: 4096,
  sliding_window_size: 4096,
  vocab_size: 256_000,
};
const FALCON_RW = {
  model_type: 'falcon',
  alibi: true,
  apply_residual_connection_post_layernorm: false,
  bias: true,
  hidden_size: 2048,
  layer_norm_epsilon: 1e-5,
  multi_query: false,
  new_decoder_architecture: false,
  num_attention_heads: 32,
  num_hidden_layers: 24,
  parallel_attn: false,
  vocab_size: 50_304,
};

const BAICHUAN_7B = {
  model_type: 'baichuan',
  hidden_act: 'silu',
  hidden_size: 4096,
  intermediate_size: 11_008,
  max_position_embeddings: 4096,
  model_max_length: 4096,
  num_attention_heads: 32,
  num_hidden_layers: 32,
  rms_norm_eps: 1e-6,
  tie_word_embeddings: false,
  vocab_size: 125_696,
};
const { max_position_embeddings: _, ...SAYS_LENGTH_ALONE } = BAICHUAN_7B;
const BAICHUAN_13B = {
  ...SAYS_LENGTH_ALONE,
  hidden_size: 5120,
  intermediate_size: 13_696,
  num_attention_heads: 40,
  num_hidden_layers: 40,
  vocab_size: 64_000,
  z_loss_weight: 0,
};

const routerOf = (dict: Dict): Router => new (getRouter(dict.model_type))('/nowhere', dict);

/** Sizes under GPT-2's names, and heads of 256. */
const GPT_J = {
  model_type: 'gptj',
  activation_function: 'gelu_new',
  layer_norm_epsilon: 1e-5,
  n_embd: 4096,
  n_head: 16,
  n_inner: null,
  n_layer: 28,
  n_positions: 2048,
  rotary: true,
  rotary_dim: 64,
  scale_attn_weights: true,
  tie_word_embeddings: false,
  vocab_size: 50_400,
};

const LEGAL: Readonly<Record<string, Dict>> = {
  'bloom-560m': BLOOM,
  'falcon-rw-1b': FALCON_RW,
  'gpt-j-6b': GPT_J,
  'Baichuan2-7B-Chat': BAICHUAN_7B,
  'Baichuan-13B-Chat': BAICHUAN_13B,
};

/** What ATB would refuse of the graphs of each kind. */
function graphProblems(dict: Dict): string[] {
  const model = routerOf(dict).createModel(declaredWeights('bf16'));
  return DECODER_KINDS.flatMap((kind) => {
    const descs = inputDescs(model, kind, 'bf16', { batch: 2, tokens: 300, blockSize: 64 });
    return specProblems(model.buildGraph(kind), descs).map(({ text }) => text);
  });
}

describe('published configurations of models with ALiBi, softcaps or heads of 256', () => {
  before(() => loadModels());

  for (const [name, dict] of Object.entries(LEGAL)) {
    it(`have legal graphs of every kind, and no key that nobody reads: ${name}`, () => {
      expect(routerOf(dict).config.unreadKeys).to.deep.equal([]);
      expect(graphProblems(dict)).to.deep.equal([]);
    });
  }

  it('have graphs of every kind in which ATB lacks the softcap alone: gemma-2-9b-it', () => {
    expect(routerOf(GEMMA2).config.unreadKeys).to.deep.equal([]);
    expect([...new Set(graphProblems(GEMMA2))]).to.deep.equal(['softcap is an extension key']);
    expect(graphProblems({ ...GEMMA2, attn_logit_softcapping: null })).to.deep.equal([]);
  });

  it('tell the models of Baichuan apart as MindIE does, or by the length that 13B does not limit', () => {
    const of = (dict: Dict) => routerOf(dict).config;
    expect(of(BAICHUAN_7B)).to.include({ usesAlibi: false, alibiSlopes: undefined, hasUnitHead: true });
    expect(of(BAICHUAN_13B)).to.include({ usesAlibi: true, rope: undefined, hasUnitHead: false });
    expect(of(BAICHUAN_13B).alibiSlopes).to.have.length(40);
    expect(of({ ...BAICHUAN_13B, max_position_embeddings: 4096 })).to.include({ usesAlibi: true });
    expect(of({ ...BAICHUAN_13B, num_hidden_layers: 4 })).to.include({ usesAlibi: true });
  });

  it('say a softcap as a positive number, or null for none', () => {
    // Of the second f32 makes 0.
    for (const cap of [0, 1e-320]) {
      const problems = problemsOf(() => routerOf({ ...GEMMA2, attn_logit_softcapping: cap }).config);
      expect(problems.join()).to.match(/attn_logit_softcapping must be a number greater than 0.*found \d/);
    }
    const { config } = routerOf({ ...GEMMA2, attn_logit_softcapping: null, final_logit_softcapping: null });
    expect(config).to.include({ scoreSoftcap: undefined, logitSoftcap: undefined });
  });

  it('give each head the slope that the authors of ALiBi give it', () => {
    expect(alibiSlopes(8)).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 8].map((i) => 2 ** -i));
    expect(alibiSlopes(12).slice(8)).to.deep.equal([-0.5, -1.5, -2.5, -3.5].map((i) => 2 ** i));
    expect(routerOf(FALCON_RW).config.alibiSlopes?.[0]).to.be.closeTo(2 ** -0.25 / 8, 1e-15);
  });
});
