import { expect } from 'chai';
import type { BaseConfig } from '../../src/layers/config/index.js';
import { FUYU_CONFIG } from '../../src/models/fuyu/index.js';
import { loadModels } from '../../src/models/get-model.js';
import { INTERNVL_CHAT_CONFIG, INTERNVL_CONFIG } from '../../src/models/internvl/index.js';
import { LLAVA_CONFIG } from '../../src/models/llava/index.js';
import { QWEN3_VL_CONFIG } from '../../src/models/qwen3_vl/index.js';
import { problemsOf } from './config-problems.js';

const QWEN2 = {
  model_type: 'qwen2',
  attention_dropout: 0,
  bos_token_id: 151_643,
  eos_token_id: 151_643,
  hidden_act: 'silu',
  hidden_size: 896,
  intermediate_size: 4864,
  max_position_embeddings: 32_768,
  max_window_layers: 70,
  moe_config: null,
  num_attention_heads: 14,
  num_hidden_layers: 24,
  num_key_value_heads: 2,
  rms_norm_eps: 1e-6,
  rope_scaling: { factor: 2, rope_type: 'dynamic', type: 'dynamic' },
  rope_theta: 1_000_000,
  sliding_window: null,
  torch_dtype: 'bfloat16',
  use_bfloat16: true,
  use_sliding_window: false,
  vocab_size: 151_674,
};

/** As InternVL3-1B is published. */
const CHAT = {
  model_type: 'internvl_chat',
  downsample_ratio: 0.5,
  dynamic_image_size: true,
  force_image_size: 448,
  hidden_size: 896,
  image_fold: null,
  llm_config: QWEN2,
  max_dynamic_patch: 12,
  min_dynamic_patch: 1,
  output_attentions: false,
  pad2square: false,
  ps_version: 'v2',
  select_layer: -1,
  system_message: null,
  template: 'internvl2_5',
  tie_word_embeddings: false,
  use_backbone_lora: 0,
  use_llm_lora: 0,
  use_thumbnail: true,
  vision_config: {
    model_type: 'intern_vit_6b',
    capacity_factor: 1.2,
    drop_path_rate: 0.1,
    hidden_act: 'gelu',
    hidden_size: 1024,
    image_size: 448,
    initializer_factor: 0.1,
    intermediate_size: 4096,
    laux_allreduce: 'all_nodes',
    layer_norm_eps: 1e-6,
    noisy_gate_policy: 'RSample_before',
    norm_type: 'layer_norm',
    num_attention_heads: 16,
    num_channels: 3,
    num_experts: 8,
    num_hidden_layers: 24,
    patch_size: 14,
    qk_normalization: false,
    qkv_bias: true,
    use_flash_attn: false,
    use_moe: false,
  },
};

const HF = {
  model_type: 'internvl',
  image_token_id: 151_671,
  image_seq_length: 256,
  text_config: QWEN2,
  vision_config: { model_type: 'internvl_vision', image_size: [448, 448], patch_size: [14, 14] },
};

describe('configurations with a model of text within', () => {
  before(() => loadModels());

  it('are read by the family of the text, whose keys and dtype count where the whole says nothing', () => {
    for (const config of [INTERNVL_CHAT_CONFIG.read(CHAT), INTERNVL_CONFIG.read(HF)]) {
      const { unreadKeys, textKind, dtype, headDim, qkvBias, rope, eosTokenIds }: BaseConfig & typeof config =
        config;
      expect(unreadKeys).to.deep.equal([]);
      expect([textKind, dtype, headDim, qkvBias]).to.deep.equal(['qwen2', 'bf16', 64, true]);
      expect(rope.scaling.type).to.equal('dynamic');
      expect(eosTokenIds).to.deep.equal([151_643]);
      const { imageSize, patchSize } = config.vision;
      expect([config.computedLayers, imageSize, patchSize, config.mergeSize]).to.deep.equal([24, 448, 14, 2]);
    }
    expect(INTERNVL_CHAT_CONFIG.read(CHAT).tieWordEmbeddings).to.equal(false);
    expect(INTERNVL_CONFIG.read(HF).tieWordEmbeddings, "the class's own").to.equal(true);
  });

  it('take what files leave out from the class of the whole, as llava-1.5-7b does', () => {
    const text = {
      model_type: 'llama',
      max_position_embeddings: 4096,
      rms_norm_eps: 1e-5,
      vocab_size: 32_064,
    };
    const llava = { model_type: 'llava', vision_config: { model_type: 'clip_vision_model' } };
    const { hiddenSize, numHiddenLayers, vocabSize, maxPositionEmbeddings, rmsNormEps } = LLAVA_CONFIG.read({
      ...llava,
      text_config: { ...text, hidden_size: null },
    });
    expect([hiddenSize, numHiddenLayers, vocabSize, maxPositionEmbeddings, rmsNormEps]).to.deep.equal([
      4096, 32, 32_064, 4096, 1e-5,
    ]);
    const other = { ...llava, text_config: { model_type: 'qwen3' } };
    expect(problemsOf(() => LLAVA_CONFIG.read(other)).join()).to.contain(
      'text_config.hidden_size is missing',
    );
  });

  it('may lie beside the rest, as in fuyu-8b', () => {
    const beside = {
      ...{
        vocab_size: 262_144,
        hidden_size: 2048,
        num_attention_heads: 32,
        rope_theta: 25_000,
        use_cache: true,
      },
      ...{ num_hidden_layers: 12, qk_layernorm: false, rope_scaling: null, eos_token_id: 2 },
    };
    const own = {
      model_type: 'fuyu',
      patch_size: 30,
      image_size: 300,
      image_token_id: 71_011,
      bos_token_id: 1,
    };
    const flat = FUYU_CONFIG.read({ ...own, ...beside });
    expect(flat).to.deep.equal(
      FUYU_CONFIG.read({ ...own, text_config: { model_type: 'persimmon', ...beside } }),
    );
    expect([flat.hiddenSize, flat.intermediateSize]).to.deep.equal([2048, 16_384]);
    expect([flat.rope?.theta, flat.unreadKeys]).to.deep.equal([25_000, []]);
  });

  it('take the encoder that vision_config names, and what its class has', () => {
    // The keys in which files with Pixtral's encoder differ from LlavaConfig's defaults in transformers 5.24.
    const pixtral = {
      model_type: 'llava',
      image_token_index: 10,
      vision_feature_layer: -1,
      vision_feature_select_strategy: 'full',
      text_config: {
        model_type: 'mistral',
        head_dim: 128,
        hidden_size: 5120,
        num_hidden_layers: 40,
        sliding_window: null,
      },
      vision_config: {
        model_type: 'pixtral',
        head_dim: 64,
        hidden_act: 'silu',
        image_size: 1024,
        rope_theta: 10_000,
      },
    };
    const { vision, computedLayers, headDim, numKeyValueHeads, unreadKeys } = LLAVA_CONFIG.read(pixtral);
    expect(vision).to.include({
      kind: 'pixtral',
      patchSize: 16,
      hiddenAct: 'silu',
      numHeads: 16,
      theta: 10_000,
    });
    expect([computedLayers, headDim, numKeyValueHeads, unreadKeys]).to.deep.equal([24, 128, 8, []]);

    const refusal = (changes: object) =>
      problemsOf(() => LLAVA_CONFIG.read({ ...pixtral, ...changes })).join();
    expect(refusal({ vision_feature_select_strategy: 'default' })).to.match(
      /vision_feature_select_strategy must be "full" where no row stands for a picture \(pixtral\), found "default"/,
    );
    expect(refusal({ vision_config: { model_type: 'sam' } })).to.match(
      /vision_config\.model_type must be one of clip_vision_model, siglip_vision_model, pixtral, found "sam"/,
    );
    const siglip = { ...pixtral, vision_config: { model_type: 'siglip_vision_model' } };
    expect(LLAVA_CONFIG.read(siglip).vision).to.include({ kind: 'siglip_vision_model', numLayers: 12 });
    const tied = { ...pixtral, text_config: { ...pixtral.text_config, tie_word_embeddings: true } };
    expect(LLAVA_CONFIG.read({ ...tied, tie_word_embeddings: false }).tieWordEmbeddings).to.equal(true);
  });

  it('name what nobody reads within the object that holds it', () => {
    const { unreadKeys } = INTERNVL_CONFIG.read({ ...HF, text_config: { ...QWEN2, unheard_of: 1 } });
    expect(unreadKeys).to.deep.equal([{ key: 'text_config.unheard_of', value: '1' }]);
  });

  it('are refused by name for what is not built', () => {
    const chat = (changes: object) => problemsOf(() => INTERNVL_CHAT_CONFIG.read({ ...CHAT, ...changes }));
    const vision = (changes: object) => chat({ vision_config: { ...CHAT.vision_config, ...changes } }).join();
    expect(chat({ llm_config: { ...QWEN2, model_type: 'phi3' } }).join()).to.match(
      /llm_config\.model_type must be one of aria_text, cohere2, cohere2_moe, deepseek, deepseek_v3, exaone4, gemma, gemma2, gemma3_text, granite, granite_docling_text, hyperclovax, internlm2, kimi_k2, lfm2, lfm3, llama, llama4_text, minimax_m3_vl_text, ministral3, mistral, mistral4, nemotron_h, opt, persimmon, qwen2, qwen3, qwen3_5_moe_text, qwen3_5_text, step3p5, found "phi3"/,
    );
    expect(chat({ llm_config: { ...QWEN2, hidden_size: 'wide', vocab_size: 0 } })).to.have.members([
      'llm_config.hidden_size must be an integer from 1 to 1048576, found "wide"',
      'llm_config.vocab_size must be an integer from 1 to 16777216, found 0',
    ]);
    expect(chat({ ps_version: 'v1' }).join()).to.contain('ps_version must be v2');
    expect(chat({ ps_version: null }).join()).to.contain('ps_version is missing');
    expect(chat({ downsample_ratio: 0.3 }).join()).to.contain('downsample_ratio must be 1 / n');
    expect(chat({ select_layer: -26 }).join()).to.contain('select_layer must be that of one of 24 layers');
    expect(vision({ use_moe: true })).to.contain('vision_config.use_moe must be false');
    expect(vision({ image_size: [448, 224] })).to.contain('image_size must be that of a square');
  });
});

describe('a text_config of qwen3_vl', () => {
  const text = {
    model_type: 'qwen3_vl_text',
    head_dim: 128,
    hidden_size: 2048,
    intermediate_size: 6144,
    max_position_embeddings: 262_144,
    num_attention_heads: 16,
    num_hidden_layers: 28,
    num_key_value_heads: 8,
    rms_norm_eps: 1e-6,
    rope_theta: 5_000_000,
    vocab_size: 151_936,
  };
  const configOf = (changes: object, deepLayers = [5, 11, 17]) =>
    QWEN3_VL_CONFIG.read({
      model_type: 'qwen3_vl',
      text_config: { ...text, ...changes },
      vision_config: { hidden_size: 1024, depth: 24, num_heads: 16, deepstack_visual_indexes: deepLayers },
    });
  const sectionsOf = (changes: object) => configOf(changes).sections;

  it("may leave out how many frequencies turn by each axis: transformers' own are meant", () => {
    expect(sectionsOf({})).to.deep.equal([24, 20, 20]);
    const others = { rope_type: 'default', mrope_section: [32, 16, 16], mrope_interleaved: true };
    expect(sectionsOf({ rope_scaling: others })).to.deep.equal([32, 16, 16]);
    expect(() => sectionsOf({ head_dim: 64 })).to.throw(/mrope_section must be 3 counts/);
  });

  it('must name layers that its encoder has, for what is added to the first of text', () => {
    expect(configOf({}, [0, 23]).vision.deepLayers).to.deep.equal([0, 23]);
    expect(() => configOf({}, [5, 24])).to.throw(
      /deepstack_visual_indexes must name layers below depth \(24\), found 24/,
    );
  });
});
