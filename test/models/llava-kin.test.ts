import { expect } from 'chai';
import { AtbError } from '../../src/errors.js';
import { AYA_VISION_CONFIG } from '../../src/models/aya_vision/index.js';
import { BLIP_CHAT } from '../../src/models/base/blip/index.js';
import { COHERE2_VISION_CONFIG } from '../../src/models/cohere2_vision/index.js';
import { EXAONE4_5_CONFIG } from '../../src/models/exaone4_5/index.js';
import { getModel, loadModels } from '../../src/models/get-model.js';
import { LLAVA_CONFIG } from '../../src/models/llava/index.js';
import { LLAVA_NEXT_CONFIG } from '../../src/models/llava_next/index.js';
import { LLAVA_NEXT_VIDEO_CONFIG } from '../../src/models/llava_next_video/config.js';
import { LLAVA_ONEVISION_CONFIG } from '../../src/models/llava_onevision/index.js';
import { OVIS2_CONFIG } from '../../src/models/ovis2/index.js';
import { PALIGEMMA_CHAT } from '../../src/models/paligemma/chat-format.js';
import { PALIGEMMA_CONFIG } from '../../src/models/paligemma/index.js';
import { PERCEPTION_LM_CONFIG } from '../../src/models/perception_lm/index.js';
import { VIPLLAVA_CONFIG } from '../../src/models/vipllava/index.js';
import { type ChatMessage, ChatTemplate } from '../../src/tokenizer/chat-template.js';
import { encodeWords, mediaFiles, visionCheckpoint } from '../oracle/vision.js';
import { problemsOf } from './config-problems.js';

// Files of these families say in what they differ from their classes in transformers 5.24: what is not said here is of
// LlavaNextConfig, LlavaOnevisionConfig, PaliGemmaConfig, and of the classes of their parts.

const NEXT = {
  model_type: 'llava_next',
  image_token_index: 32_000,
  text_config: {
    model_type: 'mistral',
    max_position_embeddings: 32_768,
    rope_theta: 1_000_000,
    sliding_window: null,
  },
  use_image_newline_parameter: true,
  vision_config: { model_type: 'clip_vision_model' },
  vision_feature_layer: -2,
  vision_feature_select_strategy: 'default',
};
/** Of VipLlavaConfig, with the older name of its layers. */
const VIP = {
  model_type: 'vipllava',
  image_token_index: 32_000,
  projector_hidden_act: 'gelu',
  projector_layernorm_eps: 1e-5,
  image_seq_length: 576,
  text_config: { model_type: 'llama' },
  vision_config: { model_type: 'clip_vision_model', projection_dim: 768, vocab_size: 32_000 },
  vision_feature_layers: [-2, -5, -8, -11, 6],
};
const ONEVISION = { model_type: 'llava_onevision', text_config: { model_type: 'qwen2' }, vision_config: {} };
const GEMMA = {
  model_type: 'paligemma',
  hidden_size: 2048,
  image_token_index: 257_152,
  projection_dim: 2048,
  text_config: { model_type: 'gemma', num_image_tokens: 256, vocab_size: 257_216 },
  vision_config: { model_type: 'siglip_vision_model', projection_dim: 2048, vision_use_head: false },
};
const GEMMA2 = {
  ...GEMMA,
  projection_dim: 2304,
  text_config: { model_type: 'gemma2', use_bidirectional_attention: true, vocab_size: 257_216 },
};

describe('configurations of the kin of LLaVA', () => {
  before(() => loadModels());

  it('take what files leave out from the classes: LLaVA-NeXT', () => {
    const { canvases, numHiddenLayers, numKeyValueHeads, intermediateSize, unreadKeys, ...rest } =
      LLAVA_NEXT_CONFIG.read(NEXT);
    expect([numHiddenLayers, numKeyValueHeads, intermediateSize, unreadKeys]).to.deep.equal([
      32,
      8,
      14_336,
      [],
    ]);
    expect(rest.vision).to.include({
      kind: 'clip_vision_model',
      imageSize: 336,
      patchSize: 14,
      numLayers: 24,
    });
    expect([rest.computedLayers, rest.select, canvases.length]).to.deep.equal([23, 'default', 5]);
    expect(canvases[3]).to.deep.equal({ height: 1008, width: 336 });
  });

  it('take several layers of an encoder: Granite Vision and ViP-LLaVA', () => {
    // Encoder and layers of granite-vision-3.2-2b as llama.cpp's guide to it prints them; text of GraniteConfig.
    const vision_config = {
      model_type: 'siglip_vision_model',
      hidden_size: 1152,
      intermediate_size: 4304,
      num_attention_heads: 16,
      num_hidden_layers: 27,
      image_size: 384,
      patch_size: 14,
    };
    const granite = LLAVA_NEXT_CONFIG.read({
      ...NEXT,
      text_config: { model_type: 'granite' },
      vision_config,
      image_grid_pinpoints: [
        [384, 3840],
        [1152, 1152],
      ],
      vision_feature_layer: [-24, -20, -12, -1],
      vision_feature_select_strategy: 'full',
    });
    expect([granite.takenLayers, granite.computedLayers, granite.textKind, granite.unreadKeys]).to.deep.equal(
      [[4, 8, 16, 27], 27, 'granite', []],
    );
    const vip = (changes: object) => VIPLLAVA_CONFIG.read({ ...VIP, ...changes });
    const { takenLayers, computedLayers, projectorBias, projectorEps, unreadKeys, vision } = vip({});
    expect([takenLayers, computedLayers, projectorBias, projectorEps, unreadKeys]).to.deep.equal([
      [23, 20, 17, 14, 6],
      23,
      true,
      1e-5,
      [],
    ]);
    expect(vision).to.include({ hiddenSize: 1024, numLayers: 24, imageSize: 336 });
    expect(vip({ vision_feature_layers: undefined }).takenLayers).to.deep.equal(takenLayers);
    expect(vip({ vision_feature_layers: -1 }).takenLayers).to.deep.equal([24]);
  });

  it('take what files leave out from the classes: LLaVA-OneVision', () => {
    const { canvases, mostTiles, vision, computedLayers, select, ...rest } =
      LLAVA_ONEVISION_CONFIG.read(ONEVISION);
    expect(vision).to.include({ hiddenSize: 1152, intermediateSize: 4304, numLayers: 26, imageSize: 384 });
    expect([canvases.length, mostTiles, computedLayers, select]).to.deep.equal([36, 9, 26, 'full']);
    expect([rest.imageTokenId, rest.videoTokenId, rest.vocabSize]).to.deep.equal([151_646, 151_647, 151_936]);
  });

  it('take what files leave out from the classes: PaliGemma and PaliGemma 2', () => {
    const { vision, hiddenSize, unreadKeys, tieWordEmbeddings, maxPositionEmbeddings } =
      PALIGEMMA_CONFIG.read(GEMMA);
    expect(vision).to.include({ intermediateSize: 4096, numLayers: 27, numHeads: 16, imageSize: 224 });
    expect([hiddenSize, unreadKeys, tieWordEmbeddings, maxPositionEmbeddings]).to.deep.equal([
      2048,
      [],
      true,
      8192,
    ]);
    const second = PALIGEMMA_CONFIG.read(GEMMA2);
    expect([second.textKind, second.hiddenSize, second.maxPositionEmbeddings]).to.deep.equal([
      'gemma2',
      2304,
      4096,
    ]);
    expect(second.longestContext).to.deep.include({ tokens: 4096 });
  });

  it('take what files leave out from the classes: Command A Vision', () => {
    const files = { model_type: 'cohere2_vision', text_config: { model_type: 'cohere2' }, vision_config: {} };
    const { vision, mergeSize, gatedSize, hiddenSize, imageTokenId, unreadKeys } =
      COHERE2_VISION_CONFIG.read(files);
    expect(vision).to.include({
      hiddenSize: 1152,
      intermediateSize: 3072,
      numHeads: 12,
      imageSize: 512,
      patchSize: 16,
    });
    expect([mergeSize, gatedSize, hiddenSize, imageTokenId, unreadKeys]).to.deep.equal([
      2,
      36_864,
      8192,
      255_036,
      [],
    ]);
    const refusal = (changes: object) =>
      problemsOf(() => COHERE2_VISION_CONFIG.read({ ...files, ...changes })).join();
    expect(refusal({ downsample_factor: 3 })).to.match(/downsample_factor must cut 32 patches a side/);
    expect(refusal({ alignment_intermediate_size: 7 })).to.match(/alignment_intermediate_size must be even/);
  });

  it('take what files leave out from the classes: Aya Vision', () => {
    // AyaVisionConfig's own 14 heads do not cut rows, nor blocks of two its 27 patches: files say what they are.
    const files = {
      model_type: 'aya_vision',
      text_config: { model_type: 'cohere2', hidden_size: 4096 },
      vision_config: { num_attention_heads: 16, image_size: 364 },
    };
    const { vision, mergeSize, gatedSize, computedLayers, projectorEps } = AYA_VISION_CONFIG.read(files);
    expect(vision).to.include({ intermediateSize: 4304, imageSize: 364, patchSize: 14 });
    expect([mergeSize, gatedSize, computedLayers, projectorEps]).to.deep.equal([2, 4096, 26, 1e-6]);
    const refusal = (changes: object) =>
      problemsOf(() => AYA_VISION_CONFIG.read({ ...files, ...changes })).join();
    expect(refusal({ vision_config: {} })).to.match(/num_attention_heads must cut hidden_size \(1152\)/);
    expect(refusal({ vision_feature_select_strategy: 'default' })).to.match(/must be full/);
  });

  it('take what files leave out from the classes: PerceptionLM', () => {
    // Of PerceptionLMConfig, and of the encoder as timm has it under that name.
    const encoder = (architecture: string, model_args: object = {}) => ({
      model_type: 'perception_lm',
      text_config: { model_type: 'llama' },
      projector_pooling_ratio: 2,
      vision_config: {
        model_type: 'timm_wrapper',
        architecture,
        do_pooling: true,
        model_args: {
          img_size: [448, 448],
          ref_feat_shape: [32, 32],
          global_pool: '',
          init_values: 0.1,
          ...model_args,
        },
      },
    });
    const large = PERCEPTION_LM_CONFIG.read(encoder('vit_pe_lang_large_patch14_448'));
    const { sizes } = large.vision;
    expect([sizes.hiddenSize, sizes.numLayers, sizes.intermediateSize, sizes.hasFirst]).to.deep.equal([
      1024,
      23,
      4096,
      true,
    ]);
    expect([large.mergeSize, large.imageTokenId, large.unreadKeys]).to.deep.equal([2, 128_002, []]);
    const gigantic = { ...encoder('vit_pe_lang_gigantic_patch14_448'), vision_use_cls_token: false };
    const { vision } = PERCEPTION_LM_CONFIG.read(gigantic);
    expect([vision.sizes.hiddenSize, vision.sizes.intermediateSize]).to.deep.equal([1536, 8960]);
    const refusal = (dict: object) => problemsOf(() => PERCEPTION_LM_CONFIG.read({ ...dict })).join();
    expect(refusal(encoder('vit_pe_core_base_patch16_224'))).to.match(
      /architecture must be one of vit_pe_lang/,
    );
    expect(refusal({ ...gigantic, vision_use_cls_token: true })).to.match(
      /vision_use_cls_token must be false/,
    );
    expect(refusal({ ...gigantic, projector_pooling_ratio: 3 })).to.match(
      /projector_pooling_ratio must cut 32/,
    );
    expect(refusal(encoder('vit_pe_lang_large_patch14_448', { img_size: 224 }))).to.match(
      /ref_feat_shape must be that of 16 patches a side, found 32/,
    );
  });

  it('take what files leave out from the classes: EXAONE 4.5', () => {
    // Of Exaone4_5_Config, Exaone4_5_VisionConfig and Exaone4Config; text under the name of the first files.
    const text_config = {
      model_type: 'exaone4_5_text',
      ...{ vocab_size: 102_400, hidden_size: 4096, intermediate_size: 16_384, num_hidden_layers: 32 },
      ...{ num_attention_heads: 32, num_key_value_heads: 32, max_position_embeddings: 2048 },
    };
    const files = { model_type: 'exaone4_5', text_config, vision_config: { model_type: 'exaone4_5_vision' } };
    const { vision, textKind, imageTokenId, videoTokenId, unreadKeys } = EXAONE4_5_CONFIG.read(files);
    expect(vision).to.include({
      depth: 32,
      hiddenSize: 3584,
      numHeads: 16,
      numKeyValueHeads: 8,
      windowSize: 112,
    });
    expect([textKind, imageTokenId, videoTokenId, unreadKeys]).to.deep.equal(['exaone4', 67, 68, []]);
    const odd = { ...files, vision_config: { num_key_value_heads: 3 } };
    expect(problemsOf(() => EXAONE4_5_CONFIG.read(odd)).join()).to.match(
      /must divide num_heads \(16\), found 3/,
    );
  });

  it('take what files leave out from the classes: LLaVA-NeXT-Video', () => {
    // Of LlavaNextVideoConfig.
    const files = {
      ...NEXT,
      model_type: 'llava_next_video',
      image_token_index: 32_001,
      video_token_index: 32_000,
      text_config: { model_type: 'llama' },
      ...{
        spatial_pool_mode: 'average',
        spatial_pool_stride: 2,
        image_seq_length: 576,
        video_seq_length: 288,
      },
    };
    const { canvases, imageTokenId, videoTokenId, computedLayers, unreadKeys } =
      LLAVA_NEXT_VIDEO_CONFIG.read(files);
    expect([canvases.length, imageTokenId, videoTokenId, computedLayers, unreadKeys]).to.deep.equal([
      5,
      32_001,
      32_000,
      23,
      [],
    ]);
    const refusal = (changes: object) =>
      problemsOf(() => LLAVA_NEXT_VIDEO_CONFIG.read({ ...files, ...changes })).join();
    expect(refusal({ spatial_pool_mode: 'max' })).to.match(/spatial_pool_mode .*average.*found "max"/);
    const vision_config = { model_type: 'clip_vision_model', image_size: 350 };
    expect(refusal({ vision_config, image_grid_pinpoints: [[350, 350]] })).to.match(
      /spatial_pool_stride must cut 25 patches a side/,
    );
  });

  it('take what files leave out from the classes: Ovis2', async () => {
    // Of Ovis2Config and Ovis2VisionConfig.
    const files = { model_type: 'ovis2', text_config: { model_type: 'qwen2' }, vision_config: {} };
    const { vision, indicatorIds, imageTokenId, tieWordEmbeddings, unreadKeys } = OVIS2_CONFIG.read({
      ...files,
      vocab_size: 151_643,
      hidden_size: 1536,
    });
    expect(vision).to.include({ hiddenSize: 1024, intermediateSize: 2816, numHeads: 8, imageSize: 224 });
    expect(vision).to.include({ vocabSize: 16_384, mergeSize: 1, epsilon: 1e-5, qkvBias: false });
    expect([indicatorIds, imageTokenId, tieWordEmbeddings, unreadKeys]).to.deep.equal([
      [151_666, 151_667, 151_668, 151_669, 151_670],
      151_665,
      true,
      [],
    ]);
    const refusal = (changes: object) => problemsOf(() => OVIS2_CONFIG.read({ ...files, ...changes })).join();
    expect(refusal({ vision_config: { hidden_stride: 3 } })).to.match(
      /hidden_stride must cut 16 patches a side/,
    );
    expect(refusal({ vision_config: { tokenize_function: 'st_argmax' } })).to.match(
      /tokenize_function .*softmax.*found "st_argmax"/,
    );
    expect(refusal({ visual_indicator_token_ids: [1, 2] })).to.match(/must be 5 tokens, found 2/);
    // A tokenizer whose words about tiles are not those that config.json names.
    const { path, remove } = visionCheckpoint('ovis2');
    const processor = await (await getModel(path)).getMediaProcessor((words) => [words.length]);
    const shown = processor?.process(await mediaFiles(0, 20, 20, 1), 'it', 0, 1);
    const error = await shown?.catch((thrown: unknown) => thrown);
    remove();
    expect(error)
      .to.be.instanceOf(AtbError)
      .with.property('message')
      .that.contains('the token of <IMG_START>');
  });

  it('let templates of Aya Vision print a token for a picture, whether <image> is one or not', async () => {
    const { path, remove } = visionCheckpoint('aya_vision');
    const router = await getModel(path);
    const known = await router.getMediaProcessor(encodeWords);
    const unknown = await router.getMediaProcessor((words) =>
      encodeWords(words.replaceAll('<image>', '< image >')),
    );
    remove();
    expect([known?.placeholders, known?.templateTexts]).to.deep.equal([
      { image: encodeWords('<image>')[0] },
      {},
    ]);
    expect([unknown?.placeholders, unknown?.templateTexts]).to.deep.equal([
      { image: 120 },
      { '<image>': '<|IMG_PATCH|>' },
    ]);
  });

  it('write one message of PaliGemma: pictures, then what is asked of them', () => {
    const template = new ChatTemplate(PALIGEMMA_CHAT.template ?? '', 'of the family');
    const shown = (...contents: readonly (string | readonly object[])[]) => {
      const messages = contents.map((content) => ({ role: 'user', content })) as ChatMessage[];
      return template.render({ messages, bos_token: '<bos>' });
    };
    const parts = [
      { type: 'image' },
      { type: 'text', text: 'caption ' },
      { type: 'image' },
      { type: 'text', text: 'en' },
    ];
    // As PaliGemmaProcessor makes it of two pictures and "caption en".
    expect(shown(parts)).to.equal('<image><image><bos>caption en\n');
    expect(shown('detect cat')).to.equal('<bos>detect cat\n');
    expect(() => shown('one', 'two')).to.throw(AtbError, 'TEMPLATE_REFUSED');
  });

  it('write one message of BLIP-2: pictures before the token that begins texts', () => {
    const template = new ChatTemplate(BLIP_CHAT.template ?? '', 'of the family');
    const shown = (...contents: readonly (string | readonly object[])[]) => {
      const messages = contents.map((content) => ({ role: 'user', content })) as ChatMessage[];
      return template.render({ messages, bos_token: '</s>' });
    };
    const asked = { type: 'text', text: 'Question: how many? Answer:' };
    // As Blip2Processor makes it, but for how often a token of a picture stands.
    expect(shown([asked, { type: 'image' }])).to.equal('<image></s>Question: how many? Answer:');
    expect(shown([{ type: 'video' }, asked])).to.equal('<video></s>Question: how many? Answer:');
    expect(shown('a photo of')).to.equal('</s>a photo of');
    expect(() => shown('one', 'two')).to.throw(AtbError, 'TEMPLATE_REFUSED');
  });

  for (const [what, read, said] of [
    [
      'canvases that are not cut into tiles',
      () => LLAVA_NEXT_CONFIG.read({ ...NEXT, image_grid_pinpoints: [[336, 400]] }),
      /image_grid_pinpoints must be sizes of whole tiles of 336 pixels/,
    ],
    [
      'canvases of other than two sides',
      () => LLAVA_NEXT_CONFIG.read({ ...NEXT, image_grid_pinpoints: [[336]] }),
      /image_grid_pinpoints must be a list of pairs of height and width/,
    ],
    [
      'rows without a place in a picture',
      () => LLAVA_NEXT_CONFIG.read({ ...NEXT, vision_feature_select_strategy: 'full' }),
      /vision_feature_select_strategy must be "default"/,
    ],
    [
      'no layers',
      () => LLAVA_NEXT_CONFIG.read({ ...NEXT, vision_feature_layer: [] }),
      /vision_feature_layer must name a layer/,
    ],
    [
      'layers that an encoder does not have',
      () => LLAVA_NEXT_CONFIG.read({ ...NEXT, vision_feature_layer: [-1, 25] }),
      /vision_feature_layer must be that of one of 24 layers, found 25/,
    ],
    [
      "several layers of Pixtral's encoder",
      () =>
        LLAVA_CONFIG.read({
          ...NEXT,
          model_type: 'llava',
          vision_config: { model_type: 'pixtral' },
          vision_feature_layer: [-2, -1],
          vision_feature_select_strategy: 'full',
        }),
      /vision_feature_layer must be one layer of pixtral, found 2/,
    ],
    [
      'another way to shrink canvases',
      () => LLAVA_ONEVISION_CONFIG.read({ ...ONEVISION, vision_aspect_ratio: 'pad' }),
      /vision_aspect_ratio must be anyres_max_ and a number of tiles, found "pad"/,
    ],
    [
      'rows of another width than words',
      () => PALIGEMMA_CONFIG.read({ ...GEMMA, projection_dim: 1024 }),
      /projection_dim must be hidden_size of text_config \(2048\), found 1024/,
    ],
    [
      'prompts that are seen one way',
      () =>
        PALIGEMMA_CONFIG.read({
          ...GEMMA,
          text_config: { ...GEMMA.text_config, use_bidirectional_attention: false },
        }),
      /text_config\.use_bidirectional_attention must be true/,
    ],
  ] as const)
    it(`refuse ${what} by name`, () => {
      expect(problemsOf(read).join()).to.match(said);
    });
});
