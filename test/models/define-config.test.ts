import { expect } from 'chai';
import {
  activation,
  type BaseConfig,
  biases,
  type ConfigDict,
  type ConfigOf,
  constant,
  decoder,
  defineConfig,
  field,
  flag,
  fullAttention,
  groupedQueryAttention,
  integer,
  mlp,
  positive,
  required,
  rotaryConfig,
  rotaryConfigByLayerType,
  slidingByLayer,
  textModel,
  tokenField,
  tokensField,
} from '../../src/layers/config/index.js';
import { FlashLlamaForCausalLMATB } from '../../src/models/llama/index.js';
import { BaseRouter, getRouter, RegisterRouter } from '../../src/router/index.js';
import { declaredWeights } from '../../src/weights/weights.js';
import { problemsOf } from './config-problems.js';

const size = integer(1, 2 ** 20);

/** GPT-2: names of its own, learned positions, an MLP four times as wide where nothing is said. */
const GPT2 = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: true }),
    bosTokenId: tokenField('bos_token_id', 50_256),
    eosTokenIds: tokensField('eos_token_id', [50_256, 70_000]),
    hiddenSize: field('n_embd', size, required),
    numHiddenLayers: field(['n_layer', 'num_hidden_layers'], size, required),
    numAttentionHeads: field('n_head', size, required),
    maxPositionEmbeddings: field(['n_positions', 'n_ctx'], size, required),
    intermediateSize: field('n_inner', size, ({ hiddenSize }: { hiddenSize: number }) => 4 * hiddenSize),
    hiddenAct: activation('activation_function', 'gelu_tanh'),
    layerNormEps: field('layer_norm_epsilon', positive(1), 1e-5),
  },
  irrelevant: { summary_type: 'belongs to a head that this model has not' },
});
const gpt2 = (extra: ConfigDict = {}) =>
  GPT2.read({
    model_type: 'gpt2',
    n_embd: 8,
    n_layer: 2,
    n_head: 2,
    vocab_size: 60_000,
    n_positions: 32,
    ...extra,
  });

describe('defineConfig', () => {
  it('reads names of the family, and defaults that depend on other properties', () => {
    expect(gpt2()).to.deep.equal({
      modelType: 'gpt2',
      dtype: undefined,
      hiddenSize: 8,
      numHiddenLayers: 2,
      vocabSize: 60_000,
      maxPositionEmbeddings: 32,
      tieWordEmbeddings: true,
      bosTokenId: 50_256,
      eosTokenIds: [50_256],
      padTokenId: undefined,
      numAttentionHeads: 2,
      intermediateSize: 32,
      hiddenAct: 'gelu_tanh',
      layerNormEps: 1e-5,
      unreadKeys: [],
    });
    expect(gpt2({ n_inner: 20, activation_function: 'relu', summary_type: 'mean' })).to.deep.include({
      intermediateSize: 20,
      hiddenAct: 'relu',
      unreadKeys: [],
    });
  });

  it('knows the type of every property', () => {
    const config: ConfigOf<typeof GPT2> = gpt2();
    const base: BaseConfig = config;
    const epsilon: number = config.layerNormEps;
    expect(epsilon).to.equal(1e-5);
    expect(base.hiddenSize).to.equal(8);
    // @ts-expect-error: no field gives this property.
    expect(config.rope).to.equal(undefined);
  });

  it('takes other names of one thing, unless they contradict each other', () => {
    const { n_layer: _, ...rest } = { n_layer: undefined, num_hidden_layers: 3 };
    expect(gpt2({ ...rest, n_layer: null }).numHiddenLayers).to.equal(3);
    expect(gpt2({ n_ctx: 32 }).maxPositionEmbeddings).to.equal(32);
    expect(problemsOf(() => gpt2({ n_ctx: 64 }))).to.deep.equal([
      'n_positions and n_ctx contradict each other: 32 and 64',
    ]);
    expect(problemsOf(() => gpt2({ n_layer: null }))).to.deep.equal(['n_layer is missing']);
  });

  it('reports a problem once, and not again for properties that depend on it', () => {
    expect(problemsOf(() => gpt2({ n_embd: 'big', vocab_size: null, layer_norm_epsilon: 7 }))).to.deep.equal([
      'n_embd must be an integer from 1 to 1048576, found "big"',
      'vocab_size is missing',
      'layer_norm_epsilon must be a number greater than 0 and at most 1, found 7',
    ]);
    const twice = defineConfig({ fields: { a: field('bias', flag, false), b: field('bias', flag, true) } });
    expect(problemsOf(() => twice.read({ bias: 1 }))).to.have.length(1);
  });

  it('refuses keys that mean something elsewhere, lists those that nobody knows', () => {
    expect(problemsOf(() => gpt2({ rope_theta: 1e4, scale_attn_by_inverse_layer_idx: true }))).to.deep.equal([
      'rope_theta: turns queries and keys by position in another way, and this family does not read it, found 10000',
      'scale_attn_by_inverse_layer_idx: scales embeddings, residuals, attention or logits, and this family does not read it, found true',
    ]);
    const found = gpt2({
      scale_attn_by_inverse_layer_idx: false,
      layer_types: ['full_attention'],
      is_causal: true,
      resid_pdrop: 0.1,
      _private: [1],
      rope_scaling: null,
    });
    expect(found.unreadKeys).to.deep.equal([{ key: '_private', value: '[1]' }]);
    const meaningful: ConfigDict[] = [
      { is_causal: false },
      { layer_types: ['full_attention', 'linear_attention'] },
      { num_experts: 8 },
      { alibi: true },
      { kv_lora_rank: 512 },
      { final_logit_softcapping: 30 },
      { logit_scale: 0.0625 },
      { use_qk_norm: true },
      { sliding_window: 128 },
      { text_config: {} },
      { compression_config: {} },
    ];
    for (const extra of meaningful) {
      expect(problemsOf(() => gpt2(extra)).join('\n')).to.match(
        new RegExp(`^${Object.keys(extra)[0]}: .* found `),
      );
    }
  });

  it('tells the author of a definition what a field lacks', () => {
    const lacking = { rope: rotaryConfig({ theta: 10_000 }), maxPositionEmbeddings: constant(32) };
    // @ts-expect-error: the RoPE needs headDim.
    const definition = defineConfig({ fields: lacking });
    expect(() => definition.read({})).to.throw(
      TypeError,
      'the field rope needs headDim, which this configuration does not have',
    );
    const circle = defineConfig({
      fields: {
        a: field('a', size, ({ b }: { b: number }) => b),
        b: field('b', size, ({ a }: { a: number }) => a),
      },
    });
    expect(circle.read({ b: 2 })).to.deep.include({ a: 2, b: 2 });
    expect(() => circle.read({})).to.throw(TypeError, 'fields need each other: a, b, a');
  });

  it('says a model with two rotary embeddings, windows by a pattern, and other names', () => {
    const GEMMA3 = defineConfig({
      fields: {
        ...textModel({ tieWordEmbeddings: true }),
        ...groupedQueryAttention({ numKeyValueHeads: 4, headDim: 256 }),
        ...mlp({ hiddenAct: 'gelu_tanh' }),
        hiddenAct: activation('hidden_activation', 'gelu_tanh'),
        rmsNormEps: field('rms_norm_eps', positive(1), 1e-6),
        slidingWindows: slidingByLayer({ window: 4096, slidingWindowPattern: 6 }),
        ropes: rotaryConfigByLayerType({
          sliding_attention: { theta: 10_000, thetaNames: 'rope_local_base_freq', isScaled: false },
          full_attention: { theta: 1_000_000, isScaled: true },
        }),
        queryPreAttnScalar: field('query_pre_attn_scalar', positive(1e6), 256),
      },
    });
    const dict = {
      model_type: 'gemma3_text',
      hidden_size: 64,
      intermediate_size: 128,
      num_hidden_layers: 7,
      num_attention_heads: 4,
      vocab_size: 100,
      max_position_embeddings: 512,
      sliding_window: 16,
    };
    const old = GEMMA3.read({
      ...dict,
      rope_local_base_freq: 20_000,
      rope_scaling: { rope_type: 'linear', factor: 8 },
    });
    expect(old.slidingWindows).to.deep.equal([16, 16, 16, 16, 16, undefined, 16]);
    expect(old.ropes.sliding_attention).to.deep.include({ theta: 20_000, scaling: { type: 'default' } });
    expect(old.ropes.full_attention).to.deep.include({
      theta: 1_000_000,
      scaling: { type: 'linear', factor: 8 },
    });
    const nested = {
      sliding_attention: { rope_type: 'default', rope_theta: 20_000 },
      full_attention: { rope_type: 'linear', factor: 8, rope_theta: 1_000_000 },
    };
    expect(GEMMA3.read({ ...dict, rope_parameters: nested })).to.deep.equal(old);
    expect(problemsOf(() => GEMMA3.read({ ...dict, rope_parameters: { rope_theta: 500 } }))).to.deep.equal([
      'rope_parameters.rope_theta: this family has a RoPE for each of sliding_attention and full_attention',
    ]);
    const strange = { ...nested, linear_attention: { rope_type: 'default' } };
    expect(problemsOf(() => GEMMA3.read({ ...dict, rope_parameters: strange }))).to.deep.equal([
      'rope_parameters.linear_attention: this family has a RoPE for each of sliding_attention and full_attention',
    ]);
  });

  it('types what a family adds, from config.json to the model', () => {
    const GRANITE = defineConfig({
      fields: {
        ...decoder({
          numKeyValueHeads: 'num_attention_heads',
          headDim: 'hidden_size / num_attention_heads',
          hiddenAct: 'silu',
          rmsNormEps: 1e-6,
          ropeTheta: 10_000,
          tieWordEmbeddings: false,
        }),
        ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: 'mlp_bias' }),
        slidingWindows: fullAttention,
        logitsScaling: field('logits_scaling', positive(1e6), 1),
      },
    });
    type GraniteConfig = ConfigOf<typeof GRANITE>;
    class FlashGraniteForCausalLMATB extends FlashLlamaForCausalLMATB<GraniteConfig> {
      override readonly name = 'granite';
      readonly headScale: number = 1 / this.config.logitsScaling;
    }
    @RegisterRouter('granite-of-a-test')
    class GraniteRouter extends BaseRouter<GraniteConfig> {
      protected getConfig(): GraniteConfig {
        return GRANITE.read(this.configDict);
      }
      protected getModelClass(): typeof FlashGraniteForCausalLMATB {
        return FlashGraniteForCausalLMATB;
      }
    }
    const dict = {
      model_type: 'granite-of-a-test',
      hidden_size: 64,
      intermediate_size: 128,
      num_hidden_layers: 1,
      num_attention_heads: 4,
      vocab_size: 100,
      max_position_embeddings: 512,
      logits_scaling: 8,
      mlp_bias: true,
    };
    const router = new GraniteRouter('', dict);
    const scaling: number = router.config.logitsScaling;
    expect(scaling).to.equal(8);
    expect(router.config).to.deep.include({ mlpBias: true, qkvBias: false });
    const model = new (getRouter('granite-of-a-test'))('', dict).createModel(declaredWeights('bf16'));
    expect(model)
      .to.be.instanceOf(FlashGraniteForCausalLMATB)
      .and.have.property('headScale', 1 / 8);
  });

  it('says an MLP, a head and a norm of one line each', () => {
    const COHERE = defineConfig({
      fields: {
        ...decoder({
          numKeyValueHeads: 'num_attention_heads',
          headDim: 'hidden_size / num_attention_heads',
          hiddenAct: 'silu',
          rmsNormEps: required,
          ropeTheta: 10_000,
          tieWordEmbeddings: true,
        }),
        rmsNormEps: field('layer_norm_eps', positive(1), 1e-5),
        rope: rotaryConfig({ theta: 10_000, interleaved: true }),
        slidingWindows: fullAttention,
        logitScale: field('logit_scale', positive(1e6), 0.0625),
      },
    });
    const dict = {
      model_type: 'cohere',
      hidden_size: 64,
      intermediate_size: 128,
      num_hidden_layers: 1,
      num_attention_heads: 4,
      vocab_size: 256_000,
      max_position_embeddings: 512,
    };
    const config = COHERE.read({ ...dict, logit_scale: 0.5, layer_norm_eps: 1e-4 });
    const scale: number = config.logitScale;
    expect(scale).to.equal(0.5);
    expect(config).to.deep.include({ rmsNormEps: 1e-4, unreadKeys: [] });
    expect(config.rope.interleaved).to.equal(true);
    expect(COHERE.read(dict).logitScale).to.equal(0.0625);
  });
});
