import { expect } from 'chai';
import { ENCODE } from '../../src/graph/graph-kind.js';
import { specProblems } from '../../src/graph/nested-legality.js';
import { inputDescs } from '../../src/models/base/input-descs.js';
import { loadModels } from '../../src/models/get-model.js';
import { getRouter } from '../../src/router/index.js';
import { declaredWeights } from '../../src/weights/weights.js';

type Dict = Readonly<Record<string, unknown>>;

/** Hidden and intermediate size, layers, heads, vocabulary, rows of the table of positions. */
type Sizes = readonly [number, number, number, number, number, number];

const trained = {
  attention_probs_dropout_prob: 0.1,
  classifier_dropout: null,
  hidden_act: 'gelu',
  hidden_dropout_prob: 0.1,
  initializer_range: 0.02,
  position_embedding_type: 'absolute',
  use_cache: true,
};
const oneLabel = { id2label: { 0: 'LABEL_0' }, label2id: { LABEL_0: 0 } };
const xlm = {
  bos_token_id: 0,
  eos_token_id: 2,
  layer_norm_eps: 1e-5,
  output_past: true,
  pad_token_id: 1,
  type_vocab_size: 1,
};
const pooler = {
  pooler_fc_size: 768,
  pooler_num_attention_heads: 12,
  pooler_num_fc_layers: 3,
  pooler_size_per_head: 128,
  pooler_type: 'first_token_transform',
};

const modern = {
  classifier_pooling: 'mean',
  cls_token_id: 50_281,
  decoder_bias: true,
  global_attn_every_n_layers: 3,
  global_rope_theta: 160_000,
  hidden_activation: 'gelu',
  layer_norm_eps: 1e-5,
  local_attention: 128,
  local_rope_theta: 10_000,
  norm_bias: false,
  norm_eps: 1e-5,
  reference_compile: true,
  sparse_prediction: false,
};
const nomic = {
  activation_function: 'swiglu',
  causal: false,
  layer_norm_epsilon: 1e-12,
  max_trained_positions: 2048,
  mlp_fc1_bias: false,
  mlp_fc2_bias: false,
  n_embd: 768,
  n_head: 12,
  n_inner: 3072,
  n_layer: 12,
  n_positions: 8192,
  prenorm: false,
  qkv_proj_bias: false,
  rotary_emb_base: 1000,
  rotary_emb_fraction: 1,
  rotary_scaling_factor: 2,
  type_vocab_size: 2,
  use_rms_norm: false,
};

/** What BERT's relatives leave out of `trained`, and have under names of their own. */
const distil = {
  ...Object.fromEntries(Object.keys(trained).map((key) => [key, undefined])),
  ...{ hidden_size: undefined, intermediate_size: undefined },
  ...{ num_hidden_layers: undefined, num_attention_heads: undefined },
  activation: 'gelu',
  attention_dropout: 0.1,
  dropout: 0.1,
  initializer_range: 0.02,
  pad_token_id: 0,
  qa_dropout: 0.1,
  seq_classif_dropout: 0.2,
  sinusoidal_pos_embds: false,
  tie_weights_: true,
};
const electra = {
  layer_norm_eps: 1e-12,
  pad_token_id: 0,
  summary_activation: 'gelu',
  summary_last_dropout: 0.1,
  summary_type: 'first',
  summary_use_proj: true,
  type_vocab_size: 2,
};

const deberta = {
  classifier_dropout: undefined,
  layer_norm_eps: 1e-7,
  max_relative_positions: -1,
  norm_rel_ebd: 'layer_norm',
  pad_token_id: 0,
  pooler_dropout: 0,
  pooler_hidden_act: 'gelu',
  pooler_hidden_size: 768,
  pos_att_type: ['p2c', 'c2p'],
  position_biased_input: false,
  position_buckets: 256,
  position_embedding_type: undefined,
  relative_attention: true,
  share_att_key: true,
  type_vocab_size: 0,
  use_cache: undefined,
};

/** Without what older files say. */
const classDefaults = {
  classifier_dropout: undefined,
  position_embedding_type: undefined,
  use_cache: undefined,
};
const eurobert = {
  ...Object.fromEntries(Object.keys(trained).map((key) => [key, undefined])),
  attention_bias: false,
  attention_dropout: 0,
  bos_token: '<|begin_of_text|>',
  bos_token_id: 128_000,
  eos_token: '<|end_of_text|>',
  eos_token_id: 128_001,
  hidden_act: 'silu',
  hidden_dropout: 0,
  initializer_range: 0.02,
  is_decoder: false,
  mask_token: '<|mask|>',
  mask_token_id: 128_002,
  pad_token: '<|end_of_text|>',
  pad_token_id: 128_001,
  pretraining_tp: 1,
  rms_norm_eps: 1e-5,
  rope_scaling: null,
  tie_word_embeddings: false,
};

/** What the text of a model says for itself. */
const ofText = Object.fromEntries(
  [
    ...['hidden_size', 'intermediate_size', 'num_hidden_layers', 'num_attention_heads', 'vocab_size'],
    ...['max_position_embeddings', ...Object.keys(trained)],
  ].map((key) => [key, undefined]),
);
const embeddingGemma2 = {
  ...{ model_type: 'embedding_gemma2_text', vocab_size: 262_144, hidden_size: 512, intermediate_size: 2048 },
  ...{ num_hidden_layers: 24, num_attention_heads: 4, num_key_value_heads: 2, head_dim: 256 },
  hidden_activation: 'gelu_pytorch_tanh',
  max_position_embeddings: 262_144,
  ...{ rms_norm_eps: 1e-6, pad_token_id: 0, eos_token_id: 1, bos_token_id: 2, attention_bias: false },
  ...{ attention_dropout: 0, sliding_window: 512, hidden_size_per_layer_input: 512, embedding_dim: 768 },
  rope_parameters: {
    sliding_attention: { rope_type: 'default', rope_theta: 10_000 },
    full_attention: { rope_type: 'default', rope_theta: 1_000_000 },
  },
  layer_types: Array.from({ length: 24 }, (_, i) => (i % 6 === 5 ? 'full_attention' : 'sliding_attention')),
  per_layer_config: Object.fromEntries(
    [5, 11, 17, 23].map((layer) => [layer, { head_dim: 512, num_key_value_heads: 1 }]),
  ),
};

/** ModernBertConfig of transformers 5.24. */
const modernbertWithin = {
  ...{ model_type: 'modernbert', vocab_size: 50_368, hidden_size: 768, intermediate_size: 1152 },
  ...{ num_hidden_layers: 22, num_attention_heads: 12, hidden_activation: 'gelu', local_attention: 128 },
  ...{ max_position_embeddings: 8192, initializer_range: 0.02, initializer_cutoff_factor: 2, norm_eps: 1e-5 },
  ...{
    norm_bias: false,
    pad_token_id: 50_283,
    eos_token_id: 50_282,
    bos_token_id: 50_281,
    cls_token_id: 50_281,
  },
  ...{
    sep_token_id: 50_282,
    attention_bias: false,
    attention_dropout: 0,
    embedding_dropout: 0,
    mlp_bias: false,
  },
  ...{
    mlp_dropout: 0,
    decoder_bias: true,
    classifier_pooling: 'cls',
    classifier_dropout: 0,
    classifier_bias: false,
  },
  ...{ classifier_activation: 'gelu', deterministic_flash_attn: false, sparse_prediction: false },
  sparse_pred_ignore_index: -100,
  rope_parameters: {
    full_attention: { rope_type: 'default', rope_theta: 160_000 },
    sliding_attention: { rope_type: 'default', rope_theta: 10_000 },
  },
  layer_types: Array.from({ length: 22 }, (_, i) => (i % 3 === 0 ? 'full_attention' : 'sliding_attention')),
};

const embeddingGemma = {
  ...Object.fromEntries(Object.keys(trained).map((key) => [key, undefined])),
  _sliding_window_pattern: 6,
  attention_bias: false,
  attention_dropout: 0,
  attn_logit_softcapping: null,
  bos_token_id: 2,
  dtype: 'float32',
  eos_token_id: 1,
  final_logit_softcapping: null,
  head_dim: 256,
  hidden_activation: 'gelu_pytorch_tanh',
  initializer_range: 0.02,
  layer_types: Array.from({ length: 24 }, (_, i) => (i % 6 === 5 ? 'full_attention' : 'sliding_attention')),
  num_key_value_heads: 1,
  pad_token_id: 0,
  query_pre_attn_scalar: 256,
  rms_norm_eps: 1e-6,
  rope_local_base_freq: 10_000,
  rope_scaling: null,
  rope_theta: 1_000_000,
  sliding_window: 512,
  use_bidirectional_attention: true,
  use_cache: true,
};

/** What published files say beside their sizes and what all have, and a part of what that means. */
// biome-ignore format: one checkpoint a paragraph
const PUBLISHED: ReadonlyArray<readonly [name: string, family: string, architecture: string, sizes: Sizes, says: Dict, means: Dict]> = [
  ['bert-base-uncased', 'bert', 'BertForMaskedLM', [768, 3072, 12, 12, 30_522, 512],
    { gradient_checkpointing: false, layer_norm_eps: 1e-12, pad_token_id: 0, type_vocab_size: 2 },
    { maxPositionEmbeddings: 512, typeVocabSize: 2, headDim: 64, labels: undefined }],
  ['bge-base-zh-v1.5', 'bert', 'BertModel', [768, 3072, 12, 12, 21_128, 512],
    { ...pooler, ...oneLabel, bos_token_id: 0, directionality: 'bidi', eos_token_id: 2, layer_norm_eps: 1e-12, output_past: true, pad_token_id: 0, torch_dtype: 'float32', type_vocab_size: 2 },
    { dtype: 'f32', labels: undefined }],
  ['all-roberta-large-v1', 'roberta', 'RobertaForMaskedLM', [1024, 4096, 24, 16, 50_265, 514],
    { ...xlm, output_past: undefined, gradient_checkpointing: false },
    { maxPositionEmbeddings: 512, positionTable: 514, learnedPositions: 512, layerNormEps: 1e-5 }],
  ['multilingual-e5-large', 'xlm-roberta', 'XLMRobertaModel', [1024, 4096, 24, 16, 250_002, 514],
    xlm, { maxPositionEmbeddings: 512, typeVocabSize: 1, padTokenId: 1 }],
  ['bge-reranker-v2-m3', 'xlm-roberta', 'XLMRobertaForSequenceClassification', [1024, 4096, 24, 16, 250_002, 8194],
    { ...xlm, ...oneLabel, torch_dtype: 'float32' },
    { maxPositionEmbeddings: 8192, labels: 1 }],
  ['gte-modernbert-base', 'modernbert', 'ModernBertModel', [768, 1152, 22, 12, 50_368, 8192],
    { ...modern, attention_probs_dropout_prob: undefined, hidden_act: undefined, hidden_dropout_prob: undefined },
    { headDim: 64, normBias: false, slidingWindows: Array.from({ length: 22 }, (_, i) => (i % 3 === 0 ? undefined : 64)) }],
  ['nomic-embed-text-v1.5', 'nomic_bert', 'NomicBertModel', [768, 3072, 12, 12, 30_528, 2048],
    { ...nomic, hidden_act: undefined, hidden_size: undefined, intermediate_size: undefined, num_hidden_layers: undefined, num_attention_heads: undefined, position_embedding_type: undefined },
    { maxPositionEmbeddings: 8192, headDim: 64, intermediateSize: 3072, layerNormEps: 1e-12, typeVocabSize: 2 }],
  ['all-mpnet-base-v2', 'mpnet', 'MPNetForMaskedLM', [768, 3072, 12, 12, 30_527, 514],
    { bos_token_id: 0, classifier_dropout: undefined, eos_token_id: 2, layer_norm_eps: 1e-5, pad_token_id: 1, position_embedding_type: undefined, relative_attention_num_buckets: 32, transformers_version: '4.8.2', use_cache: undefined },
    { maxPositionEmbeddings: 512, positionTable: 514, relativeBuckets: 32, typeVocabSize: 0, layerNormEps: 1e-5 }],
  ['multi-qa-distilbert-cos-v1', 'distilbert', 'DistilBertModel', [768, 3072, 6, 12, 30_522, 512],
    { ...distil, dim: 768, hidden_dim: 3072, n_heads: 12, n_layers: 6 },
    { hiddenSize: 768, intermediateSize: 3072, numHiddenLayers: 6, numAttentionHeads: 12, headDim: 64, layerNormEps: 1e-12, typeVocabSize: 0 }],
  ['ms-marco-electra-base', 'electra', 'ElectraForSequenceClassification', [768, 3072, 12, 12, 30_522, 512],
    { ...electra, ...oneLabel, embedding_size: 768, sbert_ce_default_activation_function: 'torch.nn.modules.linear.Identity' },
    { embeddingSize: 768, labels: 1, typeVocabSize: 2, maxPositionEmbeddings: 512 }],
  ['electra-small-discriminator', 'electra', 'ElectraForPreTraining', [256, 1024, 12, 4, 30_522, 512],
    { ...electra, embedding_size: 128 },
    { embeddingSize: 128, hiddenSize: 256, labels: undefined }],
  ['xlm-roberta-xl', 'xlm-roberta-xl', 'XLMRobertaXLForMaskedLM', [2560, 10_240, 36, 32, 250_880, 514],
    { ...xlm, output_past: undefined, tokenizer_class: 'XLMRobertaTokenizer', torch_dtype: 'float32' },
    { maxPositionEmbeddings: 512, headDim: 80, typeVocabSize: 1, layerNormEps: 1e-5 }],
  ['ernie-3.0-base-zh', 'ernie', 'ErnieForMaskedLM', [768, 3072, 12, 12, 40_000, 2048],
    { ...classDefaults, layer_norm_eps: 1e-5, task_type_vocab_size: 3, type_vocab_size: 4, use_task_id: true },
    { maxPositionEmbeddings: 2048, knowsTasks: true, taskTypes: 3, typeVocabSize: 4 }],
  // What the classes themselves say (transformers 5.24).
  ['CamembertConfig', 'camembert', 'CamembertModel', [768, 3072, 12, 12, 30_522, 512],
    { ...classDefaults, bos_token_id: 0, eos_token_id: 2, layer_norm_eps: 1e-12, pad_token_id: 1, type_vocab_size: 2 },
    { maxPositionEmbeddings: 510, padTokenId: 1, typeVocabSize: 2 }],
  ['RobertaPreLayerNormConfig', 'roberta-prelayernorm', 'RobertaPreLayerNormModel', [768, 3072, 12, 12, 50_265, 512],
    { ...classDefaults, bos_token_id: 0, eos_token_id: 2, layer_norm_eps: 1e-12, pad_token_id: 1, type_vocab_size: 2 },
    { maxPositionEmbeddings: 510, padTokenId: 1, layerNormEps: 1e-12 }],
  ['Data2VecTextConfig', 'data2vec-text', 'Data2VecTextModel', [768, 3072, 12, 12, 30_522, 512],
    { ...classDefaults, bos_token_id: 0, eos_token_id: 2, layer_norm_eps: 1e-12, pad_token_id: 1, type_vocab_size: 2 },
    { maxPositionEmbeddings: 510, padTokenId: 1 }],
  ['MegatronBertConfig', 'megatron-bert', 'MegatronBertModel', [1024, 4096, 24, 16, 29_056, 512],
    { ...classDefaults, layer_norm_eps: 1e-12, pad_token_id: 0, type_vocab_size: 2 },
    { maxPositionEmbeddings: 512, headDim: 64, typeVocabSize: 2 }],
  ['RemBertConfig', 'rembert', 'RemBertModel', [1152, 4608, 32, 18, 250_300, 512],
    { ...classDefaults, classifier_dropout_prob: 0.1, input_embedding_size: 256, output_embedding_size: 1664, layer_norm_eps: 1e-12, pad_token_id: 0, bos_token_id: 312, eos_token_id: 313, tie_word_embeddings: false, type_vocab_size: 2 },
    { maxPositionEmbeddings: 512, headDim: 64, embeddingSize: 256 }],
  ['AlbertConfig', 'albert', 'AlbertModel', [4096, 16_384, 12, 64, 30_000, 512],
    { ...classDefaults, classifier_dropout_prob: 0.1, embedding_size: 128, hidden_act: 'gelu_new', inner_group_num: 1, num_hidden_groups: 1, layer_norm_eps: 1e-12, pad_token_id: 0, bos_token_id: 2, eos_token_id: 3, type_vocab_size: 2 },
    { maxPositionEmbeddings: 512, headDim: 64, embeddingSize: 128, groups: 1, hiddenAct: 'gelu_tanh' }],
  // What the class itself says (JinaEmbeddingsV3Config).
  ['JinaEmbeddingsV3Config', 'jina_embeddings_v3', 'JinaEmbeddingsV3Model', [1024, 4096, 24, 16, 250_002, 8194],
    { ...xlm, ...classDefaults, output_past: undefined, rope_parameters: { rope_theta: 20_000, rope_type: 'default' } },
    { maxPositionEmbeddings: 8194, headDim: 64, typeVocabSize: 1 }],
  ['embeddinggemma-300m', 'gemma3_text', 'Gemma3TextModel', [768, 1152, 24, 3, 262_144, 2048],
    embeddingGemma,
    { isCausal: false, headDim: 256, numKeyValueHeads: 1, dtype: 'f32', slidingWindows: Array.from({ length: 24 }, (_, i) => (i % 6 === 5 ? undefined : 256)) }],
  ['EmbeddingGemma 2, the defaults of its classes', 'embedding_gemma2', 'EmbeddingGemma2Model', [512, 2048, 24, 4, 262_144, 262_144],
    { ...ofText, text_config: embeddingGemma2, vision_config: { model_type: 'gemma4_vision' }, audio_config: { model_type: 'gemma4_audio' }, initializer_range: 0.02, image_token_id: 258_880, video_token_id: 258_884,
      audio_token_id: 258_881, boi_token_id: 255_999, eoi_token_id: 258_882, boa_token_id: 256_000, eoa_token_index: 258_883 },
    { isCausal: false, headDim: 256, numKeyValueHeads: 2, globalHeadDim: 512, globalKeyValueHeads: 1, hiddenSize: 512, encodedSize: 768, slidingWindows: Array.from({ length: 24 }, (_, i) => (i % 6 === 5 ? undefined : 512)) }],
  ['ModernVBERT, the defaults of its classes', 'modernvbert', 'ModernVBertForMaskedLM', [768, 1152, 22, 12, 50_368, 8192],
    { ...ofText, text_config: modernbertWithin, vision_config: { model_type: 'siglip_vision_model' }, image_token_id: 50_407, pixel_shuffle_factor: 4, initializer_range: 0.02, initializer_cutoff_factor: 2, classifier_pooling: 'cls', classifier_dropout: 0, classifier_bias: false, tie_word_embeddings: false },
    { headDim: 64, hiddenSize: 768, labels: undefined, slidingWindows: Array.from({ length: 22 }, (_, i) => (i % 3 === 0 ? undefined : 64)) }],
  ['bigbird-roberta-base, the defaults of its class', 'big_bird', 'BigBirdForPreTraining', [768, 3072, 12, 12, 50_358, 4096],
    { classifier_dropout: null, hidden_act: 'gelu_new', layer_norm_eps: 1e-12, pad_token_id: 0, bos_token_id: 1, eos_token_id: 2, sep_token_id: 66, attention_type: 'block_sparse', use_bias: true, rescale_embeddings: false, block_size: 64, num_random_blocks: 3, type_vocab_size: 2 },
    { hiddenAct: 'gelu_tanh', qkvBias: true, positionTable: 4096, maxPositionEmbeddings: 704 }],
  ['esm2_t33_650M_UR50D', 'esm', 'EsmForMaskedLM', [1280, 5120, 33, 20, 33, 1026],
    { ...Object.fromEntries(Object.keys(trained).map((key) => [key, undefined])), attention_probs_dropout_prob: 0, hidden_dropout_prob: 0, classifier_dropout: null, emb_layer_norm_before: false, esmfold_config: null, hidden_act: 'gelu', initializer_range: 0.02, is_folding_model: false,
      layer_norm_eps: 1e-5, mask_token_id: 32, pad_token_id: 1, position_embedding_type: 'rotary', token_dropout: true, torch_dtype: 'float32', use_cache: true, vocab_list: null },
    { positionKind: 'rotary', headDim: 64, maxPositionEmbeddings: 1026, maskTokenId: 32, dropsMasks: true, normsEmbedding: false, dtype: 'f32' }],
  ['UltraBERT, the sizes of its class, with windows and bases by layer', 'ultrabert', 'UltrabertForMaskedLM', [4096, 11_008, 32, 32, 32_000, 32_768],
    { ...Object.fromEntries(Object.keys(trained).map((key) => [key, undefined])), hidden_act: 'silu', initializer_range: 0.02, rms_norm_eps: 1e-6, attention_bias: false, attention_dropout: 0, mlp_bias: false, classifier_dropout: 0, classifier_pooling: 'cls', prediction_head_size: 768,
      pad_token_id: 0, bos_token_id: 0, eos_token_id: 0, tie_word_embeddings: false, attention_windows: Array.from({ length: 32 }, (_, i) => (i % 3 === 2 ? 0 : 128)), rope_theta: Array.from({ length: 32 }, (_, i) => (i % 3 === 2 ? 2_560_000 : 10_000)) },
    { headDim: 128, isCausal: false, slidingWindows: Array.from({ length: 32 }, (_, i) => (i % 3 === 2 ? undefined : 128)) }],
  ['EuroBERT-2.1B', 'eurobert', 'EuroBertForMaskedLM', [2304, 6144, 32, 18, 128_256, 8192],
    { ...eurobert, num_key_value_heads: 6, rope_theta: 250_000, torch_dtype: 'bfloat16' },
    { headDim: 128, numKeyValueHeads: 6, isCausal: false, classifierPooling: 'late', rmsNormEps: 1e-5 }],
  ['deberta-v3-base', 'deberta-v2', 'DebertaV2Model', [768, 3072, 12, 12, 128_100, 512],
    { ...deberta, pos_att_type: 'p2c|c2p', pooler_dropout: undefined, pooler_hidden_act: undefined, pooler_hidden_size: undefined },
    { distanceTerms: ['c2p', 'p2c'], distanceBuckets: { buckets: 256, farthest: 512 }, sharesProjections: true, distanceNorm: 'layer_norm', positionTable: 0, scoreScale: 1 / Math.sqrt(3 * 64), labels: undefined }],
  ['mxbai-rerank-base-v1', 'deberta-v2', 'DebertaV2ForSequenceClassification', [768, 3072, 12, 12, 128_100, 512],
    { ...deberta, ...oneLabel, torch_dtype: 'float16' },
    { labels: 1, poolerAct: 'gelu', maxPositionEmbeddings: 512, learnedPositions: Number.POSITIVE_INFINITY, dtype: 'f16' }],
  // As PaddleNLP quotes a model of the second generation that has a convolution.
  ['a DeBERTa-v2 with a convolution', 'deberta-v2', 'DebertaV2Model', [1024, 4096, 24, 16, 50_265, 512],
    { ...deberta, pos_att_type: 'c2p|p2c', pooler_dropout: undefined, pooler_hidden_act: undefined, pooler_hidden_size: undefined, conv_kernel_size: 3, conv_act: 'gelu', attention_head_size: 64 },
    { convTaps: 3, convAct: 'gelu' }],
  // As code that reads it quotes its config.json.
  ['deberta-large', 'deberta', 'DebertaModel', [1024, 4096, 24, 16, 50_265, 512],
    { ...deberta, norm_rel_ebd: undefined, position_buckets: undefined, share_att_key: undefined, pad_token_id: undefined, pos_att_type: 'c2p|p2c', pooler_dropout: undefined, pooler_hidden_act: undefined, pooler_hidden_size: undefined },
    { distanceTerms: ['c2p', 'p2c'], distanceBuckets: { buckets: 0, farthest: 512 }, sharesProjections: false, keyBias: false, positionTable: 0, scoreScale: 1 / Math.sqrt(3 * 64) }],
  // As PaddleNLP quotes it.
  ['mobilebert-uncased', 'mobilebert', 'MobileBertForPreTraining', [512, 512, 24, 4, 30_522, 512],
    { classifier_activation: false, classifier_dropout: undefined, embedding_size: 128, hidden_act: 'relu', hidden_dropout_prob: 0, intra_bottleneck_size: 128, key_query_shared_bottleneck: true, layer_norm_eps: 1e-12, normalization_type: 'no_norm', num_feedforward_networks: 4, pad_token_id: 0, trigram_input: true,
      true_hidden_size: 128, type_vocab_size: 2, use_bottleneck: true, use_bottleneck_attention: false, position_embedding_type: undefined, use_cache: undefined },
    { headDim: 32, narrowSize: 128, feedForwards: 4, embeddingSize: 128, hasPooler: false }],
  // As those who load it print its config.json.
  ['longformer-base-4096', 'longformer', 'LongformerModel', [768, 3072, 12, 12, 50_265, 4098],
    { attention_mode: 'longformer', attention_window: Array(12).fill(512), bos_token_id: 0, classifier_dropout: undefined, eos_token_id: 2, gradient_checkpointing: false, ignore_attention_mask: false, layer_norm_eps: 1e-5, pad_token_id: 1, sep_token_id: 2, type_vocab_size: 1, position_embedding_type: undefined },
    { slidingWindows: Array(12).fill(256), maxPositionEmbeddings: 4096 }],
  // Defaults of their classes.
  ['RoFormer, the sizes of its class', 'roformer', 'RoFormerModel', [768, 3072, 12, 12, 50_000, 1536],
    { embedding_size: 768, rotary_value: false, layer_norm_eps: 1e-12, pad_token_id: 0, type_vocab_size: 2, position_embedding_type: undefined },
    { embeddingSize: 768, maxPositionEmbeddings: 1536 }],
  ['LUKE, the sizes of its class', 'luke', 'LukeModel', [768, 3072, 12, 12, 50_267, 512],
    { entity_vocab_size: 500_000, entity_emb_size: 256, use_entity_aware_attention: true, layer_norm_eps: 1e-12, pad_token_id: 1, bos_token_id: 0, eos_token_id: 2, type_vocab_size: 2 },
    { maxPositionEmbeddings: 510 }],
  ['DPR, the sizes of its class', 'dpr', 'DPRContextEncoder', [768, 3072, 12, 12, 30_522, 512],
    { projection_dim: 0, layer_norm_eps: 1e-12, pad_token_id: 0, type_vocab_size: 2 },
    { maxPositionEmbeddings: 512 }],
];

function routerOf(family: string, architecture: string, sizes: Sizes, says: Dict) {
  const [hidden_size, intermediate_size, num_hidden_layers, num_attention_heads, vocab_size, positions] =
    sizes;
  const dict = {
    ...trained,
    model_type: family,
    architectures: [architecture],
    hidden_size,
    intermediate_size,
    num_hidden_layers,
    num_attention_heads,
    vocab_size,
    max_position_embeddings: positions,
    ...says,
  };
  return new (getRouter(family))('', JSON.parse(JSON.stringify(dict)));
}

describe('published encoders', () => {
  before(() => loadModels());

  for (const [name, family, architecture, sizes, says, means] of PUBLISHED) {
    it(`are read and build a legal graph without cache: ${name}`, () => {
      const router = routerOf(family, architecture, sizes, says);
      expect(router.config).to.deep.include(means);
      expect(router.config.unreadKeys).to.deep.equal([]);
      const model = router.createModel(declaredWeights('bf16'));
      expect(model.graphKinds).to.deep.equal([ENCODE]);
      expect(model.caches()).to.deep.equal([]);
      const step = { batch: 2, tokens: 300, blockSize: 128 };
      expect(specProblems(model.buildGraph(ENCODE), inputDescs(model, ENCODE, 'bf16', step))).to.deep.equal(
        [],
      );
    });
  }

  it('embed or rank as their architecture says, and refuse the other', () => {
    for (const [, family, architecture, sizes, says] of PUBLISHED) {
      const router = routerOf(family, architecture, sizes, says);
      const ranks = architecture.endsWith('ForSequenceClassification');
      const make = (use: 'embed' | 'rank') => router.createModel(declaredWeights('bf16'), router.config, use);
      expect(make(ranks ? 'rank' : 'embed').graphKinds).to.deep.equal([ENCODE]);
      // Decoders may be asked in words.
      if (family === 'gemma3_text') continue;
      expect(() => make(ranks ? 'embed' : 'rank')).to.throw(/MODEL_USE_UNSUPPORTED: .*cannot be used to/);
    }
  });

  const SMALL: Sizes = [64, 128, 2, 4, 100, 64];
  // biome-ignore format: one branch a line
  const REFUSED: ReadonlyArray<readonly [family: string, says: Dict, problem: RegExp]> = [
    ['bert', { is_decoder: true }, /is_decoder must be false: .*found true/],
    ['bert', { position_embedding_type: 'relative_key' }, /position_embedding_type must be absolute: .*"relative_key"/],
    ['bert', { add_cross_attention: true }, /add_cross_attention: adds an encoder/],
    ['mpnet', { relative_attention_num_buckets: 16 }, /relative_attention_num_buckets must be an integer from 32/],
    ['albert', { inner_group_num: 2 }, /inner_group_num must be 1: .*found 2/],
    ['electra', { is_decoder: true }, /is_decoder must be false: .*found true/],
    ['deberta-v2', { conv_kernel_size: 2, conv_groups: 2 }, /conv_kernel_size must be odd or 0, found 2.*conv_groups must be 1/],
    ['deberta', { talking_head: true }, /talking_head must be false/],
    ['mobilebert', { intra_bottleneck_size: 30, use_bottleneck_attention: true }, /use_bottleneck_attention must be false/],
    ['longformer', { attention_window: [16, 15] }, /attention_window must be of even numbers, found 15/],
    ['longformer', { architectures: ['LongformerForSequenceClassification'] }, /the global attention of classifiers is not built/],
    ['roformer', { rotary_value: true }, /rotary_value must be false/],
    ['dpr', { projection_dim: 128 }, /projection_dim must be 0/],
    ['deberta-v2', { pos_att_type: 'p2c|p2p' }, /pos_att_type must be a list of c2p and p2c/],
    ['deberta-v2', { attention_head_size: 24 }, /attention_head_size must be 16: .*found 24/],
    ['deberta-v2', { pooler_hidden_size: 32 }, /pooler_hidden_size must be 64: .*found 32/],
    ['distilbert', { dim: 32 }, /dim and hidden_size contradict each other: 32 and 64/],
    ['xlm-roberta', { pad_token_id: 63 }, /max_position_embeddings \(64\) leaves no position behind pad_token_id/],
    ['new', { position_embedding_type: 'rope', logn_attention_scale: true }, /logn_attention_scale must be false/],
    ['new', { position_embedding_type: 'rope', layer_norm_type: 'rms_norm' }, /layer_norm_type must be layer_norm/],
    ['new', { position_embedding_type: 'rope', pack_qkv: false }, /pack_qkv must be true/],
    ['new', { position_embedding_type: 'rope', rope_scaling: { type: 'ntk', factor: 2, mixed_b: 0.5 } }, /mixed_b/],
    ['esm', { is_folding_model: true }, /is_folding_model must be false: .*found true/],
    ['big_bird', { rescale_embeddings: true }, /rescale_embeddings must be false: .*found true/],
    ['ultrabert', { attention_windows: [8, 16] }, /attention_windows must be the same in all layers that have one, found 8,16/],
    ['new', { position_embedding_type: 'absolute' }, /position_embedding_type must be rope/],
  ];
  for (const [family, says, problem] of REFUSED) {
    it(`are refused by name where a branch is not built: ${family} ${JSON.stringify(says)}`, () => {
      const router = routerOf(family, 'BertModel', SMALL, says);
      expect(() => router.config)
        .to.throw(problem)
        .with.property('code', 'CONFIG_INVALID');
    });
  }

  it('scale frequencies of type ntk as the remote code of gte does, whatever the length', () => {
    const says = {
      position_embedding_type: 'rope',
      rope_theta: 500_000,
      rope_scaling: { type: 'ntk', factor: 2 },
    };
    const { rope } = routerOf('new', 'NewModel', SMALL, says).config;
    expect(rope).to.deep.include({ theta: 1_000_000, scaling: { type: 'linear', factor: 2 ** (2 / 16) } });
  });

  it('decoders whose tokens all see each other have no other graph', () => {
    const says = {
      is_causal: false,
      rms_norm_eps: 1e-6,
      rope_theta: 10_000,
      hidden_act: 'silu',
      position_embedding_type: undefined,
    };
    const router = routerOf('qwen2', 'Qwen2Model', SMALL, { ...says, num_key_value_heads: 2 });
    expect(router.createModel(declaredWeights('bf16')).graphKinds).to.deep.equal([ENCODE]);
    const windows = {
      use_sliding_window: true,
      sliding_window: 8,
      max_window_layers: 0,
      num_key_value_heads: 2,
    };
    const sliding = routerOf('qwen2', 'Qwen2Model', SMALL, { ...says, ...windows });
    const model = sliding.createModel(declaredWeights('bf16'));
    expect(model.buildGraph(ENCODE).inputs).to.include('sliding_attention_mask');
  });
});
