import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { isObject } from '../../src/is-object.js';
import type { ConfigDict } from '../../src/layers/config/index.js';
import { loadModels } from '../../src/models/get-model.js';
import { getRouter } from '../../src/router/index.js';
import { readMethods } from '../../src/weights/formats/index.js';
import { PUBLISHED } from './published-configs.js';

const PACKAGE = join(import.meta.dirname, '../../..');
const SIZES = {
  hidden_size: 2048,
  intermediate_size: 112,
  num_hidden_layers: 3,
  num_attention_heads: 32,
  vocab_size: 131,
  max_position_embeddings: 256,
};
const read = (dict: ConfigDict) => new (getRouter(dict.model_type))('', dict).config;

describe("families' configurations", () => {
  before(() => loadModels());

  // transformers 5.24: the fields of LlamaConfig, MistralConfig, Qwen2Config and Qwen3Config.
  const SHARED = {
    hiddenAct: 'silu',
    rmsNormEps: 1e-6,
    tieWordEmbeddings: false,
    mlpBias: false,
    denseBias: false,
    bosTokenId: undefined,
    eosTokenIds: [],
    padTokenId: undefined,
    unreadKeys: [],
  };
  const full = [undefined, undefined, undefined];
  const DEFAULTS = {
    llama: {
      numKeyValueHeads: 32,
      headDim: 64,
      qkvBias: false,
      slidingWindows: full,
    },
    mistral: {
      numKeyValueHeads: 8,
      headDim: 64,
      qkvBias: false,
      slidingWindows: [4096, 4096, 4096],
    },
    qwen2: {
      numKeyValueHeads: 32,
      headDim: 64,
      qkvBias: true,
      slidingWindows: full,
    },
    qwen3: {
      numKeyValueHeads: 32,
      headDim: 128,
      qkvBias: false,
      slidingWindows: full,
    },
  };
  for (const [model_type, own] of Object.entries(DEFAULTS)) {
    it(`${model_type} has the defaults of its class in transformers`, () => {
      const found = read({ ...SIZES, model_type });
      expect(found).to.deep.include({ ...SHARED, ...own });
      expect(found.rope).to.deep.equal({
        theta: 10_000,
        headDim: own.headDim,
        rotaryDim: own.headDim,
        interleaved: false,
        maxPositionEmbeddings: 256,
        scaling: { type: 'default' },
      });
    });
  }

  it('of qwen2 and qwen3 take window and first sliding layer from their class when windows are used', () => {
    for (const model_type of ['qwen2', 'qwen3']) {
      const windows = (extra: ConfigDict) =>
        read({ ...SIZES, model_type, num_hidden_layers: 30, use_sliding_window: true, ...extra })
          .slidingWindows;
      const [sliding, none] = [Array(2).fill(4096), Array(28).fill(undefined)];
      expect(windows({})).to.deep.equal([...none, ...sliding]);
      expect(windows({ sliding_window: null })).to.deep.equal(Array(30).fill(undefined));
      expect(windows({ sliding_window: 8, max_window_layers: 29 })).to.deep.equal([
        ...Array(29).fill(undefined),
        8,
      ]);
    }
  });

  it('of mistral have no window where it is null', () => {
    expect(read({ ...SIZES, model_type: 'mistral', sliding_window: null }).slidingWindows).to.deep.equal(
      full,
    );
  });

  it('take as many key heads as heads where their number is null, and refuse a default that does not divide', () => {
    const heads = { num_attention_heads: 4, num_key_value_heads: null };
    expect(read({ ...SIZES, model_type: 'mistral', ...heads }).numKeyValueHeads).to.equal(4);
    expect(() => read({ ...SIZES, model_type: 'mistral', num_attention_heads: 4 })).to.throw(
      /num_attention_heads \(4\) must be a multiple of num_key_value_heads \(8, this family's default\)/,
    );
  });

  it('pass over what their classes in transformers pass over, and say nothing of it', () => {
    const ignored: Readonly<Record<string, ConfigDict>> = {
      llama: {
        sliding_window: 8,
        use_sliding_window: true,
        max_window_layers: 1,
        layer_types: ['sliding_attention'],
      },
      mistral: { attention_bias: true, mlp_bias: true, layer_types: ['full_attention'] },
      qwen2: { attention_bias: false, qkv_bias: true, mlp_bias: true },
      qwen3: { mlp_bias: true },
    };
    for (const [model_type, keys] of Object.entries(ignored)) {
      const found = read({ ...SIZES, model_type, ...keys });
      expect(found).to.deep.equal(read({ ...SIZES, model_type }));
    }
  });

  it('read what published files of each generation call things, and what repeats them', () => {
    const bigger = { ...SIZES, num_key_value_heads: 4 };
    const neox = { rotary_emb_base: 1e6, rotary_pct: 0.5 };
    const same: readonly (readonly [model_type: string, one: ConfigDict, other: ConfigDict])[] = [
      // starcoder2-7b and -15b; Qwen3-Coder-480B-A35B.
      ['starcoder2', bigger, { ...bigger, activation_function: 'gelu', layer_norm_epsilon: 1e-3 }],
      ['qwen3_moe', SIZES, { ...SIZES, use_qk_norm: true }],
      // Qwen-72B-Chat has both names of the base, of which its code reads the first.
      ['qwen', { ...SIZES, rotary_emb_base: 1e6 }, { ...SIZES, rotary_emb_base: 1e6, rope_theta: 1e4 }],
      // GPTNeoXConfig's own names hold.
      ...['gpt_neox', 'gpt_neox_japanese'].map((name) => {
        const own = { ...SIZES, ...neox };
        return [name, own, { ...own, rope_theta: 1e4, partial_rotary_factor: 1 }] as const;
      }),
    ];
    for (const [model_type, one, other] of same)
      expect(read({ ...other, model_type }), model_type).to.deep.equal(read({ ...one, model_type }));
    // The first files of Qwen-7B.
    const { hidden_size, num_hidden_layers, num_attention_heads, max_position_embeddings, vocab_size } =
      SIZES;
    const first = {
      n_embd: hidden_size,
      n_layer: num_hidden_layers,
      n_head: num_attention_heads,
      n_positions: max_position_embeddings,
      ffn_hidden_size: SIZES.intermediate_size,
      activation: 'swiglu',
      pos_emb: 'rotary',
    };
    expect(read({ model_type: 'qwen', vocab_size, ...first })).to.deep.equal(
      read({ model_type: 'qwen', ...SIZES }),
    );
    const refused: readonly (readonly [model_type: string, key: string, value: unknown])[] = [
      ['qwen', 'pos_emb', 'alibi'],
      ['qwen', 'activation', 'gelu'],
      ['qwen3_moe', 'use_qk_norm', false],
      ['qwen3', 'sliding_window', -1],
    ];
    for (const [model_type, key, value] of refused)
      expect(() => read({ ...SIZES, model_type, [key]: value }), key).to.throw(key);
  });

  it('refuse what other families read, and name the rest', () => {
    for (const model_type of Object.keys(DEFAULTS)) {
      const dict = {
        ...SIZES,
        model_type,
        attn_logit_softcapping: 50,
        num_experts: 8,
        unsloth_version: '2025',
      };
      expect(() => read(dict)).to.throw(
        /attn_logit_softcapping: bounds .* this family does not read it, found 50; num_experts: makes experts/,
      );
      const harmless = {
        attn_logit_softcapping: null,
        num_experts: 0,
        partial_rotary_factor: 1,
        logit_scale: 1,
      };
      expect(read({ ...SIZES, model_type, ...harmless, unsloth_version: '2025' }).unreadKeys).to.deep.equal([
        { key: 'unsloth_version', value: '"2025"' },
      ]);
    }
  });

  it('name what nobody reads inside of rope_scaling', () => {
    const rope_scaling = { rope_type: 'linear', factor: 2, note: 'x' };
    expect(read({ ...SIZES, model_type: 'llama', rope_scaling }).unreadKeys).to.deep.equal([
      { key: 'rope_scaling.note', value: '"x"' },
    ]);
  });

  for (const { name, dict, means } of PUBLISHED) {
    const { quant_method: method } = (dict.quantization_config ?? {}) as { readonly quant_method?: string };
    if (means === undefined && readMethods().some((known) => known === method)) {
      it(`reads ${name}, whose weights say the rest`, () =>
        expect(read(dict).numHiddenLayers).to.be.above(0));
      continue;
    }
    if (means === undefined) {
      it(`refuses ${name}, which is quantised`, () => {
        expect(() => read(dict)).to.throw(
          /quantization_config: the checkpoint is quantised by .* --quantize/,
        );
      });
      continue;
    }
    it(`reads ${name}`, () => {
      const { rope, slidingWindows, ...found } = read(dict);
      const { theta, scaling, window, ...own } = means;
      expect(found).to.deep.include({ ...own, unreadKeys: [] });
      expect(rope).to.deep.include({ theta, headDim: own.headDim, rotaryDim: own.headDim });
      expect(rope?.scaling.type).to.equal(scaling);
      expect([...new Set(slidingWindows)]).to.deep.equal([window]);
    });
  }

  it('leave no key unread of any checkpoint in this repository', () => {
    const folders = ['test/fixtures/oracle', 'examples/models'].flatMap((folder) =>
      readdirSync(join(PACKAGE, folder), { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => join(PACKAGE, folder, name, 'config.json')),
    );
    const unread = folders.map((file) => {
      const dict: unknown = JSON.parse(readFileSync(file, 'utf8'));
      return isObject(dict) ? read(dict).unreadKeys : ['no object'];
    });
    expect(unread.length).to.be.at.least(8);
    expect(unread.flat()).to.deep.equal([]);
  });

  it('know by what queries grow beyond the original context of ministral3', () => {
    const rope_parameters = {
      rope_type: 'yarn',
      rope_theta: 1e6,
      factor: 16,
      original_max_position_embeddings: 64,
    };
    const ministral3 = (llama_4_scaling_beta: number) =>
      read({
        ...{ ...SIZES, model_type: 'ministral3', max_position_embeddings: 1024 },
        rope_parameters: { ...rope_parameters, llama_4_scaling_beta },
      });
    const grown = { maxPositionEmbeddings: 1024, queryScale: { beta: 0.1, length: 64 } };
    expect(ministral3(0.1)).to.deep.include({ ...grown, unreadKeys: [] });
    expect(ministral3(0)).to.deep.include({ maxPositionEmbeddings: 1024, queryScale: undefined });
  });

  it('know which layers of llama4_text see chunks, rotate and have experts', () => {
    const llama4 = (more: object) =>
      read({ ...SIZES, model_type: 'llama4_text', num_hidden_layers: 4, hidden_size: 64, ...more });
    const chunks = [8192, 8192, 8192, undefined];
    const queryScale = { beta: 0.1, length: 8192, first: 1 };
    expect(llama4({ no_rope_layers: [] })).to.deep.include({
      ...{ attentionChunks: chunks, queryScale, unreadKeys: [] },
      ...{ rotaryLayers: [true, true, true, false], sparseLayers: [true, true, true, true] },
    });
    // As version 4.51 of transformers wrote it.
    expect(llama4({ attn_temperature_tuning: 4 })).to.deep.include({ queryScale });
    const none = { attentionChunks: [undefined, undefined, undefined, undefined], queryScale: undefined };
    expect(llama4({ attention_chunk_size: null, attn_temperature_tuning: false })).to.deep.include(none);
    expect(llama4({ interleave_moe_layer_step: 2 })).to.deep.include({
      sparseLayers: [false, true, false, true],
    });
    expect(llama4({ moe_layers: [0], interleave_moe_layer_step: 2 })).to.deep.include({
      sparseLayers: [true, false, false, false],
    });
  });

  for (const model_type of ['bloom', 'gpt2', 'gpt_neox', 'gptj', 'opt']) {
    it(`have keys and values for each head, as the class of ${model_type} has, whatever num_key_value_heads says`, () => {
      const config = read({ ...SIZES, model_type, ffn_dim: 112, num_key_value_heads: 8 });
      expect(config).to.include({ numAttentionHeads: 32, numKeyValueHeads: 32 });
    });
  }
});
