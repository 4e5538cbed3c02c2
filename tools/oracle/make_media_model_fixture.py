#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a case of test/fixtures/media-models: what transformers computes with a small random checkpoint that sees or hears.

    make_media_model_fixture.py FAMILY OUT        # FAMILY: one of CASES

Needs torchvision beside tools/oracle/requirements.txt, and timm for perception_lm. Pictures and sound are those of make_media_fixtures. OUT
gets config.json, preprocessor_config.json, perhaps video_preprocessor_config.json, weights.json (the recipe of the weights) and

    reference.safetensors    for each prompt i
        i/tokens         int64 [T]     ids, placeholders expanded
        i/media          int64 [N, 5]  of each picture, video or sound: frames (0: a picture, -1: sound), width or samples,
                                       height or rate, seed, its first token
        i/positions      int64 [3, T]  in time, height and width, or as many axes as a model has; absent where they are those of text
        i/encoded_rows   int64 [E]     the rows of what the encoder gives that follow
        i/encoded        f32 [E, width]
        i/rows, i/logits, i/logits_bf16, i/greedy, i/greedy_margin   as make_family_fixture.py has them
"""

import json
import pathlib
import sys

import numpy
import torch
import transformers
from PIL import Image
from safetensors.torch import save_file
from transformers import (CONFIG_MAPPING, AudioFlamingo3ForConditionalGeneration, AutoModelForImageTextToText, GlmAsrForConditionalGeneration, GraniteSpeechForConditionalGeneration, GraniteSpeechPlusForConditionalGeneration, Qwen2_5OmniThinkerForConditionalGeneration, Qwen2AudioForConditionalGeneration, Qwen3OmniMoeThinkerForConditionalGeneration,
                          Qwen3ASRForConditionalGeneration, VoxtralForConditionalGeneration)
from transformers.modeling_outputs import MoeCausalLMOutputWithPast
from transformers.models.mllama.processing_mllama import convert_sparse_cross_attention_mask_to_dense, get_cross_attention_token_mask

from make_family_fixture import LARGEST, NEW_TOKENS, SEED, rounded, rows_of
from make_media_fixtures import (bounded_processor, canvas_processor, covering_processor, fitting_processor, paddle_processor,
                                 mllama_processor, page_processor, picture, sound, tiling_processor)
from make_sound_fixtures import heard, heard_by_magnitude, heard_in_pairs, mel_of_wave, pairing_extractor
from recording import random_prompt
from reference import check
from remote_media import MEDIA_FAMILIES
from seeded_weights import recipe_weights
from tiny_checkpoint import draw, put, rounded as rounded_number, save_recipe, saved, write_recipe

VOCAB = 131
IMAGE, VIDEO, START, END = 120, 121, 122, 123
VIDEO_START, VIDEO_END = 118, 119
# What stands for a picture in texts, and what parts its squares.
WHOLE, BESIDE, BELOW, UNDER = 121, 124, 125, 126
TEXT = dict(vocab_size=VOCAB, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=256, bos_token_id=1, eos_token_id=2)
MROPE = dict(rope_parameters=dict(rope_type="default", rope_theta=10000.0, mrope_section=[2, 3, 3]))
IDS = dict(image_token_id=IMAGE, video_token_id=VIDEO, vision_start_token_id=START, vision_end_token_id=END)
SIZE = {"shortest_edge": 3136, "longest_edge": 12544}
# Of pictures whose patches are tokens, and of all frames of a video.
CHANGING_SIZE = {"shortest_edge": 1568, "longest_edge": 5488}
CHANGING_FRAMES = {"shortest_edge": 1568, "longest_edge": 12544}

CASES = {
    "qwen2_vl": dict(
        config=dict(text_config=TEXT | MROPE, tie_word_embeddings=False, **IDS,
                    vision_config=dict(depth=2, embed_dim=64, hidden_size=64, num_heads=4, mlp_ratio=2)),
        merge=2, patch=14),
    # Windows of 2 x 2 blocks, ragged at the edges; a second has 2 positions, so that 5.24 and 4 agree on videos.
    "qwen2_5_vl": dict(
        config=dict(text_config=TEXT | MROPE, tie_word_embeddings=False, **IDS,
                    vision_config=dict(depth=3, hidden_size=64, intermediate_size=88, num_heads=4, out_hidden_size=64,
                                       window_size=56, fullatt_block_indexes=[1], tokens_per_second=2)),
        # With which no placeholder is generated: transformers would look for its picture.
        seed=2, merge=2, patch=14),
}

# The same tower with fewer heads of keys; tokens of pictures have positions of text. Layers without a window know none.
CASES["exaone4_5"] = dict(
    config=dict(text_config=TEXT | dict(model_type="exaone4", head_dim=16, sliding_window=12, sliding_window_pattern=3,
                                        layer_types=["sliding_attention", "sliding_attention", "full_attention"],
                                        rope_parameters=dict(rope_type="default", rope_theta=10000.0)),
                tie_word_embeddings=False, **IDS,
                vision_config=dict(depth=3, hidden_size=64, intermediate_size=88, num_heads=4, num_key_value_heads=2, out_hidden_size=64,
                                   window_size=56, fullatt_block_indexes=[1])),
    seed=5, merge=2, patch=14)
CASES["exaone4_5-full"] = CASES["exaone4_5"] | dict(
    config=CASES["exaone4_5"]["config"] | dict(
        text_config=TEXT | dict(model_type="exaone4", head_dim=16, sliding_window=None, tie_word_embeddings=True,
                                layer_types=["full_attention"] * 3, rope_parameters=dict(rope_type="default", rope_theta=10000.0)),
        tie_word_embeddings=True,
        vision_config=CASES["exaone4_5"]["config"]["vision_config"] | dict(num_key_value_heads=1, fullatt_block_indexes=[0, 2])),
    seed=1)

CASES["qwen3_vl"] = dict(
    config=dict(text_config=TEXT | dict(head_dim=16, rope_parameters=dict(rope_type="default", rope_theta=10000.0,
                                        mrope_section=[4, 2, 2], mrope_interleaved=True)),
                tie_word_embeddings=False, **IDS,
                vision_config=dict(depth=3, hidden_size=64, intermediate_size=96, num_heads=4, out_hidden_size=64,
                                   patch_size=16, num_position_embeddings=36, deepstack_visual_indexes=[0, 1])),
    seed=1, merge=2, patch=16, frames={"shortest_edge": 3136, "longest_edge": 50176}, timed="words",
    processor=dict(image_mean=[0.5] * 3, image_std=[0.5] * 3))
# The middle layer has no experts.
CASES["qwen3_vl_moe"] = CASES["qwen3_vl"] | dict(
    config=CASES["qwen3_vl"]["config"] | dict(
        text_config=CASES["qwen3_vl"]["config"]["text_config"] | dict(
            num_experts=6, num_experts_per_tok=2, moe_intermediate_size=48, mlp_only_layers=[1])),
    # With which rounding to bfloat16 leaves each token its experts.
    seed=4)
# Half of the layers have linear attention; the tower gives no vectors to layers of text.
HYBRID = dict(head_dim=32, layer_types=["linear_attention", "full_attention", "linear_attention"],
              linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=64, linear_value_head_dim=32,
              rope_parameters=dict(rope_type="default", rope_theta=10000.0, mrope_section=[2, 1, 1], mrope_interleaved=True,
                                   partial_rotary_factor=0.25))
TOWER = {key: value for key, value in CASES["qwen3_vl"]["config"]["vision_config"].items() if key != "deepstack_visual_indexes"}
CASES["qwen3_5"] = CASES["qwen3_vl"] | dict(
    config=CASES["qwen3_vl"]["config"] | dict(text_config=TEXT | HYBRID, vision_config=TOWER),
    # With which rounding to bfloat16 moves logits little: heads whose queries and keys are nearly at right angles give
    # something small, which their norm makes large.
    seed=3)
# Each token has all experts: choices that rounding changes move logits more than all else.
CASES["qwen3_5_moe"] = CASES["qwen3_5"] | dict(
    config=CASES["qwen3_5"]["config"] | dict(
        text_config={key: value for key, value in (TEXT | HYBRID).items() if key != "intermediate_size"}
        | dict(num_hidden_layers=2, layer_types=["linear_attention", "full_attention"], num_experts=4, num_experts_per_tok=4, moe_intermediate_size=32,
                                         shared_expert_intermediate_size=48)),
    seed=4)
# The same tower beside text in several streams, which take of n-grams; an indexer chooses all keys of such short prompts.
CASES["qwen4_exp"] = CASES["qwen3_5_moe"] | dict(
    config=CASES["qwen3_5_moe"]["config"] | dict(
        text_config=CASES["qwen3_5_moe"]["config"]["text_config"] | dict(
            hc_count=2, hc_lowrank=16, output_gate_type="sigmoid", ple_layer_ids=[1], ple_embed_dim=32, ngram_size=3, heads_per_ngram=2,
            ngram_vocab_size_base=29, make_ngram_vocab_size_divisible_by=8, split_ngram_parts=2, indexer_n_heads=2, indexer_kv_heads=1,
            indexer_head_dim=8, indexer_budget=256, indexer_compress_ratio=4)))
# Half of each head turns; pictures are pairs of frames, whose pixels count twice. Rows of videos have the token of pictures.
CASES["glm4v"] = dict(
    config=dict(text_config=TEXT | dict(rope_parameters=dict(rope_type="default", rope_theta=10000.0, mrope_section=[2, 1, 1],
                                                             partial_rotary_factor=0.5)),
                tie_word_embeddings=False, image_token_id=IMAGE, video_token_id=VIDEO, image_start_token_id=START,
                image_end_token_id=END, video_start_token_id=VIDEO_START, video_end_token_id=VIDEO_END,
                vision_config=dict(depth=2, hidden_size=64, intermediate_size=88, num_heads=4, out_hidden_size=64, image_size=56)),
    # With which no placeholder is generated, and rounding to bfloat16 moves logits least: torch's own moves them more.
    seed=10, merge=2, patch=14, frames={"shortest_edge": 6272, "longest_edge": 37632}, timed="seconds")
# The first layer has no experts; half of each head turns by halves. Each token has all experts, as above.
GLM_EXPERTS = CASES["glm4v"]["config"]["text_config"] | dict(
    num_hidden_layers=2, head_dim=16, n_routed_experts=4, num_experts_per_tok=4, moe_intermediate_size=32, n_shared_experts=1, routed_scaling_factor=1.5)
CASES["glm4v_moe"] = CASES["glm4v"] | dict(config=CASES["glm4v"]["config"] | dict(text_config=GLM_EXPERTS), seed=5)
# Layers of experts alone, whose weights do not sum to one; no biases.
CASES["glm4v_moe-plain"] = CASES["glm4v_moe"] | dict(
    config=CASES["glm4v_moe"]["config"] | dict(
        tie_word_embeddings=True,
        text_config=GLM_EXPERTS | dict(first_k_dense_replace=0, norm_topk_prob=False, attention_bias=False, n_shared_experts=2,
                                       tie_word_embeddings=True)),
    seed=1)
# Times of frames to tenths of a second.
CASES["glm46v"] = CASES["glm4v"] | dict(
    config=CASES["glm4v"]["config"] | dict(text_config=CASES["glm4v"]["config"]["text_config"] | dict(model_type="glm4v_text")),
    timed="tenths", seed=17)
CASES["glm46v-experts"] = CASES["glm46v"] | dict(
    config=CASES["glm46v"]["config"] | dict(text_config=GLM_EXPERTS | dict(
        model_type="glm4v_moe_text", n_shared_experts=2, attention_bias=False)), seed=1)
# Rotary positions alone; heads of text turn wholly. A layer behind the last, of which nothing is in the reference, is no tensor.
CASES["glm_ocr"] = CASES["glm4v"] | dict(
    config=CASES["glm4v"]["config"] | dict(
        text_config=TEXT | dict(head_dim=16, rope_parameters=dict(rope_type="default", rope_theta=10000.0, mrope_section=[2, 3, 3],
                                                                  partial_rotary_factor=1.0)),
        vision_config=dict(depth=2, hidden_size=64, intermediate_size=88, num_heads=4, out_hidden_size=64)),
    timed="tenths", seed=1)
# Without biases, heads of which half turns, frames of videos with whole seconds as other files have them.
CASES["glm_ocr-plain"] = CASES["glm_ocr"] | dict(
    config=CASES["glm_ocr"]["config"] | dict(
        tie_word_embeddings=True, text_config=CASES["glm4v"]["config"]["text_config"] | dict(tie_word_embeddings=True),
        vision_config=CASES["glm_ocr"]["config"]["vision_config"] | dict(attention_bias=False, depth=1, out_hidden_size=64)), seed=4)
CASES["qwen2_audio"] = dict(
    config=dict(text_config=TEXT | dict(model_type="qwen2", rope_theta=10000.0), audio_token_index=IMAGE,
                audio_config=dict(d_model=64, encoder_layers=2, encoder_attention_heads=4, encoder_ffn_dim=96,
                                  num_mel_bins=32)),
    seed=2)

# Stretches of 48 frames, of which four rows become a token; of 28, of which two do.
CASES["voxtral"] = dict(
    config=dict(text_config=TEXT | dict(model_type="llama", head_dim=16, rope_theta=10000.0), audio_token_id=IMAGE,
                audio_config=dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
                                  num_mel_bins=32, max_source_positions=24)),
    seed=4)
CASES["voxtral-pairs"] = dict(
    config=CASES["voxtral"]["config"] | dict(
        text_config=CASES["voxtral"]["config"]["text_config"] | dict(num_hidden_layers=2, attention_bias=True, mlp_bias=True),
        audio_config=dict(hidden_size=64, num_hidden_layers=1, num_attention_heads=2, intermediate_size=128,
                          num_mel_bins=20, max_source_positions=14)),
    seed=2)

# Whisper's encoder with heads half of which turn; four rows a token.
CASES["glmasr"] = dict(
    config=dict(text_config=TEXT | dict(model_type="llama", head_dim=16, rope_theta=10000.0), audio_token_id=IMAGE,
                audio_config=dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=128,
                                  num_mel_bins=32, max_position_embeddings=48)),
    seed=2)
# Heads of keys that queries share, a quarter of which turns, by another base; not tied.
CASES["glmasr-shared"] = dict(
    config=CASES["glmasr"]["config"] | dict(
        tie_word_embeddings=False, projector_hidden_act="relu",
        text_config=TEXT | dict(model_type="llama", head_dim=16, rope_theta=10000.0, num_hidden_layers=2),
        audio_config=dict(hidden_size=64, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2,
                          intermediate_size=256, num_mel_bins=20, max_position_embeddings=64, hidden_act="silu",
                          rope_parameters=dict(rope_type="default", rope_theta=500.0, partial_rotary_factor=0.25))),
    seed=2)

# Blocks and windows at whose ends a sound's rows are fewer; queries that see rows in every other layer; an odd number of taps.
GRANITE = TEXT | dict(model_type="granite", num_hidden_layers=2, rope_theta=10000.0, embedding_multiplier=3.0, attention_multiplier=0.2,
                      residual_multiplier=0.7, logits_scaling=4.0, tie_word_embeddings=True)
CASES["granite_speech"] = dict(
    config=dict(text_config=GRANITE, audio_token_index=IMAGE, has_lora_adapter=False, window_size=6, downsample_rate=3,
                encoder_config=dict(input_dim=32, num_layers=2, hidden_dim=32, num_heads=4, output_dim=9, context_size=8,
                                    max_pos_emb=11, conv_kernel_size=5, feedforward_mult=2),
                projector_config=dict(model_type="blip_2_qformer", hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
                                      intermediate_size=48, encoder_hidden_size=32)),
    speech=True, seed=1)
# Queries that see what the first layer reads and gives, too; heads that are wider than rows; an even number of taps; not tied; an adapter.
CASES["granite_speech_plus"] = dict(
    config=dict(text_config=GRANITE | dict(tie_word_embeddings=False, attention_bias=True, mlp_bias=True), tie_word_embeddings=False,
                audio_token_index=IMAGE, has_lora_adapter=True, window_size=5, downsample_rate=5,
                encoder_config=dict(model_type="granite_speech_plus_encoder", input_dim=20, num_layers=2, hidden_dim=24, num_heads=3, dim_head=16, output_dim=7, context_size=12, max_pos_emb=12,
                                    conv_kernel_size=4, conv_expansion_factor=1, cat_hidden_layers=[1, 0]),
                projector_config=dict(model_type="blip_2_qformer", hidden_size=32, num_hidden_layers=1, num_attention_heads=4,
                                      intermediate_size=40, encoder_hidden_size=72, hidden_act="relu", cross_attention_frequency=1,
                                      layer_norm_eps=1e-3)),
    adapter=dict(peft_type="LORA", r=4, lora_alpha=6, target_modules=["v_proj", "q_proj"], bias="none"), speech=True, seed=1)

# Stretches of a second, two of which see each other; the last holds fewer frames. Tied, as files of transformers have it.
CASES["qwen3_asr"] = dict(
    config=dict(text_config=TEXT | dict(model_type="qwen3", head_dim=16, rope_theta=10000.0), audio_token_id=IMAGE, tie_word_embeddings=True,
                eos_token_id=2, pad_token_id=0,
                audio_config=dict(d_model=64, encoder_layers=2, encoder_attention_heads=4, encoder_ffn_dim=96, num_mel_bins=12,
                                  downsample_hidden_size=16, output_dim=64, n_window=50, n_window_infer=200)),
    seed=1)
# With the names and the config.json of published files, of which 5.24 reads neither.
CASES["qwen3_asr-thinker"] = dict(
    config=CASES["qwen3_asr"]["config"] | dict(
        tie_word_embeddings=False,
        audio_config=dict(d_model=32, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=48, num_mel_bins=9,
                          downsample_hidden_size=8, output_dim=64, n_window=52, n_window_infer=150)),
    thinker=[("thinker.model.", "model.language_model."), ("thinker.audio_tower.proj", "model.multi_modal_projector.linear_"),
             ("thinker.audio_tower.", "model.audio_tower."), ("thinker.", "")],
    seed=1)

# Sound in windows of 40 frames beside pictures and frames; with the names and the config.json of published files.
AUDIO, AUDIO_START, AUDIO_END = 117, 116, 115
OMNI_TOWER = {key: value for key, value in CASES["qwen2_5_vl"]["config"]["vision_config"].items() if key != "tokens_per_second"}
CASES["qwen2_5_omni"] = dict(
    config=dict(text_config=TEXT | MROPE, tie_word_embeddings=False, image_token_index=IMAGE, video_token_index=VIDEO,
                audio_token_index=AUDIO, vision_start_token_id=START, vision_end_token_id=END, audio_start_token_id=AUDIO_START,
                audio_end_token_id=AUDIO_END, position_id_per_seconds=2, vision_config=OMNI_TOWER,
                audio_config=dict(d_model=64, encoder_layers=2, encoder_attention_heads=4, encoder_ffn_dim=96, num_mel_bins=32,
                                  output_dim=64, n_window=20)),
    model_type="qwen2_5_omni_thinker", thinker=[("thinker.", "")],
    # With which nothing is generated that begins a picture or a sound.
    seed=2, merge=2, patch=14)
# The thinker alone, whose text is tied; wider windows.
CASES["qwen2_5_omni-alone"] = CASES["qwen2_5_omni"] | dict(
    config=CASES["qwen2_5_omni"]["config"] | dict(
        tie_word_embeddings=True, text_config=TEXT | MROPE | dict(num_hidden_layers=2, rms_norm_eps=1e-5),
        vision_config=OMNI_TOWER | dict(depth=2, fullatt_block_indexes=[0]),
        audio_config=dict(d_model=32, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=64, num_mel_bins=20,
                          output_dim=64, n_window=50)),
    seed=1)
del CASES["qwen2_5_omni-alone"]["thinker"]

# Sound as Qwen3-ASR's, pictures and experts as Qwen3-VL's, times of frames as Qwen2.5-VL's; names and config.json of published files.
CASES["qwen3_omni_moe"] = dict(
    config=dict(text_config=CASES["qwen3_vl_moe"]["config"]["text_config"] | dict(num_hidden_layers=2, num_experts=4),
                tie_word_embeddings=False, image_token_id=IMAGE,
                video_token_id=VIDEO, audio_token_id=AUDIO, vision_start_token_id=START, audio_start_token_id=AUDIO_START,
                position_id_per_seconds=2, vision_config=CASES["qwen3_vl"]["config"]["vision_config"] | dict(depth=2),
                audio_config=CASES["qwen3_asr"]["config"]["audio_config"]),
    model_type="qwen3_omni_moe_thinker", thinker=[("thinker.", "")], seed=1, merge=2, patch=16,
    processor=dict(image_mean=[0.5] * 3, image_std=[0.5] * 3))
# The thinker alone; each token has all experts, whose weights do not sum to one.
CASES["qwen3_omni_moe-alone"] = CASES["qwen3_omni_moe"] | dict(
    config=CASES["qwen3_omni_moe"]["config"] | dict(
        tie_word_embeddings=True,
        text_config=CASES["qwen3_vl"]["config"]["text_config"] | dict(
            num_hidden_layers=2, num_experts=4, num_experts_per_tok=4, moe_intermediate_size=32, norm_topk_prob=False,
            tie_word_embeddings=True),
        vision_config=CASES["qwen3_vl"]["config"]["vision_config"] | dict(depth=1, deepstack_visual_indexes=[0]),
        audio_config=CASES["qwen3_asr-thinker"]["config"]["audio_config"]),
    seed=1)
del CASES["qwen3_omni_moe-alone"]["thinker"]

# Stretches of a second, each with a spectrogram of its own; of half a second.
CASES["audioflamingo3"] = dict(
    config=dict(text_config=TEXT | dict(model_type="qwen2", rope_theta=10000.0), audio_token_id=IMAGE,
                audio_config=dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96,
                                  num_mel_bins=32, max_source_positions=50)),
    seed=2)
CASES["audioflamingo3-plain"] = dict(
    config=CASES["audioflamingo3"]["config"] | dict(
        projector_bias=False, text_config=TEXT | dict(model_type="qwen2", rope_theta=10000.0, num_hidden_layers=2),
        audio_config=dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
                          num_mel_bins=20, max_source_positions=25)),
    seed=4)

CASES["llava"] = dict(
    config=dict(text_config=TEXT | dict(model_type="llama", rope_theta=10000.0), image_token_index=IMAGE,
                vision_config=dict(model_type="clip_vision_model", hidden_size=64, intermediate_size=96, num_hidden_layers=3,
                                   num_attention_heads=4, image_size=56, patch_size=14, projection_dim=32)),
    seed=1)

CASES["llava-qwen2"] = dict(
    config=CASES["llava"]["config"] | dict(text_config=TEXT | dict(model_type="qwen2", rope_theta=10000.0)),
    seed=1)

# Rows of pictures of any size, behind which words stand; each patch is a token.
CASES["llava-pixtral"] = dict(
    config=dict(text_config=TEXT | dict(model_type="mistral", head_dim=16, sliding_window=None), image_token_index=IMAGE,
                vision_feature_layer=-1, vision_feature_select_strategy="full",
                vision_config=dict(model_type="pixtral", hidden_size=64, intermediate_size=96, num_hidden_layers=2,
                                   num_attention_heads=4, patch_size=14, hidden_act="silu")),
    rowed=112, seed=1)
# Pixels behind the last patch are left out; the last layer counts without the norm behind it.
CASES["llava-siglip"] = dict(
    config=dict(text_config=TEXT | dict(model_type="qwen2", rope_theta=10000.0, tie_word_embeddings=True),
                image_token_index=IMAGE, vision_feature_layer=-1, vision_feature_select_strategy="full",
                vision_config=dict(model_type="siglip_vision_model", hidden_size=64, intermediate_size=96,
                                   num_hidden_layers=2, num_attention_heads=4, image_size=60, patch_size=14,
                                   vision_use_head=False)),
    # With which greedy tokens are certain.
    whole=True, seed=5)

# Tiles of 56 pixels on canvases of up to four, and the whole before them.
CANVASES = [[56, 112], [112, 56], [112, 112], [168, 56], [56, 168]]
CASES["llava_next"] = dict(
    config=CASES["llava"]["config"] | dict(image_grid_pinpoints=CANVASES),
    anyres=True, seed=1)
CASES["llava_next-mistral"] = dict(
    config=CASES["llava_next"]["config"] | dict(
        text_config=CASES["llava-pixtral"]["config"]["text_config"], vision_feature_layer=-1,
        vision_feature_select_strategy="full", vision_config=CASES["llava-siglip"]["config"]["vision_config"] | dict(image_size=56)),
    anyres=True, seed=1)
# Granite Vision: what goes into the first layer and what comes of two later ones, side by side; rows of pictures are scaled as words.
CASES["llava_next-granite"] = dict(
    config=CASES["llava_next-mistral"]["config"] | dict(
        text_config=TEXT | dict(model_type="granite", embedding_multiplier=3.0, attention_multiplier=0.3, residual_multiplier=0.6,
                                logits_scaling=4.0, tie_word_embeddings=True),
        vision_feature_layer=[-3, -2, -1], tie_word_embeddings=True),
    anyres=True, seed=1)
CASES["vipllava"] = dict(
    config={key: value for key, value in CASES["llava"]["config"].items()} | dict(vision_feature_layer=[-2, -1, 1]), seed=1)
# The same with frames, of which each block of 2 x 2 patches becomes a token.
CASES["llava_next_video"] = dict(
    config=CASES["llava_next"]["config"] | dict(video_token_index=VIDEO), anyres=True, seed=1)
CASES["llava_next_video-qwen2"] = dict(
    config=CASES["llava_next_video"]["config"] | dict(
        text_config=TEXT | dict(model_type="qwen2", rope_theta=10000.0), multimodal_projector_bias=False,
        vision_feature_layer=[-1, 1], vision_feature_select_strategy="full",
        vision_config=CASES["llava-siglip"]["config"]["vision_config"] | dict(image_size=56)), anyres=True, seed=1)
# Squares of 5 x 5 patches; canvases of more than one tile shrink to the rows of one and a little.
CASES["llava_onevision"] = dict(
    config=CASES["llava-siglip"]["config"] | dict(
        vision_config=CASES["llava-siglip"]["config"]["vision_config"] | dict(image_size=76), vision_aspect_ratio="anyres_max_1",
        video_token_index=VIDEO, image_grid_pinpoints=[[76, 76], [76, 152], [152, 76], [152, 152], [76, 228]]),
    # With which no placeholder is generated.
    anyres=True, seed=2)

# More tiles before a canvas is drawn in, and rows of the last layer but one.
CASES["llava_onevision-mistral"] = dict(
    config=CASES["llava_onevision"]["config"] | dict(
        text_config=TEXT | dict(model_type="mistral", head_dim=16, sliding_window=None), vision_aspect_ratio="anyres_max_3",
        vision_feature_layer=-2),
    anyres=True, seed=3)

# The window is shorter than a picture.
CASES["gemma3"] = dict(
    config=dict(text_config=TEXT | dict(head_dim=16, sliding_window=12, query_pre_attn_scalar=16,
                                        layer_types=["sliding_attention", "full_attention", "sliding_attention"]),
                image_token_index=IMAGE, boi_token_index=START, eoi_token_index=END, mm_tokens_per_image=16,
                vision_config=dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                                   image_size=112, patch_size=14, vision_use_head=False)),
    seed=1, lines=True)

# Pieces of long pictures, of which one is narrower, behind the whole.
CASES["gemma3-scan"] = CASES["gemma3"] | dict(
    config=CASES["gemma3"]["config"] | dict(mm_tokens_per_image=4), seed=1,
    scan=dict(do_pan_and_scan=True, pan_and_scan_min_crop_size=30, pan_and_scan_max_num_crops=3, pan_and_scan_min_ratio_to_activate=1.5))

# All of a prompt sees itself, where it shows something.
CASES["paligemma"] = dict(
    config=dict(text_config=TEXT | dict(model_type="gemma", head_dim=16, num_key_value_heads=1), image_token_index=IMAGE,
                projection_dim=64, hidden_size=64, vocab_size=VOCAB,
                vision_config=dict(model_type="siglip_vision_model", hidden_size=64, intermediate_size=96,
                                   num_hidden_layers=2, num_attention_heads=4, image_size=70, patch_size=14,
                                   vision_use_head=False)),
    whole=True, prefix=True, seed=1)
CASES["paligemma-gemma2"] = dict(
    config=CASES["paligemma"]["config"] | dict(
        text_config=TEXT | dict(model_type="gemma2", head_dim=16, query_pre_attn_scalar=16, sliding_window=192,
                                final_logit_softcapping=3.0, attn_logit_softcapping=2.0,
                                layer_types=["sliding_attention", "full_attention", "sliding_attention"])),
    whole=True, prefix=True, seed=2)

# Tiles of 56 pixels, four tokens each.
COHERE2 = TEXT | dict(model_type="cohere2", num_hidden_layers=4, sliding_window=24, logit_scale=0.75)
COHERE2.pop("head_dim", None)
CASES["cohere2_vision"] = dict(
    config=dict(text_config=COHERE2, image_token_id=IMAGE, alignment_intermediate_size=96,
                vision_config=dict(model_type="siglip_vision_model", hidden_size=64, intermediate_size=96,
                                   num_hidden_layers=2, num_attention_heads=4, image_size=56, patch_size=14,
                                   vision_use_head=False)),
    covered=6, seed=1)

# Command A+: each token is given to all experts, since rounding would choose others.
CASES["cohere2_vision-experts"] = dict(
    config=CASES["cohere2_vision"]["config"] | dict(
        text_config=COHERE2 | dict(model_type="cohere2_moe", num_hidden_layers=3, first_k_dense_replace=1, intermediate_size=32,
                                   prefix_dense_intermediate_size=96, num_experts=4, num_experts_per_tok=4,
                                   num_shared_experts=1, expert_selection_fn="sigmoid", norm_topk_prob=True,
                                   layer_types=["sliding_attention", "full_attention", "sliding_attention"])),
    covered=6, seed=2)

# The same behind numbers, of the last layer without the norm behind it.
CASES["aya_vision"] = dict(
    config=dict(text_config=COHERE2, image_token_index=IMAGE, vision_config=CASES["cohere2_vision"]["config"]["vision_config"]),
    numbered=3, seed=1)

# Rows of the last layer but one, and gates of a width of their own.
CASES["aya_vision-middle"] = dict(
    config=CASES["aya_vision"]["config"] | dict(vision_feature_layer=-2, alignment_intermediate_size=48,
                                                adapter_layer_norm_eps=1e-3),
    numbered=3, seed=2)

# As the published ones of 6 billion parameters: norms of queries and keys, no biases of them.
CASES["internvl"] = dict(
    config=dict(text_config=TEXT | dict(model_type="qwen3", head_dim=16, rope_theta=10000.0), image_token_id=IMAGE,
                tie_word_embeddings=False,
                vision_config=dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                                   image_size=[56, 56], patch_size=[14, 14], norm_type="rms_norm", use_qk_norm=True)),
    tiles=12, seed=2)
# InternVL's under published names, pictures alone.
CASES["qianfan_ocr"] = dict(
    config=CASES["internvl"]["config"] | dict(
        vision_config=CASES["internvl"]["config"]["vision_config"] | dict(norm_type="layer_norm", use_qk_norm=False)),
    tiles=12, stills=True, seed=1)
CASES["qianfan_ocr-plain"] = dict(
    config=CASES["qianfan_ocr"]["config"] | dict(
        text_config=TEXT | dict(model_type="qwen3", head_dim=16, rope_theta=10000.0, tie_word_embeddings=True), tie_word_embeddings=True,
        vision_config=CASES["qianfan_ocr"]["config"]["vision_config"] | dict(norm_type="rms_norm", attention_bias=False)),
    tiles=12, stills=True, seed=1)
# Tiles of 56 pixels with the whole behind them.
CASES["idefics3"] = dict(
    config=dict(text_config=TEXT | dict(model_type="llama", rope_theta=10000.0), image_token_id=IMAGE, scale_factor=2,
                vision_config=dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                                   image_size=56, patch_size=14)),
    splits=112, seed=1)
# Squares of 56 pixels, four tokens each; vectors of two layers of the encoder, which come before the first layers of text.
GRANITE = TEXT | dict(model_type="granite_docling_text", pad_token_id=0, embedding_multiplier=3.0, logits_scaling=0.5, residual_multiplier=0.5,
                      attention_multiplier=0.3, rope_parameters=dict(rope_type="default", rope_theta=10000.0))
CASES["granite_docling"] = dict(
    config=dict(text_config=GRANITE, image_token_id=IMAGE, density_router_hidden_size=16,
                vision_config=dict(hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
                                   image_size=56, patch_size=14, out_hidden_size=64, scale_factor=2,
                                   deepstack_visual_indexes=[0, 2])),
    pages=dict(max_patches=4), seed=1)
# More squares for wide pages; vectors of one layer, a head of its own, no other way to see a page.
CASES["granite_docling-dense"] = CASES["granite_docling"] | dict(
    config=CASES["granite_docling"]["config"] | dict(
        text_config=GRANITE | dict(num_hidden_layers=2, attention_bias=True, mlp_bias=True, tie_word_embeddings=False),
        tie_word_embeddings=False, density_router_hidden_size=None,
        vision_config=CASES["granite_docling"]["config"]["vision_config"] | dict(
            patch_size=7, scale_factor=4, deepstack_visual_indexes=[1], use_fine_route=False)),
    pages=dict(max_patches=2, dense_max_patches=6, dense_max_scale=1.2, dense_min_aspect=1.5, dense_max_aspect=8.0), seed=1)
# Squares of 16 x 16 patches, four by four tokens each; windows of 5 x 5, some beyond the edge, before a layer that sees all.
CASES["got_ocr2"] = dict(
    config=dict(text_config=TEXT | dict(model_type="qwen2", rope_theta=10000.0), image_token_index=IMAGE, image_seq_length=16,
                vision_config=dict(hidden_size=64, output_channels=24, num_hidden_layers=2, num_attention_heads=4, image_size=112,
                                   patch_size=7, window_size=5, global_attn_indexes=[1], mlp_dim=96)),
    gotten=dict(), seed=2)
# Tiles and the whole; windows that fit, no biases of queries, keys and values, an odd number of patches behind the first convolution.
CASES["got_ocr2-tiles"] = CASES["got_ocr2"] | dict(
    config=CASES["got_ocr2"]["config"] | dict(
        tie_word_embeddings=False, vision_config=CASES["got_ocr2"]["config"]["vision_config"] | dict(
            image_size=42, window_size=2, global_attn_indexes=[0], qkv_bias=False)),
    gotten=dict(crop_to_patches=True, max_patches=3), seed=1)
# The same with frames, which are a square each.
CASES["smolvlm"] = CASES["idefics3"] | dict(config=CASES["idefics3"]["config"] | dict(text_config=TEXT | dict(model_type="llama", tie_word_embeddings=True)),
                                            clocked=True, seed=3)
# Blocks of two by two patches become mixtures of 43 words; five others stand around tiles.
AIMV2 = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, image_size=56, patch_size=14,
             vocab_size=48, hidden_stride=2)
CASES["ovis2"] = dict(
    config=dict(text_config=TEXT | dict(model_type="qwen2", rope_theta=10000.0), image_token_id=IMAGE, hidden_size=64, vocab_size=VOCAB,
                visual_indicator_token_ids=[START, END, BESIDE, UNDER, VIDEO_END], tie_word_embeddings=False, vision_config=AIMV2),
    ovis=dict(crop_to_patches=True, max_patches=6), seed=1)
# Each patch is a token; biases; tiles as GOT-OCR2 chooses them. With its seed no token about tiles is generated.
CASES["ovis2-plain"] = dict(
    config=CASES["ovis2"]["config"] | dict(
        text_config=TEXT | dict(model_type="llama", rope_theta=10000.0, tie_word_embeddings=True), tie_word_embeddings=True,
        vision_config=AIMV2 | dict(image_size=28, hidden_stride=1, qkv_bias=True, mlp_bias=True, vocab_size=37)),
    ovis=dict(crop_to_patches=True, max_patches=4, use_covering_area_grid=False), seed=4)
# A row before those of pictures, means of blocks of patches; the same without, and with another MLP.
CASES["perception_lm"] = dict(
    config=dict(text_config=TEXT | dict(model_type="llama", rope_theta=10000.0), image_token_id=IMAGE, video_token_id=VIDEO,
                projector_pooling_ratio=2, vision_use_cls_token=True,
                vision_config=dict(model_type="timm_wrapper", architecture="vit_pe_lang_large_patch14_448",
                                   model_args=dict(embed_dim=64, depth=2, num_heads=4, img_size=[56, 56], ref_feat_shape=[4, 4], global_pool="",
                                                   use_post_transformer_norm=False, init_values=0.1))),
    fitting=6, seed=2)
CASES["perception_lm-gigantic"] = CASES["perception_lm"] | dict(
    config=CASES["perception_lm"]["config"] | dict(
        tie_word_embeddings=True, text_config=TEXT | dict(model_type="llama", rope_theta=10000.0, tie_word_embeddings=True),
        projector_pooling_ratio=1, vision_use_cls_token=False,
        vision_config=dict(model_type="timm_wrapper", architecture="vit_pe_lang_gigantic_patch14_448",
                           model_args=dict(embed_dim=64, depth=2, num_heads=4, img_size=[28, 28], ref_feat_shape=[2, 2], global_pool="",
                                           mlp_ratio=1.6))),
    seed=1)
# Blocks of 28 pixels, behind whose rows words stand.
CASES["mistral3"] = dict(
    config=dict(text_config=TEXT | dict(model_type="mistral", head_dim=16, sliding_window=None), image_token_index=IMAGE,
                tie_word_embeddings=False,
                vision_config=dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                                   patch_size=14, hidden_act="silu")),
    # With which no placeholder is generated.
    rowed=224, seed=6)
# The same without words, before text of Qwen 3.
CASES["lighton_ocr"] = dict(
    config=dict(text_config=TEXT | dict(model_type="qwen3", head_dim=16), image_token_id=IMAGE,
                vision_config=CASES["mistral3"]["config"]["vision_config"] | dict(model_type="pixtral")),
    blocks=224, seed=1)
# Blocks of nine patches, a head of its own.
CASES["lighton_ocr-thirds"] = CASES["lighton_ocr"] | dict(
    config=CASES["lighton_ocr"]["config"] | dict(tie_word_embeddings=False, spatial_merge_size=3, vision_config=CASES["lighton_ocr"]["config"]["vision_config"] | dict(
        patch_size=8, num_attention_heads=2)), seed=1)
# Text whose attention is latent and whose MLPs are experts; queries grow within a picture.
CASES["mistral3-mistral4"] = dict(
    config=CASES["mistral3"]["config"] | dict(
        text_config=TEXT | dict(model_type="mistral4", num_key_value_heads=4, q_lora_rank=48, kv_lora_rank=32,
                                qk_nope_head_dim=16, qk_rope_head_dim=16, v_head_dim=16, n_routed_experts=6,
                                num_experts_per_tok=2, first_k_dense_replace=2, moe_intermediate_size=24,
                                max_position_embeddings=1024,
                                rope_parameters=dict(rope_type="yarn", rope_theta=10000.0, factor=16.0, mscale=1.0,
                                                     original_max_position_embeddings=64, mscale_all_dim=1.0,
                                                     llama_4_scaling_beta=0.1))),
    # With which no choice of experts hangs on rounding.
    rowed=224, seed=3)
# Squares of 56 pixels, four tokens each, and the whole behind them; chunks end within pictures.
CASES["llama4"] = dict(
    config=dict(text_config=TEXT | dict(head_dim=16, intermediate_size=48, intermediate_size_mlp=96, attention_chunk_size=12,
                                        no_rope_layer_interval=3, num_local_experts=4, moe_layers=[1, 2], floor_scale=16),
                image_token_index=IMAGE, boi_token_index=START, eoi_token_index=END,
                vision_config=dict(hidden_size=64, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4,
                                   image_size=56, patch_size=14, projector_input_dim=48, projector_output_dim=48,
                                   vision_output_dim=48)),
    canvas=4, seed=1)
# Tiles of 28 pixels; the middle layer attends to them. The embedding has rows that the head has not.
CASES["mllama"] = dict(
    config=dict(text_config=TEXT | dict(cross_attention_layers=[1], rms_norm_eps=1e-5, pad_token_id=0,
                                        rope_parameters=dict(rope_type="default", rope_theta=10000.0)),
                image_token_index=VOCAB,
                vision_config=dict(hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_global_layers=2, attention_heads=2,
                                   vision_output_dim=96, image_size=28, patch_size=14, intermediate_layers_indices=[0, 2])),
    tiled=4, seed=1)
# The first and the last layer attend to at most two tiles, of whose layers one is taken.
CASES["mllama-pairs"] = dict(
    config=CASES["mllama"]["config"] | dict(
        text_config=CASES["mllama"]["config"]["text_config"] | dict(num_hidden_layers=4, cross_attention_layers=[0, 3], num_key_value_heads=4),
        vision_config=CASES["mllama"]["config"]["vision_config"] | dict(
            num_global_layers=1, vision_output_dim=64, image_size=42, max_num_tiles=2, supported_aspect_ratios=[[1, 1], [1, 2], [2, 1]],
            intermediate_layers_indices=[1])),
    tiled=2, seed=1)
# Heads, products and their bounds of their own; rows of a picture have the row of padding among the vectors for layers.
GEMMA4_TEXT = TEXT | dict(head_dim=16, global_head_dim=32, sliding_window=12, pad_token_id=0,
                          vocab_size_per_layer_input=VOCAB, hidden_size_per_layer_input=16, num_kv_shared_layers=1,
                          layer_types=["sliding_attention", "full_attention", "full_attention"])
GEMMA4_VISION = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                     num_key_value_heads=2, head_dim=16, patch_size=4, position_embedding_size=256, use_clipped_linears=True)
# Rows of sound look back as far as a chunk; as many bins as the first convolution has channels, of which the class counts on.
GEMMA4_AUDIO = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, subsampling_conv_channels=[16, 8], attention_chunk_size=4,
                    attention_context_left=5, output_proj_dims=48, attention_logit_cap=5.0)
CASES["gemma4"] = dict(
    config=dict(text_config=GEMMA4_TEXT, vision_config=GEMMA4_VISION, audio_config=GEMMA4_AUDIO, image_token_id=IMAGE, video_token_id=VIDEO,
                audio_token_id=VIDEO_START, boi_token_id=START, eoi_token_id=END, boa_token_id=BESIDE, eoa_token_index=BELOW),
    fitted=True, seed=1)
# Tokens of a picture see each other in the first and the third layer, within a window that is shorter than a picture.
CASES["gemma4-whole"] = dict(
    config=CASES["gemma4"]["config"] | dict(
        text_config=GEMMA4_TEXT | dict(num_hidden_layers=4, num_kv_shared_layers=0, hidden_size_per_layer_input=0,
                                       use_bidirectional_attention="vision", attention_k_eq_v=True,
                                       layer_types=["sliding_attention", "full_attention"] * 2),
        vision_config=GEMMA4_VISION | dict(use_clipped_linears=False, standardize=True, num_key_value_heads=4),
        audio_config=GEMMA4_AUDIO | dict(use_clipped_linears=False, num_hidden_layers=1, conv_kernel_size=3, residual_weight=0.7,
                                         attention_context_left=4, hidden_act="gelu")),
    fitted=True, seed=1)
# Blocks of patches and samples become tokens as they are.
UNIFIED_TEXT = TEXT | dict(head_dim=16, global_head_dim=32, sliding_window=12, pad_token_id=0, num_kv_shared_layers=1, use_double_wide_mlp=True,
                           layer_types=["sliding_attention", "full_attention", "full_attention"])
CASES["gemma4_unified"] = dict(
    config=CASES["gemma4"]["config"] | dict(
        text_config=UNIFIED_TEXT, audio_config=dict(audio_embed_dim=640),
        vision_config=dict(patch_size=4, pooling_kernel_size=3, mm_embed_dim=48, mm_posemb_size=80, output_proj_dims=48)),
    fitted="merged", seed=1)
# Tokens of a picture do not see each other; blocks of four patches, other numbers of samples.
CASES["gemma4_unified-causal"] = CASES["gemma4_unified"] | dict(
    config=CASES["gemma4_unified"]["config"] | dict(
        text_config=UNIFIED_TEXT | dict(use_bidirectional_attention=None, num_kv_shared_layers=0, use_double_wide_mlp=False,
                                        attention_k_eq_v=True, num_global_key_value_heads=1, final_logit_softcapping=5.0),
        audio_config=dict(audio_embed_dim=320, rms_norm_eps=0.01),
        vision_config=dict(patch_size=4, pooling_kernel_size=2, mm_embed_dim=64, mm_posemb_size=70, output_proj_dims=64)),
    seed=2)
# As many tokens of a sound whatever its length; the last of all tokens fills it up. Of ids from 120 on embeddings are those of what sees
# and hears.
GEMMA3N_TEXT = TEXT | dict(head_dim=16, sliding_window=12, pad_token_id=0, vocab_size_per_layer_input=120, hidden_size_per_layer_input=16,
                           num_kv_shared_layers=1, layer_types=["sliding_attention", "full_attention", "full_attention"],
                           altup_num_inputs=2, laurel_rank=8, activation_sparsity_pattern=[0.0, 0.5, 0.0])
GEMMA3N_AUDIO = dict(vocab_size=7, vocab_offset=124, input_feat_size=16, hidden_size=32, conf_num_attention_heads=2,
                     conf_num_hidden_layers=2, sscp_conv_channel_size=[8, 12], conf_attention_chunk_size=3, conf_attention_context_left=4,
                     conf_attention_logit_cap=5.0)
CASES["gemma3n"] = dict(
    config=dict(text_config=GEMMA3N_TEXT, audio_config=GEMMA3N_AUDIO, vision_config=dict(hidden_size=16, vocab_size=4, vocab_offset=120),
                image_token_id=121, eoi_token_id=120, boi_token_id=118, boa_token_id=119, eoa_token_id=124, audio_token_id=125,
                audio_soft_tokens_per_image=10),
    ended=True, seed=1)
CASES["gemma3n-wide"] = CASES["gemma3n"] | dict(
    config=CASES["gemma3n"]["config"] | dict(
        audio_soft_tokens_per_image=16, eoa_token_id=126,
        audio_config=GEMMA3N_AUDIO | dict(input_feat_size=14, conf_num_hidden_layers=1, conf_reduction_factor=2, conf_conv_kernel_size=3,
                                          conf_residual_weight=0.7, conf_attention_chunk_size=6, conf_attention_context_left=6,
                                          sscp_conv_group_norm_eps=0.1)),
    seed=1)
# Frames four at a time; positions of a square that pictures are larger and smaller than; half of the layers have no experts.
LATENT = dict(model_type="deepseek_v3", kv_lora_rank=16, q_lora_rank=32, qk_nope_head_dim=16, qk_rope_head_dim=16, v_head_dim=16,
              num_hidden_layers=2, num_key_value_heads=4, moe_intermediate_size=32, n_routed_experts=4, num_experts_per_tok=4,
              n_group=1, topk_group=1, n_shared_experts=1, first_k_dense_replace=1, routed_scaling_factor=1.5)
CASES["kimi_k25"] = dict(
    config=dict(text_config=TEXT | LATENT, image_token_id=IMAGE, video_token_id=VIDEO, vision_start_token_id=START,
                vision_end_token_id=END, projection_hidden_size=64, tie_word_embeddings=False,
                vision_config=dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                                   pos_emb_height=5, pos_emb_width=5)),
    bounded=True, seed=2)
# Layers of experts alone, positions that pictures are all larger than.
CASES["kimi_k25-plain"] = CASES["kimi_k25"] | dict(
    config=CASES["kimi_k25"]["config"] | dict(
        tie_word_embeddings=True,
        text_config=TEXT | LATENT | dict(first_k_dense_replace=0, n_shared_experts=2, norm_topk_prob=False, tie_word_embeddings=True),
        vision_config=CASES["kimi_k25"]["config"]["vision_config"] | dict(pos_emb_height=2, pos_emb_width=2)),
    seed=3)
# Tiles of 32 pixels, four by four tokens each, and the whole behind them; a square of positions that is larger than small
# pictures and smaller than large ones.
CASES["lfm2_vl"] = dict(
    config=dict(text_config={key: value for key, value in TEXT.items() if key != "intermediate_size"} | dict(
                    model_type="lfm2", layer_types=["conv", "full_attention", "conv"], conv_L_cache=3, block_ff_dim=96,
                    block_multiple_of=16, rope_theta=10000.0),
                image_token_id=IMAGE, projector_hidden_size=48,
                vision_config=dict(model_type="siglip2_vision_model", hidden_size=64, intermediate_size=96, num_hidden_layers=2,
                                   num_attention_heads=4, patch_size=4, num_patches=36, vision_use_head=False)),
    tiling=True, seed=1)
CASES["lfm2_vl-plain"] = CASES["lfm2_vl"] | dict(
    config=CASES["lfm2_vl"]["config"] | dict(projector_use_layernorm=False, tie_word_embeddings=False,
        vision_config=CASES["lfm2_vl"]["config"]["vision_config"] | dict(num_patches=16, vision_use_head=True)), seed=1)
# Tokens of pictures, and those around them, have experts of their own; height and width take turns before time.
CASES["ernie4_5_vl_moe"] = dict(
    config=dict(text_config=TEXT | dict(head_dim=16, moe_num_experts=4, moe_k=4, moe_intermediate_size=[48, 32],
                                        moe_num_shared_experts=2,
                                        rope_parameters=dict(rope_type="default", rope_theta=10000.0, mrope_section=[3, 3, 2])),
                tie_word_embeddings=False, image_token_id=IMAGE, video_token_id=VIDEO, image_start_token_id=START,
                image_end_token_id=END, video_start_token_id=VIDEO_START, video_end_token_id=VIDEO_END,
                vision_config=dict(depth=2, hidden_size=64, intermediate_size=96, num_heads=4)),
    seed=2, merge=2, patch=14, pictures=True)
# Biases, no expert that all tokens share, an MLP behind experts, a head that is the embedding.
CASES["ernie4_5_vl_moe-bias"] = CASES["ernie4_5_vl_moe"] | dict(
    config=CASES["ernie4_5_vl_moe"]["config"] | dict(
        tie_word_embeddings=True, text_config=CASES["ernie4_5_vl_moe"]["config"]["text_config"] | dict(
            use_bias=True, moe_num_shared_experts=0, mlp_layer_types=["sparse", "dense", "sparse"])), seed=1)
# Of heads of sixteen twelve turn, four by each axis. Each token has all experts; an indexer chooses all blocks of such short
# prompts.
CASES["minimax_m3_vl"] = dict(
    config=dict(text_config=TEXT | dict(
                    head_dim=16, dense_intermediate_size=48, intermediate_size=24, shared_intermediate_size=24, num_local_experts=4,
                    num_experts_per_tok=4, mlp_layer_types=["dense", "sparse", "sparse"], index_n_heads=2, index_head_dim=16,
                    index_block_size=32, layer_types=["full_attention", "minimax_m3_sparse", "minimax_m3_sparse"],
                    rope_parameters=dict(rope_type="default", rope_theta=10000.0, partial_rotary_factor=0.5)),
                image_token_index=IMAGE, video_token_index=VIDEO, projector_hidden_size=48, tie_word_embeddings=False,
                vision_config=dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4)),
    seed=1, merge=2, patch=14, pictures=True, bracketed=True)
# A square of five by five positions, which pictures are larger and smaller than; all of a head turns, by three axes.
CASES["paddleocr_vl"] = dict(
    config=dict(text_config=TEXT | dict(head_dim=16, rope_parameters=dict(rope_type="default", rope_theta=10000.0, mrope_section=[2, 3, 3])),
                image_token_id=IMAGE, video_token_id=VIDEO, vision_start_token_id=START, vision_end_token_id=END,
                vision_config=dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, image_size=70)),
    seed=1, merge=2, patch=14, pictures=True)
# Biases, a head of its own, and the sections and heads that the class has where nobody says them.
CASES["paddleocr_vl-bias"] = CASES["paddleocr_vl"] | dict(
    config=CASES["paddleocr_vl"]["config"] | dict(
        tie_word_embeddings=False, text_config=TEXT | dict(num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=128,
                                                          use_bias=True, tie_word_embeddings=False,
                                                          rope_parameters=dict(rope_type="default", rope_theta=10000.0)),
        vision_config=CASES["paddleocr_vl"]["config"]["vision_config"] | dict(image_size=42, hidden_act="gelu")), seed=1)
# Quarters of pictures and the whole, between which one token stands; queries that look at patches and at each other.
CASES["idefics2"] = dict(
    config=dict(text_config=TEXT | dict(model_type="mistral", head_dim=16, sliding_window=None, rms_norm_eps=1e-5), image_token_id=IMAGE,
                perceiver_config=dict(hidden_size=64, rms_norm_eps=1e-5, resampler_n_latents=4, resampler_depth=2, resampler_n_heads=4,
                                      resampler_head_dim=16, num_key_value_heads=2),
                vision_config=dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, patch_size=8, image_size=56)),
    quartered=dict(do_image_splitting=True, size=dict(shortest_edge=24, longest_edge=56)), seed=1)
# Pictures as a whole, with pixels that make no patch; an epsilon that the text has, a window, a head that is the embedding.
CASES["idefics2-whole"] = dict(
    config=dict(text_config=TEXT | dict(model_type="mistral", num_hidden_layers=2, sliding_window=16, tie_word_embeddings=True, rms_norm_eps=0.01),
                image_token_id=IMAGE, tie_word_embeddings=True,
                perceiver_config=dict(resampler_n_latents=6, resampler_depth=1, resampler_n_heads=2, resampler_head_dim=32, num_key_value_heads=2,
                                      hidden_act="gelu_pytorch_tanh"),
                vision_config=dict(hidden_size=32, intermediate_size=40, num_hidden_layers=1, num_attention_heads=4, patch_size=8, image_size=40,
                                   hidden_act="gelu")),
    quartered=dict(do_image_splitting=False, size=dict(shortest_edge=20, longest_edge=55)), seed=1)
# A square of five by five positions; four axes of positions, each of which has a quarter of a head as it lies; text as published.
CASES["hunyuan_vl"] = dict(
    config=dict(image_token_id=IMAGE,
                text_config=TEXT | dict(head_dim=16, rope_parameters=dict(rope_type="dynamic", rope_theta=10000.0, alpha=50.0, factor=1.0, mrope_section=[2, 3, 2, 1])),
                vision_config=dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, patch_size=14, max_image_size=70)),
    patch=14, merge=2, pictures=True, seed=1)
# Three axes, blocks of nine patches, biases, a head of its own, another rotary embedding.
CASES["hunyuan_vl-bias"] = CASES["hunyuan_vl"] | dict(
    config=dict(image_token_id=IMAGE, tie_word_embeddings=False,
                text_config=TEXT | dict(num_hidden_layers=2, num_key_value_heads=1, head_dim=32, attention_bias=True, tie_word_embeddings=False, rms_norm_eps=1e-6,
                                        rope_parameters=dict(rope_type="linear", factor=2.0, rope_theta=5000.0, mrope_section=[5, 3, 8])),
                vision_config=dict(hidden_size=32, intermediate_size=40, num_hidden_layers=1, num_attention_heads=4, patch_size=8, max_image_size=96,
                                   spatial_merge_size=3, rms_norm_eps=1e-6, hidden_act="gelu_pytorch_tanh")),
    patch=8, merge=3, seed=1)
# Rotary positions alone; each patch of a picture is a token, of frames the mean of four.
CASES["video_llama_3"] = dict(
    config=dict(text_config=TEXT | dict(model_type="qwen2", rope_theta=10000.0), image_token_id=IMAGE, video_token_id=VIDEO,
                vision_config=dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, patch_size=14)),
    changing=dict(merge_size=2), seed=1)
# Means of four for pictures, middles of nine for frames, all of which are kept; a head that is the embedding.
CASES["video_llama_3-tied"] = CASES["video_llama_3"] | dict(
    config=CASES["video_llama_3"]["config"] | dict(
        text_config=TEXT | dict(model_type="qwen2", rope_theta=10000.0, num_hidden_layers=2, tie_word_embeddings=True),
        vision_config=dict(hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=2, patch_size=8, hidden_act="gelu",
                           rope_parameters=dict(rope_type="axial", rope_theta=500.0))),
    pictures=dict(merge_size=2), changing=dict(merge_size=3, use_token_compression=False), seed=1)
IMAGENET = dict(image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])

# With code of their own; the tower has a layer whose result nobody takes.
CHAT = dict(model_type="internvl_chat", downsample_ratio=0.5, dynamic_image_size=True, force_image_size=56,
            max_dynamic_patch=6, min_dynamic_patch=1, ps_version="v2", select_layer=-1, template="internvl2_5",
            use_thumbnail=True,
            vision_config=dict(model_type="intern_vit_6b", hidden_size=64, intermediate_size=96, num_attention_heads=4,
                               num_hidden_layers=2, patch_size=14, image_size=56, num_channels=3, hidden_act="gelu",
                               norm_type="layer_norm", layer_norm_eps=1e-6, qkv_bias=True, qk_normalization=False))
CASES["internvl_chat"] = dict(
    raw=CHAT | dict(llm_config=TEXT | dict(model_type="internlm2", bias=False, rope_theta=10000.0, rms_norm_eps=1e-5)),
    tiles=6, seed=1)
CASES["internvl_chat-qwen2"] = dict(
    raw=CHAT | dict(llm_config=TEXT | dict(model_type="qwen2", rope_theta=10000.0, rms_norm_eps=1e-6), select_layer=-2),
    tiles=6, seed=1)

# Pictures one after another, upright and lying, one pixel high.
SQUARES = [
    [19],
    [5, (0, 70, 121, 1), 4],
    [(0, 120, 3, 2), (0, 200, 50, 3), 7, (0, 30, 30, 4), 3],
]

# One picture a prompt: behind words, before them, smaller than a tile.
SINGLE = [
    [19],
    [5, (0, 70, 121, 1), 34],
    [(0, 120, 3, 2), 36],
    [3, (0, 30, 20, 3), 2],
]

# In two pieces below each other, in three beside each other, whole.
SCANNED = [
    [19],
    [5, (0, 40, 71, 1), 4],
    [(0, 100, 31, 2), 7, (0, 90, 70, 3), 3],
]

# As wide as a row of blocks can be, upright, lying; frames that are higher than wide.
FITTED = [
    [19],
    [5, (0, 70, 121, 1), 4],
    [(0, 120, 3, 2), (0, 90, 60, 3), 7],
    [3, (3, 3, 53, 4), 5],
]

# The same with sounds: as short as can be, a tenth of a second, longer than rows look back.
FITTED_HEARD = [
    [19],
    [5, (0, 70, 121, 1), 4, (-1, 321, 16000, 1), 3],
    [(0, 120, 3, 2), (-1, 1600, 16000, 2), 7, (-1, 20011, 16000, 3), 3],
    [3, (3, 3, 53, 4), 5],
]

# As a whole, one pixel high; in tiles side by side, and by two and two.
TILED = [
    [19],
    [5, (0, 50, 21, 1), 4],
    [(0, 60, 1, 2), 7, (0, 130, 50, 3), (0, 20, 30, 4), 3],
    [3, (0, 81, 90, 5), 2],
]

# Four frames and one more, then two that are smaller than a block.
BOUNDED_FRAMES = [3, (5, 84, 56, 5), 2, (0, 60, 30, 4), (2, 20, 13, 6), 9]

# Upright frames, and one behind a picture.
CLOCKED = [[19], [1, (2, 60, 121, 1), 2], [(0, 120, 3, 2), 2, (1, 90, 3, 2), 1]]

# One picture is seen otherwise than several; frames beside them.
ONEVISION = [
    [19],
    [5, (0, 200, 50, 3), 2],
    [(0, 120, 3, 2), (0, 50, 90, 3), 7, (0, 30, 30, 4), 3],
    [3, (3, 84, 56, 5), 2, (0, 90, 60, 6), 4, (3, 56, 56, 6), 5],
]

# Beside these frames, which are one tile each.
FRAMES = [3, (3, 84, 56, 5), 2, (0, 120, 60, 6), 9]

# Samples and seeds: as short as can be, a tenth of a second, odd lengths.
SOUNDS = [
    [19],
    [5, (-1, 1121, 16000, 1), 4],
    [(-1, 1600, 16000, 2), 7, (-1, 20011, 16000, 3), 11],
    [3, (-1, 3 * 16000, 16000, 4), 2],
]

# One of each prompt: of several the class lets shorter ones see what fills them up.
ENDED_SOUNDS = [
    [19],
    [5, (-1, 700, 16000, 1), 4],
    [(-1, 20011, 16000, 3), 11],
    [20, (-1, 16000, 16000, 4), 9],
]

# Pictures, frames and sound in any order; of one sound an odd number of frames.
OMNI = [
    [19],
    [5, (0, 70, 121, 1), 4, (-1, 1121, 16000, 1)],
    [(-1, 1600, 16000, 2), 7, (0, 64, 64, 4), 3, (-1, 19851, 16000, 3), 6],
    [3, (3, 84, 56, 5), 2, (-1, 3 * 16000, 16000, 4), 4],
]

# The class of Llama 4 in 5.24 asks what its model of text gives for something that this does not have.
MoeCausalLMOutputWithPast.image_outputs = None

CLASSES = {"qwen2_audio": Qwen2AudioForConditionalGeneration, "voxtral": VoxtralForConditionalGeneration,
           "audioflamingo3": AudioFlamingo3ForConditionalGeneration,
           "glmasr": GlmAsrForConditionalGeneration,
           "granite_speech": GraniteSpeechForConditionalGeneration,
           "granite_speech_plus": GraniteSpeechPlusForConditionalGeneration,
           "qwen3_asr": Qwen3ASRForConditionalGeneration,
           "qwen2_5_omni_thinker": Qwen2_5OmniThinkerForConditionalGeneration,
           "qwen3_omni_moe_thinker": Qwen3OmniMoeThinkerForConditionalGeneration}

# Text between what is seen; a number: so many random words. Frames, width, height, seed.
PROMPTS = [
    [19],
    [5, (0, 70, 121, 1), 4],
    [(0, 120, 1, 2), 7, (0, 200, 50, 3), (0, 64, 64, 4), 11, (0, 30, 100, 2)],
    [3, (3, 84, 56, 5), 2, (0, 56, 56, 6), 9],
]


# Of the family whose class cannot show pictures and videos in one prompt: both have the same token.
VIDEOS = [3, (3, 84, 56, 5), 2, (2, 56, 56, 6), 9]


def processor_of(case, family):
    if family.startswith("glm"):
        from transformers.models.glm4v.image_processing_pil_glm4v import Glm4vImageProcessorPil
        return Glm4vImageProcessorPil(size={edge: 2 * pixels for edge, pixels in SIZE.items()})
    if family.startswith("ernie"):
        from transformers.models.ernie4_5_vl_moe.image_processing_pil_ernie4_5_vl_moe import Ernie4_5_VLMoeImageProcessorPil
        return Ernie4_5_VLMoeImageProcessorPil(size=SIZE)
    if family.startswith("paddleocr"):
        return paddle_processor(size=SIZE)
    if family.startswith("hunyuan"):
        from transformers.models.hunyuan_vl.image_processing_pil_hunyuan_vl import HunYuanVLImageProcessorPil
        # As published files say it, whatever the class does.
        return HunYuanVLImageProcessorPil(size=SIZE, patch_size=case["patch"], merge_size=case["merge"], resample=1)
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
    return Qwen2VLImageProcessorPil(size=SIZE, patch_size=case["patch"], merge_size=case["merge"], **case.get("processor", {}))


def frames_of(case, frames, width, height, seed):
    """Patches and grid of a video, whose frames are brought to the size of the family's videos, but as Pillow does it."""
    from transformers.models.glm4v.video_processing_glm4v import smart_resize as of_glm4v
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
    from transformers.models.qwen3_vl.video_processing_qwen3_vl import smart_resize as of_qwen3_vl
    low, high = case["frames"]["shortest_edge"], case["frames"]["longest_edge"]
    smart_resize = of_qwen3_vl if case["timed"] == "words" else of_glm4v
    to = smart_resize(frames, height, width, 2, case["patch"] * case["merge"], low, high)
    processor = Qwen2VLImageProcessorPil(do_resize=False, patch_size=case["patch"], **case.get("processor", {}))
    shown = [Image.fromarray(picture(width, height, seed + i)).resize(to[::-1], Image.Resampling.BICUBIC) for i in range(frames)]
    outs = [processor(images=[frame], return_tensors="pt") for frame in shown]
    return paired([out["pixel_values"] for out in outs], outs[0]["image_grid_thw"][0].tolist())


def seconds(frames, fps):
    """When each pair of frames is, as Qwen3-VL's processor writes it."""
    places = list(range(frames)) + [frames - 1] * (frames % 2)
    return [f"<{(a / fps + b / fps) / 2:.1f} seconds>" for a, b in zip(places[::2], places[1::2])]


def letters(words):
    """One id for each character."""
    return [3 + ord(letter) % 90 for letter in words]


def square_at(row, column):
    """The id of <row_2_col_1>."""
    return 93 + (5 * row + column) % 20


def paired(frames, grid):
    _, rows, columns = grid
    values = [out.view(rows * columns, 3, 2, -1) for out in frames]
    if len(values) % 2:
        values.append(values[-1])
    pairs = [torch.stack([a[:, :, 0], b[:, :, 0]], 2).view(rows * columns, -1) for a, b in zip(values[::2], values[1::2])]
    return torch.cat(pairs), [len(pairs), rows, columns]


def unit_of(case):
    """Pixels along a side of a block of Pixtral's, of four patches in mistral3."""
    if "blocks" in case:
        return case["config"]["vision_config"]["patch_size"] * case["config"].get("spatial_merge_size", 2)
    return case["config"]["vision_config"]["patch_size"] * (2 if "vision_feature_layer" not in case["config"] else 1)


def square_processor(case):
    if "quartered" in case:
        from transformers.models.idefics2.image_processing_pil_idefics2 import Idefics2ImageProcessorPil
        return Idefics2ImageProcessorPil(**case["quartered"])
    if "tiled" in case:
        return mllama_processor(case["config"]["vision_config"]["image_size"], case["tiled"])
    if "tiling" in case:
        patch = case["config"]["vision_config"]["patch_size"]
        return tiling_processor(encoder_patch_size=patch, tile_size=32, max_tiles=4, min_image_tokens=4, max_image_tokens=12,
                                max_pixels_tolerance=4.0)
    if "changing" in case:
        from transformers.models.video_llama_3.image_processing_pil_video_llama_3 import VideoLlama3ImageProcessorPil
        return VideoLlama3ImageProcessorPil(size=CHANGING_SIZE, patch_size=case["config"]["vision_config"]["patch_size"], **case.get("pictures", {}))
    if "bounded" in case:
        return bounded_processor(max_patches=30, size=dict(max_height=12, max_width=12))
    if "numbered" in case:
        return tile_processor(case["config"]["vision_config"]["image_size"], case["numbered"], {})
    if "ovis" in case:
        from transformers.models.ovis2.image_processing_pil_ovis2 import Ovis2ImageProcessorPil
        side = case["config"]["vision_config"]["image_size"]
        return Ovis2ImageProcessorPil(size={"height": side, "width": side}, **case["ovis"])
    if "fitting" in case:
        return fitting_processor(case["config"]["vision_config"]["model_args"]["img_size"][0], case["fitting"])
    if "covered" in case:
        return covering_processor(case["config"]["vision_config"]["image_size"], case["covered"], patch_size=2)
    if "anyres" in case:
        side = case["config"]["vision_config"]["image_size"]
        canvases = case["config"]["image_grid_pinpoints"]
        if sees_several(case["config"]):
            from transformers.models.llava_onevision.image_processing_pil_llava_onevision import LlavaOnevisionImageProcessorPil
            return LlavaOnevisionImageProcessorPil(size={"height": side, "width": side}, image_grid_pinpoints=canvases)
        from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
        return LlavaNextImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": side, "width": side},
                                          image_grid_pinpoints=canvases)
    if "whole" in case:
        from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
        side = case["config"]["vision_config"]["image_size"]
        return SiglipImageProcessorPil(size={"height": side, "width": side})
    if "canvas" in case:
        return canvas_processor(case["config"]["vision_config"]["image_size"], case["canvas"])
    if "rowed" in case or "blocks" in case:
        from transformers.models.pixtral.image_processing_pil_pixtral import PixtralImageProcessorPil
        return PixtralImageProcessorPil(size={"longest_edge": case.get("rowed", case.get("blocks"))}, patch_size={"height": unit_of(case), "width": unit_of(case)})
    if "gotten" in case:
        from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
        side = case["config"]["vision_config"]["image_size"]
        return GotOcr2ImageProcessorPil(size={"height": side, "width": side}, **case["gotten"])
    if "pages" in case:
        side = case["config"]["vision_config"]["image_size"]
        return page_processor(size={"height": side, "width": side}, **case["pages"])
    if "splits" in case:
        from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
        side = case["config"]["vision_config"]["image_size"]
        return Idefics3ImageProcessorPil(size={"longest_edge": case["splits"]}, max_image_size={"longest_edge": side})
    if "fitted" in case:
        from transformers.models.gemma4.image_processing_pil_gemma4 import Gemma4ImageProcessorPil
        vision = case["config"]["vision_config"]
        return Gemma4ImageProcessorPil(patch_size=vision["patch_size"], max_soft_tokens=70, pooling_kernel_size=vision.get("pooling_kernel_size", 3))
    if "lines" in case:
        from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
        side = case["config"]["vision_config"]["image_size"]
        return Gemma3ImageProcessorPil(size={"height": side, "width": side}, image_mean=[0.5] * 3, image_std=[0.5] * 3,
                                       **case.get("scan", {}))
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    side = case["config"]["vision_config"]["image_size"]
    return CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": side, "width": side})


def patches_of(processor, frames, width, height, seed):
    """Patches and grid; frames are pictures of the seeds that follow one another, the last one twice if it is alone."""
    shown = [processor(images=[Image.fromarray(picture(width, height, seed + i))], return_tensors="pt")
             for i in range(max(frames, 1))]
    _, rows, columns = shown[0]["image_grid_thw"][0].tolist()
    if frames == 0:
        return shown[0]["pixel_values"], [1, rows, columns]
    return paired([out["pixel_values"] for out in shown], [1, rows, columns])


class Prompt:
    """Words, and between them what is shown or played. `show` adds the latter."""

    def __init__(self, parts, number):
        self.ids, self.media = [], []
        words = iter(random_prompt(200, 100)[number * 31:].tolist())
        for part in parts:
            if isinstance(part, int):
                self.add([next(words) + 3 for _ in range(part)])
            else:
                self.show(*part)

    def add(self, ids):
        self.ids += ids

    def place(self, part, token, count):
        self.media.append([*part, len(self.ids)])
        self.add([token] * count)

    def texts(self, more):
        ids = torch.tensor([self.ids + list(more)])
        return dict(input_ids=ids, attention_mask=torch.ones_like(ids))


class SoundPrompt(Prompt):
    def __init__(self, parts, number, extractor):
        self.extractor, self.features, self.masks = extractor, [], []
        super().__init__(parts, number)

    def show(self, kind, samples, rate, seed):
        mel, mask = heard(self.extractor, samples, seed)
        self.features.append(torch.tensor(mel))
        self.masks.append(torch.tensor(mask))
        self.place((kind, samples, rate, seed), IMAGE, self.counts()[-1])

    def counts(self):
        """Tokens of each sound."""
        return [((int(mask.sum()) - 1) // 2 + 1 - 2) // 2 + 1 for mask in self.masks]

    def inputs(self, more=()):
        if not self.masks:
            return self.texts(more)
        return self.texts(more) | dict(input_features=torch.stack(self.features),
                                       feature_attention_mask=torch.stack(self.masks))


class StretchPrompt(Prompt):
    """Sound in stretches of as many frames as Voxtral's encoder reads."""

    def __init__(self, parts, number, extractor, audio):
        self.extractor, self.features = extractor, []
        self.frames = 2 * audio["max_source_positions"]
        self.count = audio["max_source_positions"] * audio["hidden_size"] // audio["intermediate_size"]
        super().__init__(parts, number)

    def show(self, kind, samples, rate, seed):
        mel = torch.tensor(mel_of_wave(self.extractor, samples, seed, -samples % (160 * self.frames)))
        stretches = mel.reshape(len(mel), -1, self.frames).transpose(0, 1)
        self.features.append(stretches)
        self.place((kind, samples, rate, seed), IMAGE, self.count * len(stretches))

    def inputs(self, more=()):
        return self.texts(more) | (dict(input_features=torch.cat(self.features)) if self.features else {})

    def encoded(self, model):
        return model.model.get_audio_features(torch.cat(self.features)).pooler_output.float()


class WindowPrompt(SoundPrompt):
    """Sound in windows of as many frames as the encoder reads, each with a spectrogram of its own."""

    def __init__(self, parts, number, extractor, audio):
        self.frames = 2 * (audio.get("max_source_positions") or audio["max_position_embeddings"])
        super().__init__(parts, number, extractor)

    def show(self, kind, samples, rate, seed):
        wave = sound(samples, seed).astype(numpy.float32) / 32768
        before = len(self.masks)
        for start in range(0, samples, 160 * self.frames):
            part = wave[start:start + 160 * self.frames]
            padded = numpy.pad(part, (0, 160 * self.frames - len(part)))
            self.features.append(torch.tensor(self.extractor._np_extract_fbank_features(padded[None], "cpu")[0]))
            self.masks.append((torch.arange(self.frames) < -(-len(part) // 160)).long())
        self.place((kind, samples, rate, seed), IMAGE, sum(self.counts()[before:]))

    def inputs(self, more=()):
        found = super().inputs(more)
        if self.masks:
            found["input_features_mask"] = found.pop("feature_attention_mask")
        return found

    def encoded(self, model):
        inputs = self.inputs()
        return model.model.get_audio_features(inputs["input_features"], inputs["input_features_mask"]).pooler_output.float()


class GroupPrompt(WindowPrompt):
    """The same, four rows a token."""

    def counts(self):
        return [((int(mask.sum()) - 1) // 2 + 1) // 4 for mask in self.masks]


def thrice_halved(frames):
    """Rows of three convolutions, each over every other place."""
    return -(-frames // 8)


class ChunkPrompt(Prompt):
    """Sound as Qwen3-ASR's extractor gives it, each by itself."""

    def __init__(self, parts, number, extractor, audio):
        self.extractor, self.stretch, self.sounds = extractor, 2 * audio["n_window"], []
        super().__init__(parts, number)

    def show(self, kind, samples, rate, seed):
        mel = torch.tensor(mel_of_wave(self.extractor, samples, seed, max(0, 8000 - samples)))
        frames = mel.shape[1]
        self.sounds.append(mel)
        self.place((kind, samples, rate, seed), IMAGE, frames // self.stretch * 13 + thrice_halved(frames % self.stretch))

    def inputs(self, more=()):
        return self.texts(more) | (self.heard() if self.sounds else {})

    def heard(self):
        longest = max(mel.shape[1] for mel in self.sounds)
        width = -(-longest // self.stretch) * self.stretch
        return dict(input_features=torch.stack([torch.nn.functional.pad(mel, (0, width - mel.shape[1])) for mel in self.sounds]),
                    input_features_mask=torch.tensor([[int(i < mel.shape[1]) for i in range(width)] for mel in self.sounds]))

    def encoded(self, model):
        return model.model.get_audio_features(**self.heard()).pooler_output.float()


class SquarePrompt(Prompt):
    def __init__(self, parts, number, processor, count):
        self.processor, self.count, self.pixels = processor, count, []
        super().__init__(parts, number)

    def show(self, kind, width, height, seed):
        out = self.processor(images=[Image.fromarray(picture(width, height, seed))], return_tensors="pt")
        self.pixels.append(out["pixel_values"])
        self.place((kind, width, height, seed), IMAGE, self.count)

    def inputs(self, more=()):
        return self.texts(more) | (dict(pixel_values=torch.cat(self.pixels)) if self.pixels else {})


class GottenPrompt(SquarePrompt):
    """The same of tiles, where pictures become several."""

    def show(self, kind, width, height, seed):
        out = self.processor(images=[Image.fromarray(picture(width, height, seed))], return_tensors="pt")
        self.pixels.append(out["pixel_values"])
        self.place((kind, width, height, seed), IMAGE, self.count * len(out["pixel_values"]))


class SplitPrompt(Prompt):
    def __init__(self, parts, number, processor, count):
        self.processor, self.count, self.pixels = processor, count, []
        super().__init__(parts, number)

    def show(self, kind, width, height, seed):
        out = self.processor(images=[Image.fromarray(picture(width, height, seed))], return_row_col_info=True,
                             return_tensors="pt")
        self.pixels.append(out["pixel_values"][0])
        self.media.append([kind, width, height, seed, len(self.ids)])
        rows, columns = out["rows"][0][0], out["cols"][0][0]
        for row in range(rows):
            for column in range(columns):
                self.add([START, square_at(row, column)] + [IMAGE] * self.count)
            self.add(letters("\n"))
        self.add(letters("\n" * (rows > 0)) + [START, END] + [IMAGE] * self.count + [START])

    def inputs(self, more=()):
        return self.texts(more) | (dict(pixel_values=torch.cat(self.pixels)[None]) if self.pixels else {})


class QuarteredPrompt(Prompt):
    """A token before each part of a picture and behind the last, which stands once between pictures that follow one another."""

    def __init__(self, parts, number, processor, count):
        self.processor, self.count, self.shown = processor, count, []
        super().__init__(parts, number)

    def show(self, *part):
        _, width, height, seed = part
        if self.ids[-1:] != [START]:
            self.add([START])
        self.shown.append(Image.fromarray(picture(width, height, seed)))
        self.media.append([*part, len(self.ids) - 1])
        self.add(([IMAGE] * self.count + [START]) * (5 if self.processor.do_image_splitting else 1))

    def inputs(self, more=()):
        return self.texts(more) | (dict(self.processor(images=[self.shown], return_tensors="pt")) if self.shown else {})

    def encoded(self, model):
        inputs = self.inputs()
        return torch.cat(list(model.model.get_image_features(inputs["pixel_values"], inputs["pixel_attention_mask"]).pooler_output)).float()


class PagePrompt(SplitPrompt):
    """The same of pages; the whole behind them where they are cut, vectors for layers of text behind each row."""

    def show(self, kind, width, height, seed):
        out = self.processor(images=[[Image.fromarray(picture(width, height, seed))]], return_tensors="pt")
        self.pixels.append(out["pixel_values"][0])
        self.media.append([kind, width, height, seed, len(self.ids)])
        rows, columns = out["rows"][0][0], out["cols"][0][0]
        for row in range(rows):
            for column in range(columns):
                self.add([START, square_at(row, column)] + [IMAGE] * self.count)
            self.add(letters("\n"))
        if rows * columns > 1:
            self.add(letters("\n") + [START, END] + [IMAGE] * self.count + [START])

    def inputs(self, more=()):
        if not self.pixels:
            return self.texts(more)
        pixels = torch.cat(self.pixels)[None]
        return self.texts(more) | dict(pixel_values=pixels, pixel_attention_mask=torch.ones(pixels.shape[:2], dtype=torch.bool))

    def encoded(self, model):
        inputs = self.inputs()
        out = model.model.get_image_features(inputs["pixel_values"], inputs["pixel_attention_mask"])
        return torch.cat([out.pooler_output[0], *(level[0] for level in out.deepstack_features)], 1).float()


class ClockedPrompt(SplitPrompt):
    """The same, and frames as squares, each behind the second at which it is, at two a second."""

    def show(self, *part):
        frames, width, height, seed = part
        if frames == 0:
            return super().show(*part)
        self.media.append([*part, len(self.ids)])
        count, last = {1: "one", 2: "two"}[frames], (frames - 1) // 2
        self.add(letters(f"You are provided the following series of {count} frames from a 0:00:{last:02d} [H:MM:SS] video.\n"))
        whole = type(self.processor)(size=self.processor.size, max_image_size=self.processor.max_image_size, do_image_splitting=False,
                                     **FRAME_CHANNELS)
        for i in range(frames):
            out = whole(images=[Image.fromarray(picture(width, height, seed + i))], return_tensors="pt")
            self.pixels.append(out["pixel_values"][0])
            self.add(letters(f"\nFrame from 00:{i // 2:02d}:") + [START, END] + [IMAGE] * self.count + [START])
        self.add(letters("\n\n"))


class CanvasPrompt(SquarePrompt):
    """Squares of a canvas, and the whole behind a token of its own."""

    def show(self, *part):
        _, width, height, seed = part
        out = self.processor(images=[Image.fromarray(picture(width, height, seed))], return_tensors="pt")
        self.pixels.append(out["pixel_values"].flatten(0, -4).float())
        rows, columns = out["aspect_ratios"][0].tolist()
        self.media.append([*part, len(self.ids)])
        self.add([START])
        for row in range(rows if rows * columns > 1 else 0):
            for column in range(columns):
                self.add([IMAGE] * (self.count // 4) + [BESIDE if column + 1 < columns else BELOW])
        self.add([WHOLE] + [IMAGE] * (self.count // 4) + [END])

    def encoded(self, model):
        seen = model.get_image_features(self.inputs()["pixel_values"]).last_hidden_state
        return model.multi_modal_projector(seen.flatten(0, 1)).float()


class TiledPrompt(Prompt):
    """A picture that one token stands for, from which on all tokens see its tiles."""

    def __init__(self, parts, number, processor, image):
        self.processor, self.image, self.seen = processor, image, None
        super().__init__(parts, number)

    def show(self, *part):
        _, width, height, seed = part
        self.seen = self.processor(images=[[Image.fromarray(picture(width, height, seed))]], return_tensors="pt")
        self.tiles = self.seen.pop("num_tiles")
        self.place(part, self.image, 1)

    def inputs(self, more=()):
        if self.seen is None:
            return self.texts(more)
        ids = self.ids + list(more)
        masks = [get_cross_attention_token_mask(ids, self.image)]
        mask = convert_sparse_cross_attention_mask_to_dense(masks, self.tiles, self.processor.max_image_tiles, len(ids))
        return self.texts(more) | dict(self.seen) | dict(cross_attention_mask=torch.tensor(mask))

    def encoded(self, model):
        rows = model.model.vision_model(**self.seen).last_hidden_state
        return model.model.multi_modal_projector(rows).flatten(0, -2).float()


class RowPrompt(Prompt):
    def __init__(self, parts, number, processor, unit):
        self.processor, self.unit, self.pixels, self.sizes = processor, unit, [], []
        super().__init__(parts, number)

    def show(self, *part):
        _, width, height, seed = part
        out = self.processor(images=[Image.fromarray(picture(width, height, seed))], return_tensors="pt")
        self.pixels.append(out["pixel_values"][0])
        self.sizes.append([int(side) for side in out["image_sizes"][0]])
        self.media.append([*part, len(self.ids)])
        rows, columns = (side // self.unit for side in self.sizes[-1])
        for row in range(rows):
            self.add([IMAGE] * columns + [START if row + 1 < rows else END])

    def inputs(self, more=()):
        if not self.pixels:
            return self.texts(more)
        most = [max(sides) for sides in zip(*self.sizes)]
        padded = [torch.nn.functional.pad(pixels, (0, most[1] - width, 0, most[0] - height))
                  for pixels, (height, width) in zip(self.pixels, self.sizes)]
        return self.texts(more) | dict(pixel_values=torch.stack(padded), image_sizes=torch.tensor(self.sizes))

    def encoded(self, model):
        """Of all tokens of pictures, words included."""
        inputs = self.inputs()
        ids = inputs["input_ids"][0]
        rows = model.get_input_embeddings()(ids)
        seen = model.model.get_image_features(inputs["pixel_values"], image_sizes=inputs["image_sizes"]).pooler_output
        rows[ids == IMAGE] = torch.cat(list(seen))
        return rows[(ids == IMAGE) | (ids == START) | (ids == END)].float()


class BlockPrompt(RowPrompt):
    """The same without words."""

    def add(self, ids):
        super().add([token for token in ids if token not in (START, END)])

    def encoded(self, model):
        inputs = self.inputs()
        return torch.cat(list(model.model.get_image_features(inputs["pixel_values"], image_sizes=inputs["image_sizes"]).pooler_output)).float()


def sees_several(config):
    """Whether a picture beside others is seen otherwise than alone: LLaVA-OneVision."""
    return "vision_aspect_ratio" in config


def token_counter(processor, config):
    """What says how many tokens a picture has: transformers' processor of the family, without a tokenizer."""
    from transformers import LlavaNextProcessor, LlavaNextVideoProcessor, LlavaOnevisionProcessor
    vision = config["vision_config"]
    counter = object.__new__(LlavaOnevisionProcessor if sees_several(config) else LlavaNextVideoProcessor if "video_token_index" in config else LlavaNextProcessor)
    counter.image_processor, counter.image_token, counter.video_token = processor, ".", "."
    counter.patch_size, counter.num_image_tokens = vision["patch_size"], (vision["image_size"] // vision["patch_size"])**2
    counter.vision_feature_select_strategy = config.get("vision_feature_select_strategy", "default")
    counter.num_additional_image_tokens = int(vision["model_type"] == "clip_vision_model")
    counter.vision_aspect_ratio = config.get("vision_aspect_ratio")
    return counter


class AnyresPrompt(Prompt):
    """A picture as one square and as tiles, with what ends a line behind each line."""

    def __init__(self, parts, number, processor, config):
        self.processor, self.counter, self.videos = processor, token_counter(processor, config), []
        self.shown = [Image.fromarray(picture(*part[1:])) for part in parts if not isinstance(part, int) and part[0] == 0]
        # Of LLaVA-OneVision pictures of one prompt are one list.
        images = [self.shown] if sees_several(config) else self.shown
        self.out = processor(images=images, return_tensors="pt") if self.shown else {}
        super().__init__(parts, number)

    def show(self, *part):
        if part[0]:
            return self.show_frames(*part)
        index = sum(kind == 0 for kind, *_ in self.media)
        self.place(part, IMAGE, len(self.counter.replace_image_token(self.out, index)))

    def show_frames(self, *part):
        count, width, height, seed = part
        frames = [Image.fromarray(picture(width, height, seed + i)) for i in range(count)]
        values = frame_processor(self.processor)(images=frames, return_tensors="pt")["pixel_values"]
        self.videos.append(values)
        self.place(part, VIDEO, len(self.counter.replace_video_token({"pixel_values_videos": [values]}, 0)))

    def inputs(self, more=()):
        found = self.texts(more) | dict(self.out)
        if self.videos:
            # The class wants as many frames of each.
            found["pixel_values_videos"] = torch.stack(self.videos)
        return found

    def encoded(self, model):
        rows = {0: [], 1: [model.model.get_video_features(values[None]).pooler_output[0] for values in self.videos]}
        if self.shown:
            rows[0] = list(model.model.get_image_features(**self.out).pooler_output)
        return torch.cat([rows[min(kind, 1)].pop(0) for kind, *_ in self.media]).float()


# Frames are told from pictures by the numbers that their pixels become.
FRAME_CHANNELS = dict(image_mean=[0.5] * 3, image_std=[0.25] * 3)


def frame_processor(processor):
    if processor.do_center_crop:
        from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
        side = processor.crop_size["height"]
        return CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": side, "width": side}, **FRAME_CHANNELS)
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
    return SiglipImageProcessorPil(size=dict(height=processor.size.height, width=processor.size.width), **FRAME_CHANNELS)


class FittedPrompt(Prompt):
    """As many patches of each picture as there may be; frames as pictures, of two a second, each behind its time."""

    def __init__(self, parts, number, processor):
        self.processor, self.outs = processor, {IMAGE: [], VIDEO: []}
        super().__init__(parts, number)

    def show(self, *part):
        frames, width, height, seed = part
        self.media.append([*part, len(self.ids)])
        token = VIDEO if frames else IMAGE
        outs = [self.processor(images=[Image.fromarray(picture(width, height, seed + i))], return_tensors="pt")
                for i in range(max(frames, 1))]
        self.outs[token].append(outs)
        for i, out in enumerate(outs):
            if frames:
                self.add(letters(" " * (i > 0) + f"00:{i // 2:02d} "))
            self.add([START] + [token] * int(out["num_soft_tokens_per_image"][0]) + [END])

    def shown(self, token, name):
        return torch.cat([out[name] for outs in self.outs[token] for out in outs])

    def inputs(self, more=()):
        found = self.texts(more)
        ids = found["input_ids"]
        found["mm_token_type_ids"] = (ids == IMAGE) + 2 * (ids == VIDEO)
        if self.outs[IMAGE]:
            found |= {name: self.shown(IMAGE, name) for name in ("pixel_values", "image_position_ids")}
        if self.outs[VIDEO]:
            found |= dict(pixel_values_videos=self.shown(VIDEO, "pixel_values"),
                          video_position_ids=self.shown(VIDEO, "image_position_ids"),
                          num_frames_per_video=torch.tensor([len(outs) for outs in self.outs[VIDEO]]))
        return found

    def encoded(self, model):
        rows = {token: [] for token in self.outs}
        if self.outs[IMAGE]:
            rows[IMAGE] = list(model.model.get_image_features(
                self.shown(IMAGE, "pixel_values"), self.shown(IMAGE, "image_position_ids")).pooler_output)
        if self.outs[VIDEO]:
            counts = torch.tensor([len(outs) for outs in self.outs[VIDEO]])
            rows[VIDEO] = list(model.model.get_video_features(
                self.shown(VIDEO, "pixel_values"), self.shown(VIDEO, "image_position_ids"), counts).pooler_output)
        return torch.cat([rows[VIDEO if frames else IMAGE].pop(0) for frames, *_ in self.media]).float()


class FittedHeardPrompt(FittedPrompt):
    """The same with sounds, whose spectrograms are computed in float64."""

    def __init__(self, parts, number, processor, extractor):
        self.extractor, self.sounds = extractor, []
        super().__init__(parts, number, processor)

    def show(self, *part):
        if part[0] >= 0:
            return super().show(*part)
        mel, heard = heard_by_magnitude(self.extractor, part[1], part[3])
        self.sounds.append((torch.tensor(mel * heard[:, None], dtype=torch.float32), torch.tensor(heard)))
        self.media.append([*part, len(self.ids)])
        self.add([BESIDE] + [VIDEO_START] * int(heard[::2][::2].sum()) + [BELOW])

    def heard(self):
        """Each filled up behind its end, where nobody looks."""
        longest = max(len(mask) for _, mask in self.sounds)
        fill = lambda of: torch.cat([of, of.new_zeros(longest - len(of), *of.shape[1:])])
        return {name: torch.stack([fill(one[index]) for one in self.sounds])
                for index, name in enumerate(("input_features", "input_features_mask"))}

    def inputs(self, more=()):
        return super().inputs(more) | (self.heard() if self.sounds else {})

    def encoded(self, model):
        seen, silent = [part for part in self.media if part[0] >= 0], self.media
        self.media = seen
        rows = super().encoded(model) if seen else torch.zeros(0)
        self.media = silent
        counts = [int(token) for token in self.counts()]
        rows = list(rows.split([count for count, part in zip(counts, silent) if part[0] >= 0])) if seen else []
        out = model.model.get_audio_features(**self.heard()) if self.sounds else None
        heard = [of[mask] for of, mask in zip(out.pooler_output, out.attention_mask)] if out else []
        return torch.cat([(heard if part[0] < 0 else rows).pop(0) for part in silent]).float()

    def counts(self):
        """Rows of each thing."""
        found, ends = [], [part[4] for part in self.media[1:]] + [len(self.ids)]
        for part, end in zip(self.media, ends):
            token = VIDEO_START if part[0] < 0 else VIDEO if part[0] else IMAGE
            found.append(sum(each == token for each in self.ids[part[4]:end]))
        return found


class MergedPrompt(FittedHeardPrompt):
    """Blocks of patches as larger patches; sounds as they are, samples side by side."""

    def show(self, *part):
        if part[0] >= 0:
            return super().show(*part)
        wave = sound(part[1], part[3]).astype(numpy.float32) / 32768
        values, mask = self.extractor._extract_waveform_features(wave)
        self.sounds.append((torch.tensor(values), torch.tensor(mask)))
        self.media.append([*part, len(self.ids)])
        self.add([BESIDE] + [VIDEO_START] * len(mask) + [BELOW])

    def shown(self, token, name):
        from transformers.models.gemma4_unified.image_processing_gemma4_unified import pad_along_first_dim, patches_merge
        found = []
        for out in (out for outs in self.outs[token] for out in outs):
            places = out["image_position_ids"][0]
            known = (places >= 0).all(-1)
            count = int(out["num_soft_tokens_per_image"][0])
            merged = patches_merge(out["pixel_values"][0][known][None], places[known][None], count)
            found.append(dict(zip(("pixel_values", "image_position_ids"), pad_along_first_dim(*(of[0] for of in merged), 70))))
        return torch.stack([one[name] for one in found])


class EndedPrompt(Prompt):
    """Sound filled up to as many tokens as all have, between lines."""

    def __init__(self, parts, number, extractor, config):
        self.extractor, self.config, self.mel = extractor, config, None
        super().__init__(parts, number)

    def show(self, *part):
        mel, heard = heard_by_magnitude(self.extractor, part[1], part[3])
        assert heard.all()
        self.mel = torch.tensor(mel, dtype=torch.float32)[None]
        self.media.append([*part, len(self.ids)])
        self.add(letters("\n\n") + [self.config["boa_token_id"]])
        self.add([self.config["audio_token_id"]] * self.config["audio_soft_tokens_per_image"])
        self.add([self.config["eoa_token_id"]] + letters("\n\n"))

    def inputs(self, more=()):
        heard = {} if self.mel is None else dict(input_features=self.mel, input_features_mask=torch.ones(self.mel.shape[:2], dtype=torch.bool))
        return self.texts(more) | heard

    def encoded(self, model):
        """With what fills it up and its end."""
        rows = model.model.get_audio_features(self.mel, torch.zeros(self.mel.shape[:2], dtype=torch.bool)).pooler_output[0]
        words = [VOCAB - 1] * (self.config["audio_soft_tokens_per_image"] - len(rows)) + [self.config["eoa_token_id"]]
        return torch.cat([rows, model.model.embed_audio(input_ids=torch.tensor(words))]).float()


class PairedPrompt(Prompt):
    """A sound as pairs of frames, one of each prompt: of several the class lets shorter ones see what fills them up."""

    # Whether the prompt that is computed has sound.
    hears = False

    def __init__(self, parts, number, extractor):
        self.extractor, self.heard = extractor, {}
        super().__init__(parts, number)

    def show(self, *part):
        found = heard_in_pairs(self.extractor, part[1], part[3])
        self.heard = dict(input_features=found["input_features"].float(), input_features_mask=found["input_features_mask"])
        self.place(part, IMAGE, found["audio_embed_sizes"][0])

    def inputs(self, more=()):
        PairedPrompt.hears = bool(self.heard)
        return self.texts(more) | self.heard

    def encoded(self, model):
        return model.model.get_audio_features(self.heard["input_features"]).pooler_output[0].float()


class BoundedPrompt(Prompt):
    """Pictures on black; frames four together, each time behind when they begin, at two a second."""

    def __init__(self, parts, number, processors):
        self.processors, self.outs, self.kinds = processors, {IMAGE: [], VIDEO: []}, []
        super().__init__(parts, number)

    def show(self, *part):
        frames, width, height, seed = part
        self.media.append([*part, len(self.ids)])
        shown = [Image.fromarray(picture(width, height, seed + i)) for i in range(max(frames, 1))]
        outs = [self.processors[bool(frames)](images=[frame], return_tensors="pt") for frame in shown]
        for first in range(0, len(outs), 4):
            chunk = outs[first:first + 4]
            _, rows, columns = chunk[0]["image_grid_thw"][0].tolist()
            self.outs[VIDEO if frames else IMAGE].append((torch.cat([out["pixel_values"] for out in chunk]), [len(chunk), rows, columns]))
            if frames:
                self.add(letters(f"00:00:{first // 2:02d}.000") + [START] + letters("video") + [BESIDE])
            # Rows of videos have the token of pictures, as in the published code.
            self.add([IMAGE] * (rows * columns // 4) + [END] * (frames > 0))
            self.kinds += [VIDEO if frames else IMAGE] * (rows * columns // 4)

    def inputs(self, more=()):
        found = self.texts(more)
        ids, kinds = found["input_ids"][0], iter(self.kinds)
        for at in (ids == IMAGE).nonzero()[:, 0].tolist():
            ids[at] = next(kinds, IMAGE)
        for token, pixels, grid in ((IMAGE, "pixel_values", "image_grid_thw"), (VIDEO, "pixel_values_videos", "video_grid_thw")):
            if self.outs[token]:
                found[pixels] = torch.cat([values for values, _ in self.outs[token]])
                found[grid] = torch.tensor([sizes for _, sizes in self.outs[token]])
        return found

    def encoded(self, model):
        inputs = self.inputs()
        rows = {token: [] for token in self.outs}
        if self.outs[IMAGE]:
            rows[IMAGE] = list(model.model.get_image_features(inputs["pixel_values"], inputs["image_grid_thw"]).pooler_output)
        if self.outs[VIDEO]:
            rows[VIDEO] = list(model.model.get_video_features(inputs["pixel_values_videos"], inputs["video_grid_thw"]).pooler_output)
        return torch.cat([rows[VIDEO if frames else IMAGE].pop(0) for frames, *_ in self.media
                          for _ in range(max(1, -(-frames // 4)))]).float()


class TilingPrompt(Prompt):
    """Tiles behind words that say where they were, and the whole behind another."""

    def __init__(self, parts, number, processor):
        self.processor, self.outs = processor, []
        super().__init__(parts, number)

    def show(self, *part):
        _, width, height, seed = part
        self.media.append([*part, len(self.ids)])
        out = self.processor(images=[Image.fromarray(picture(width, height, seed))], return_row_col_info=True, return_tensors="pt")
        self.outs.append(out)
        columns = int(out["image_cols"][0])
        count = columns * int(out["image_rows"][0])
        self.add([START])
        for tile, (high, wide) in enumerate(out["spatial_shapes"].tolist()):
            if count > 1:
                self.add([square_at(*divmod(tile, columns)) if tile < count else WHOLE])
            self.add([IMAGE] * (high * wide // 4))
        self.add([END])

    def pixels(self):
        return {name: torch.cat([out[name] for out in self.outs]) for name in ("pixel_values", "pixel_attention_mask", "spatial_shapes")}

    def inputs(self, more=()):
        return self.texts(more) | (self.pixels() if self.outs else {})

    def encoded(self, model):
        return torch.cat(list(model.model.get_image_features(**self.pixels()).pooler_output)).float()


class LinedPrompt(SquarePrompt):
    """The same between lines, whose tokens see each other; pieces of long ones behind words."""

    def show(self, *part):
        _, width, height, seed = part
        out = self.processor(images=[Image.fromarray(picture(width, height, seed))], return_tensors="pt")
        self.pixels.append(out["pixel_values"])
        self.media.append([*part, len(self.ids)])
        count = len(out["pixel_values"])
        words = ["Here is the original image " * (count > 1), *[" and here are some crops to help you see better "] * (count > 1),
                 *[" "] * (count - 2)]
        for before in words:
            self.add(letters(before + "\n\n") + [START] + [IMAGE] * self.count + [END] + letters("\n\n"))

    def texts(self, more):
        found = super().texts(more)
        return found | dict(token_type_ids=(found["input_ids"] == IMAGE).long())


class PrefixPrompt(SquarePrompt):
    """The same of which all tokens see each other, but for those that are generated."""

    def texts(self, more):
        found = super().texts(more)
        types = torch.tensor([[0] * len(self.ids) + [1] * len(more)])
        return found | (dict(token_type_ids=types) if self.pixels else {})

    def encoded(self, model):
        """Of all tokens, words included."""
        inputs = self.inputs()
        rows = model.get_input_embeddings()(inputs["input_ids"][0])
        rows[inputs["input_ids"][0] == IMAGE] = model.model.get_image_features(inputs["pixel_values"]).pooler_output.flatten(0, 1)
        return rows.float()


class TilePrompt(Prompt):
    """Tiles of the processor that InternVL's has, which asks it to cut; frames of that of its videos, which does not."""

    def __init__(self, parts, number, processor, count, frames):
        self.processor, self.frames, self.count, self.pixels = processor, frames, count, []
        super().__init__(parts, number)

    def show_frames(self, count, width, height, seed):
        self.media.append([count, width, height, seed, len(self.ids)])
        for i in range(count):
            out = self.frames(images=[Image.fromarray(picture(width, height, seed + i))], crop_to_patches=False, return_tensors="pt")
            self.pixels.append(out["pixel_values"])
            self.add(letters("\n" * (i > 0) + f"Frame{i + 1}: ") + [START] + [IMAGE] * self.count + [END])

    def show(self, kind, width, height, seed):
        if kind:
            return self.show_frames(kind, width, height, seed)
        out = self.processor(images=[Image.fromarray(picture(width, height, seed))], crop_to_patches=True, return_tensors="pt")
        self.pixels.append(out["pixel_values"])
        self.media.append([kind, width, height, seed, len(self.ids)])
        self.add([START] + [IMAGE] * (self.count * len(out["pixel_values"])) + [END])

    def inputs(self, more=()):
        return self.texts(more) | (dict(pixel_values=torch.cat(self.pixels)) if self.pixels else {})


class CoveredPrompt(Prompt):
    """Tiles and the whole, a token behind each of them."""

    def __init__(self, parts, number, processor, count):
        self.processor, self.count, self.pixels = processor, count, []
        super().__init__(parts, number)

    def show(self, *part):
        _, width, height, seed = part
        out = self.processor(images=[Image.fromarray(picture(width, height, seed))], return_tensors="pt")
        self.pixels.append(out["pixel_values"])
        self.media.append([*part, len(self.ids)])
        self.add([START] + ([IMAGE] * self.count + [BESIDE]) * len(out["pixel_values"]) + [END])

    def inputs(self, more=()):
        return self.texts(more) | (dict(pixel_values=torch.cat(self.pixels)) if self.pixels else {})


class WordedPrompt(Prompt):
    """The whole and its tiles, with visual words around and between them."""

    def __init__(self, parts, number, processor, count):
        self.processor, self.count, self.pixels, self.kinds = processor, count, [], []
        super().__init__(parts, number)

    def show(self, *part):
        _, width, height, seed = part
        self.media.append([*part, len(self.ids)])
        out = self.processor(images=[Image.fromarray(picture(width, height, seed))], return_tensors="pt")
        self.pixels.append(out["pixel_values"])
        rows, columns = out["grids"][0].tolist()
        ids = [START] + [IMAGE] * self.count + [END]
        for row in range(rows if rows * columns > 1 else 0):
            for column in range(columns):
                ids += [IMAGE] * self.count + [BESIDE] * (column + 1 < columns)
            ids += [UNDER] * (row + 1 < rows)
        self.add(ids + [VIDEO_END])
        self.kinds += ids + [VIDEO_END]

    def inputs(self, more=()):
        return self.texts(more) | (dict(pixel_values=torch.cat(self.pixels)) if self.pixels else {})

    def encoded(self, model):
        """Of all tokens of pictures, words included."""
        seen = model.model.get_image_features(torch.cat(self.pixels))
        rows = iter(seen.pooler_output.flatten(0, 1))
        words = dict(zip(model.config.visual_indicator_token_ids, seen.visual_indicator_features))
        return torch.stack([next(rows) if kind == IMAGE else words[kind] for kind in self.kinds]).float()


class FittingPrompt(Prompt):
    """The whole, then tiles, nothing between them; frames as a square each."""

    def __init__(self, parts, number, processor, count):
        self.processor, self.count, self.pixels = processor, count, {IMAGE: [], VIDEO: []}
        super().__init__(parts, number)

    def show(self, *part):
        frames, width, height, seed = part
        token = VIDEO if frames else IMAGE
        how = dict(vision_input_type="vanilla", **FRAME_CHANNELS) if frames else {}
        shown = [Image.fromarray(picture(width, height, seed + i)) for i in range(max(frames, 1))]
        outs = [self.processor(images=[one], return_tensors="pt", **how)["pixel_values"][0] for one in shown]
        self.pixels[token].append(torch.cat(outs))
        self.place(part, token, self.count * len(self.pixels[token][-1]))

    def inputs(self, more=()):
        names = {IMAGE: "pixel_values", VIDEO: "pixel_values_videos"}
        return self.texts(more) | {names[token]: torch.cat(shown)[None] for token, shown in self.pixels.items() if shown}

    def encoded(self, model):
        rows = {token: [model.model.get_image_features(one[None]).pooler_output.flatten(0, 1) for one in shown]
                for token, shown in self.pixels.items()}
        return torch.cat([rows[VIDEO if frames else IMAGE].pop(0) for frames, *_ in self.media]).float()


class NumberedPrompt(CoveredPrompt):
    """Tiles behind their numbers, then the whole."""

    def show(self, *part):
        _, width, height, seed = part
        out = self.processor(images=[Image.fromarray(picture(width, height, seed))], crop_to_patches=True, return_tensors="pt")
        self.pixels.append(out["pixel_values"])
        self.media.append([*part, len(self.ids)])
        self.add([START])
        for tile in range(1, len(out["pixel_values"])):
            self.add(letters(f"TILE_{tile}") + [IMAGE] * self.count)
        self.add(letters("TILE_GLOBAL") + [IMAGE] * self.count + [END])


class PatchPrompt(Prompt):
    def __init__(self, parts, number, processor, case):
        self.processor, self.case, self.merge, self.types = processor, case, case["merge"], []
        self.pixels, self.grids = {1: [], 2: []}, {1: [], 2: []}
        super().__init__(parts, number)

    def add(self, ids):
        super().add(ids)
        self.types += [{IMAGE: 1, VIDEO: 2}.get(token, 0) for token in ids]

    def show(self, *part):
        if part[0] and "frames" in self.case:
            return self.show_timed(*part)
        values, grid = patches_of(self.processor, *part)
        kind = 2 if part[0] else 1
        self.pixels[kind].append(values)
        self.grids[kind].append(grid)
        self.add([START])
        self.place(part, VIDEO if part[0] else IMAGE, self.tokens_of(*grid))
        self.add([END])

    def tokens_of(self, frames, rows, columns):
        return frames * rows * columns // self.merge**2

    def show_timed(self, *part):
        values, grid = frames_of(self.case, *part)
        self.pixels[2].append(values)
        self.grids[2].append(grid)
        if self.case["timed"] != "words":
            self.add([VIDEO_START])
        self.media.append([*part, len(self.ids)])
        # A video without a rate has two frames a second.
        count = grid[1] * grid[2] // self.merge**2
        if self.case["timed"] == "words":
            for words in seconds(part[0], 2):
                self.add(letters(words) + [START] + [VIDEO] * count + [END])
            return
        for pair in range(grid[0]):
            self.add([START] + [IMAGE] * count)
            self.types[-count:] = [2] * count
            second = 2 * pair / 2
            self.add([END] + letters(str(int(second)) if self.case["timed"] == "seconds" else f"{second:.1f} seconds"))
        self.add([VIDEO_END])

    def inputs(self, more=()):
        found = dict(input_ids=torch.tensor([self.ids + list(more)]),
                     mm_token_type_ids=torch.tensor([self.types + [0] * len(more)]))
        if "moe_num_experts" in self.case["config"]["text_config"]:
            # As the processor says it of a text, also of tokens that were generated: in 5.24's steps these are words all.
            found["moe_mm_token_type_ids"] = torch.tensor([[int(token in (IMAGE, START, END, VIDEO, VIDEO_START, VIDEO_END))
                                                                   for token in self.ids + list(more)]])
        for kind, pixels, grid in ((1, "pixel_values", "image_grid_thw"), (2, "pixel_values_videos", "video_grid_thw")):
            if self.pixels[kind]:
                found[pixels] = torch.cat(self.pixels[kind])
                found[grid] = torch.tensor(self.grids[kind])
        return found


class EdgedPrompt(PatchPrompt):
    """A token behind each line, one before all and one behind."""

    def tokens_of(self, frames, rows, columns):
        return rows // self.merge * (columns // self.merge + 1) + 2


class BracketedPrompt(PatchPrompt):
    """Pictures with what the processor, and no template, writes around them."""

    def show(self, *part):
        values, grid = patches_of(self.processor, *part)
        self.pixels[1].append(values)
        self.grids[1].append(grid)
        self.media.append([*part, len(self.ids)])
        self.add([START] + [IMAGE] * (grid[1] * grid[2] // self.merge**2) + [END])


class ChangingPrompt(Prompt):
    """Pictures, and frames behind their seconds, at two a second, of which those blocks count that change."""

    def __init__(self, parts, number, processor, case):
        from transformers import VideoLlama3VideoProcessor
        # Resized as Pillow does it, before it.
        self.processor, self.shown, self.size = processor, {IMAGE: [], VIDEO: []}, CHANGING_FRAMES
        self.frames = VideoLlama3VideoProcessor(do_resize=False, patch_size=processor.patch_size, **case["changing"])
        super().__init__(parts, number)

    def show(self, *part):
        frames, width, height, seed = part
        pictures = [Image.fromarray(picture(width, height, seed + i)) for i in range(max(frames, 1))]
        self.media.append([*part, len(self.ids)])
        if not frames:
            out = self.processor(images=pictures, return_tensors="pt")
            self.shown[IMAGE].append(out)
            self.add([IMAGE] * int(out["image_grid_thw"].prod() // out["image_merge_sizes"][0] ** 2))
            return
        from transformers.models.video_llama_3.video_processing_video_llama_3 import smart_resize
        to = smart_resize(height, width, self.frames.patch_size * self.frames.merge_size, self.size["shortest_edge"],
                          self.size["longest_edge"] // frames)
        resized = [numpy.asarray(one.resize(to[::-1], Image.Resampling.BICUBIC)) for one in pictures]
        out = self.frames(videos=[torch.tensor(numpy.stack(resized)).permute(0, 3, 1, 2)], return_tensors="pt")
        self.shown[VIDEO].append(out)
        for i, kept in enumerate(out["video_compression_mask"].view(frames, -1)):
            self.add(letters("," * (i > 0) + f"Time {i / 2:.1f}s:") + [VIDEO] * int(kept.sum()))

    def inputs(self, more=()):
        found = self.texts(more)
        for outs in self.shown.values():
            found |= {name: torch.cat([out[name] for out in outs]) for name in (outs[0] if outs else ()) if name != "video_metadata"}
        return found

    def encoded(self, model):
        rows = {token: [self.rows(model, out, name) for out in outs] for (token, outs), name in zip(self.shown.items(), ("image", "video"))}
        return torch.cat([rows[VIDEO if frames else IMAGE].pop(0) for frames, *_ in self.media]).float()

    def rows(self, model, out, name):
        pixels = out["pixel_values" if name == "image" else "pixel_values_videos"]
        seen = model.model.get_image_features(pixels, out[f"{name}_grid_thw"], out[f"{name}_merge_sizes"]).pooler_output[0]
        return seen[out["video_compression_mask"]] if name == "video" else seen


class OmniPrompt(PatchPrompt):
    """Pictures and frames as Qwen2.5-VL's, and sound."""

    def __init__(self, parts, number, processor, case, extractor):
        self.extractor, self.sounds = extractor, []
        super().__init__(parts, number, processor, case)

    def show(self, *part):
        if part[0] >= 0:
            return super().show(*part)
        mel, mask = self.hear(part[1], part[3])
        self.sounds.append((torch.tensor(mel), torch.tensor(mask)))
        self.add([AUDIO_START])
        self.place(part, AUDIO, self.count(int(mask.sum())))
        self.add([AUDIO_END])

    def hear(self, samples, seed):
        return heard(self.extractor, samples, seed)

    def count(self, frames):
        """Tokens of a sound."""
        return ((frames - 1) // 2 + 1 - 2) // 2 + 1

    def inputs(self, more=()):
        found = super().inputs(more)
        found.pop("mm_token_type_ids")
        found["attention_mask"] = torch.ones_like(found["input_ids"])
        if self.sounds:
            longest = max(len(mask) for _, mask in self.sounds)
            padded = [[torch.nn.functional.pad(of, (0, longest - of.shape[-1])) for of in sound] for sound in self.sounds]
            found["input_features"], found["feature_attention_mask"] = (torch.stack(of) for of in zip(*padded))
        if self.grids[2]:
            # Two frames of two a second.
            found["video_second_per_grid"] = torch.tensor([1.0] * len(self.grids[2]))
        return found

    def positions(self, model):
        inputs = self.inputs()
        lengths = torch.tensor([int(mask.sum()) for _, mask in self.sounds])
        found, _ = model.model.get_rope_index(inputs["input_ids"], inputs.get("image_grid_thw"), inputs.get("video_grid_thw"),
                                              inputs["attention_mask"], False, lengths, inputs.get("video_second_per_grid"))
        return found[:, 0].long()

    def seen(self, out):
        return list(out.pooler_output)

    def encoded(self, model):
        inputs = self.inputs()
        rows = {"image": [], "video": [], "audio": []}
        if "pixel_values" in inputs:
            rows["image"] = self.seen(model.model.get_image_features(inputs["pixel_values"], inputs["image_grid_thw"]))
        if "pixel_values_videos" in inputs:
            rows["video"] = self.seen(model.model.get_video_features(inputs["pixel_values_videos"], inputs["video_grid_thw"]))
        if self.sounds:
            of = model.model.get_audio_features(inputs["input_features"], inputs["feature_attention_mask"]).last_hidden_state
            rows["audio"] = list(of.split([self.count(int(mask.sum())) for _, mask in self.sounds]))
        found = [rows["audio" if part[0] < 0 else "video" if part[0] else "image"].pop(0) for part in self.media]
        # Sound has no vectors for layers of text, as if these were zeros.
        width = max(of.shape[1] for of in found)
        return torch.cat([torch.nn.functional.pad(of, (0, width - of.shape[1])) for of in found]).float()


class StretchedOmniPrompt(OmniPrompt):
    """Sound in stretches, as Qwen3-ASR's; vectors for layers of text behind each row of what is seen."""

    def __init__(self, parts, number, processor, case, extractor):
        self.stretch = 2 * case["config"]["audio_config"]["n_window"]
        super().__init__(parts, number, processor, case, extractor)

    def hear(self, samples, seed):
        """Each by itself: of several, 5.24 fills the shorter ones up, and counts a frame more."""
        mel = mel_of_wave(self.extractor, samples, seed, 0)
        return mel, numpy.ones(mel.shape[1], numpy.int64)

    def count(self, frames):
        return frames // self.stretch * 13 + thrice_halved(frames % self.stretch)

    def seen(self, out):
        return [torch.cat([rows, *more], 1) for rows, *more in zip(out.pooler_output, *out.deepstack_features)]


@torch.no_grad()
def encoded(model, prompt):
    """What the encoder gives, in the order of the prompt."""
    if hasattr(prompt, "encoded"):
        return prompt.encoded(model)
    inputs = prompt.inputs()
    if "input_features" in inputs:
        seen = []
        hook = model.model.multi_modal_projector.register_forward_hook(lambda _, __, out: seen.append(out))
        logits(model, prompt)
        hook.remove()
        return torch.cat([rows[:count] for rows, count in zip(seen[0], prompt.counts())]).float()
    if isinstance(prompt, (SquarePrompt, SplitPrompt, TilePrompt, CoveredPrompt)):
        return torch.cat(list(model.model.get_image_features(inputs["pixel_values"]).pooler_output)).float()
    rows = torch.zeros(0)
    outs = {}
    if "pixel_values" in inputs:
        outs[1] = features(model.model.get_image_features(inputs["pixel_values"], inputs["image_grid_thw"]))
    if "pixel_values_videos" in inputs:
        outs[2] = features(model.model.get_video_features(inputs["pixel_values_videos"], inputs["video_grid_thw"]))
    parts = [outs[2 if frames else 1].pop(0) for frames, *_ in prompt.media]
    return torch.cat(parts).float() if parts else rows


def features(found):
    """Rows of each thing, behind the embedding of a token what is added to it behind the first layers."""
    rows = list(found.pooler_output)
    deep = getattr(found, "deepstack_features", None)
    if deep is None:
        return rows
    levels = [(level if torch.is_tensor(level) else torch.cat(list(level))).split([len(own) for own in rows]) for level in deep]
    return [torch.cat([own, *(level[i] for level in levels)], 1) for i, own in enumerate(rows)]


def has(model, name):
    return hasattr(getattr(model, "model", None), name)


def positions(model, prompt):
    if hasattr(prompt, "positions"):
        return prompt.positions(model)
    if not has(model, "get_rope_index") or model.config.model_type == "exaone4_5":
        return None
    inputs = prompt.inputs()
    found, _ = model.model.get_rope_index(inputs["input_ids"], inputs["mm_token_type_ids"],
                                          image_grid_thw=inputs.get("image_grid_thw"),
                                          video_grid_thw=inputs.get("video_grid_thw"))
    return found[:, 0]


@torch.no_grad()
def logits(model, prompt, more=()):
    # Without it the class goes on where the prompt before ended.
    if has(model, "rope_deltas"):
        model.model.rope_deltas = None
    return model(**prompt.inputs(more), use_cache=False).logits[0].float()


def record(fresh, prompt):
    model = fresh()
    out, tokens, margins = logits(model, prompt), [], []
    for _ in range(NEW_TOKENS):
        best = logits(model, prompt, tokens)[-1].topk(2)
        tokens.append(int(best.indices[0]))
        margins.append(float(best.values[0]) - float(best.values[1]))
    rows = rows_of(len(prompt.ids))
    found = {"tokens": torch.tensor(prompt.ids), "rows": rows, "logits": out[rows],
             "logits_bf16": logits(rounded(fresh()), prompt)[rows], "greedy": torch.tensor(tokens),
             "greedy_margin": torch.tensor(margins)}
    placed = positions(model, prompt)
    if placed is not None:
        found["positions"] = placed
    if prompt.media:
        rows = encoded(model, prompt)
        kept = rows_of(len(rows))
        found |= {"media": torch.tensor(prompt.media), "encoded_rows": kept, "encoded": rows[kept]}
    return found


def recipe_of(tensors, model, seed, tied=False):
    found = draw(tensors, model, False)
    if tied:
        # Of the encoder no weight is tied.
        found |= {name: entry for name, entry in draw(tensors, model, True).items() if name.startswith(("language_model", "model.language_model"))}
    recipe = {"seed": seed, "dtype": "float32", "tensors": found}
    for name, entry in recipe["tensors"].items():
        # A convolution sums over all that is behind its outputs.
        if len(entry["shape"]) >= 4:
            entry["std"] = float(f"{1.5 / numpy.prod(entry['shape'][1:]) ** 0.5:.4g}")
        # Published files of Qwen have experts [experts, inputs, outputs], 5.24 writes [experts, outputs, inputs], and reads both.
        if ".layers.0.mlp.experts." in name and len(entry["shape"]) == 3 and model.config.model_type not in ("mistral3", "qwen3_omni_moe_thinker"):
            entry["shape"] = [entry["shape"][i] for i in (0, 2, 1)]
        # Rows of their own, and what layers' results are multiplied by.
        if name.endswith(("position_embedding", "position_embeddings", "position_embedding_table", "class_embedding", "cls_token",
                          "positional_embedding_vlm", "pos_emb.weight", "pos_embed")):
            entry["std"] = 1.0
        if name.endswith(("rel_pos_h", "rel_pos_w")):
            entry["std"] = 0.3
        if name.endswith(("lambda_1", "lambda_2", "ls1", "ls2", "gamma_1", "gamma_2")):
            entry["mean"] = 1.0
        # Vectors of distances, and what a norm over batches has seen.
        if name.endswith("rel_pos_emb.weight"):
            entry["std"] = 1.0
        if name.endswith("running_var"):
            entry |= dict(mean=1.0, std=0.15)
        if name.endswith("projector.query"):
            entry["std"] = 1.0
        if name.endswith("std_scale"):
            entry["mean"] = 1.0
        if name.endswith("std_bias"):
            entry["std"] = 4.0
        # Mllama's: what is learned of places, and gates that let through.
        if name.endswith("positional_embedding.embedding"):
            entry["std"] = 1.0
        if name.endswith(("embedding.gate", "gate_attn", "gate_ffn", "_attn_gate", "_mlp_gate")):
            entry["mean"] = 0.7
        # Bounds that some numbers are beyond.
        if name.endswith(("put_min", "put_max")):
            bounds = {"input_min": -1.5, "input_max": 1.25, "output_min": -1.0, "output_max": 1.75}
            entry["mean"] = bounds[name.rpartition(".")[2]]
    return recipe


def published(name):
    """What 5.24 reads under these names of Kimi-K2.5's and Qianfan-OCR's files it writes under others, which it does not read all."""
    for wrong, right in (("language_model.model.encoder.layers.", "language_model.model.layers."),
                         ("language_model.model.blocks.", "language_model.model.layers."), ("model.mm_projector.", "mm_projector."),
                         ("vision_tower.encoder.patch_embed.", "vision_tower.patch_embed.")):
        if name.startswith(wrong):
            return right + name[len(wrong):]
    return name


def renamed(name, pairs):
    """A name whose first part is another one, as the first pair says that fits it."""
    return next((other + name[len(one):] for one, other in pairs if name.startswith(one)), name)


def without_eyes():
    """Lets Gemma 3n be made without what sees, which is timm's."""
    from transformers.models.gemma3n import configuration_gemma3n, modeling_gemma3n

    class Blind(transformers.AutoModel):
        @classmethod
        def from_config(cls, config, **kwargs):
            return torch.nn.Identity() if config.model_type == "gemma3n_vision" else super().from_config(config, **kwargs)

    modeling_gemma3n.AutoModel = Blind
    configuration_gemma3n.Gemma3nVisionConfig.from_dict = classmethod(lambda cls, raw, **kwargs: cls(**raw))


def masks_of_generate():
    """Lets steps of Gemma 4 Unified see pictures in layers with a window alone, as `generate` does; by itself a step of 5.24 does it in all."""
    from transformers.models.gemma4_unified import modeling_gemma4_unified as unified
    usual = unified.create_masks_for_generate
    unified.create_masks_for_generate = lambda **given: (
        unified.create_masks_for_vision_model if "block_sequence_ids" in given else usual)(**given)


def transformers_checkpoint(case, family, out):
    """Writes config.json and the recipe of a family that transformers has. Returns what loads the model."""
    family = family.partition("-")[0]
    family = case.get("model_type", family)
    config = CONFIG_MAPPING[family](**case["config"])
    torch.manual_seed(0)
    auto = CLASSES.get(family, AutoModelForImageTextToText)
    made = (auto._from_config if family in CLASSES else auto.from_config)(config, attn_implementation="eager").float().eval()
    model_class = type(made)
    kept = case.get("thinker", [])
    tensors = {renamed(published(name), [(read, stored) for stored, read in kept]): tensor for name, tensor in saved(made, out).items()}
    raw = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps(raw, indent=2) + "\n")
    (out / "generation_config.json").unlink(missing_ok=True)
    make = lambda found: put(found, model_class, out, config, "float32", lambda name: renamed(name, kept))
    head = next((name for name in tensors if name.endswith("lm_head.weight")), None)
    last = None if head else next(name for name in tensors if name.endswith(("model.norm.weight", "embedding_norm.weight")))
    # Gemma's norms are stored as distances from one.
    stored_zero = last is not None and tensors[last].abs().max() == 0
    write_recipe(recipe_of(tensors, made, case.get("seed", SEED), head is None), out, make, head, last, stored_zero)
    load = lambda: model_class.from_pretrained(out, dtype=torch.float32, attn_implementation="eager").eval()
    return adapted(load, out, case["adapter"]) if "adapter" in case else load


def adapted(load, out, config):
    """Adds an adapter of the text to the recipe and writes what peft writes of it. Returns what loads a model that has it, switched by
    prompts as `generate` of Granite Speech does."""
    (out / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")
    recipe, rank, places = json.loads((out / "weights.json").read_text()), config["r"], []
    for layer, of in enumerate(load().model.language_model.layers):
        for target in config["target_modules"]:
            name = f"base_model.model.language_model.model.layers.{layer}.self_attn.{target}.lora_"
            outs, ins = getattr(of.self_attn, target).weight.shape
            recipe["tensors"] |= {name + "A.weight": {"shape": [rank, ins], "mean": 0.0, "std": rounded_number(1 / ins ** 0.5)},
                                  name + "B.weight": {"shape": [outs, rank], "mean": 0.0, "std": rounded_number(1 / rank ** 0.5)}}
            places.append((layer, target, name))
    save_recipe(recipe, out)
    tensors = {name: torch.from_numpy(value) for name, value in recipe_weights(recipe).items() if ".lora_" in name}

    def fresh():
        model = load()
        for layer, target, name in places:
            of = getattr(model.model.language_model.layers[layer].self_attn, target)
            of.down, of.up = (torch.nn.Parameter(tensors[name + end].clone()) for end in ("A.weight", "B.weight"))
            of.register_forward_hook(lambda of, given, result: result + PairedPrompt.hears * config["lora_alpha"] / rank * (given[0] @ of.down.T @ of.up.T))
        return model

    return fresh


def remote_checkpoint(case, out):
    """The same of a family that transformers has under other names."""
    raw = case["raw"]
    stand_in = MEDIA_FAMILIES[raw["model_type"]](raw)
    (out / "config.json").write_text(json.dumps(raw, indent=2) + "\n")
    tensors = {name: torch.ones(shape) for name, (shape, _) in stand_in.tensors.items()}
    load = lambda found: stand_in.model({name: torch.from_numpy(value) for name, value in recipe_weights(found).items()})
    write_recipe(recipe_of(tensors, torch.nn.Module(), case.get("seed", SEED)), out, load, stand_in.head, None)
    return lambda: load(json.loads((out / "weights.json").read_text()))


def tile_processor(side, tiles, channels=IMAGENET):
    from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
    return GotOcr2ImageProcessorPil(size={"height": side, "width": side}, max_patches=tiles, **channels)


def save_reference(out, found, **by):
    """Writes what was recorded and says how much it would show. by: what computed it."""
    check({name: value for name, value in found.items() if not name.endswith("media")})
    file = out / "reference.safetensors"
    save_file(found, file, metadata={"transformers": transformers.__version__, **by,
                                     "torch": torch.__version__.split("+")[0]})
    file.chmod(0o644)
    size = sum(path.stat().st_size for path in out.iterdir())
    spread = lambda end: torch.cat([value for name, value in found.items() if name.endswith(end)]).std().item()
    margin = min(value.min().item() for name, value in found.items() if name.endswith("margin"))
    print(f"{out}: {size} bytes, std of logits {spread('/logits'):.2f}, of encoded rows {spread('/encoded'):.2f}, "
          f"smallest margin {margin:.2g}")
    if size > 2 * LARGEST:
        raise SystemExit(f"larger than {2 * LARGEST} bytes")


def write_frames(out, values):
    (out / "video_preprocessor_config.json").write_text(json.dumps(values, indent=2) + "\n")


def main():
    family, out = sys.argv[1], pathlib.Path(sys.argv[2])
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    case = CASES[family]
    if family.startswith("gemma3n"):
        without_eyes()
    if family.startswith("gemma4_unified"):
        masks_of_generate()
    out.mkdir(parents=True, exist_ok=True)
    fresh = remote_checkpoint(case, out) if "raw" in case else transformers_checkpoint(case, family, out)
    config = case.get("raw") or case["config"]
    hears = "audio_config" in config and not {"merge", "fitted", "ended"} & set(case)
    if hears:
        processor = transformers.WhisperFeatureExtractor(feature_size=config["audio_config"]["num_mel_bins"])
    elif "speech" in case:
        hearing = dict(n_mels=config["encoder_config"]["input_dim"] // 2, projector_window_size=config["window_size"],
                       projector_downsample_rate=config["downsample_rate"])
        processor = pairing_extractor(**hearing)
        (out / "preprocessor_config.json").write_text(json.dumps(hearing, indent=2) + "\n")
    elif "ended" in case:
        processor = transformers.Gemma3nAudioFeatureExtractor(feature_size=config["audio_config"]["input_feat_size"])
        (out / "preprocessor_config.json").write_text(json.dumps(dict(feature_size=processor.feature_size), indent=2) + "\n")
    elif "tiles" in case:
        processor = frames = tile_processor(56, case["tiles"])
        if "stills" in case:
            processor.save_pretrained(out)
        elif "raw" not in case:
            processor.save_pretrained(out)
            # Files of their own, which say something else.
            channels = dict(image_mean=[0.5] * 3, image_std=[0.25] * 3)
            frames = tile_processor(56, 1, channels)
            write_frames(out, dict(size={"height": 56, "width": 56}, **channels))
    else:
        processor = square_processor(case) if "merge" not in case else processor_of(case, family)
        processor.save_pretrained(out)
        if "frames" in case:
            write_frames(out, dict(patch_size=case["patch"], size=case["frames"], **case.get("processor", {})))
    found = {}
    if hears:
        kinds = {"voxtral": StretchPrompt, "qwen3_asr": ChunkPrompt, "audioflamingo3": WindowPrompt, "glmasr": GroupPrompt}
        sounding = kinds.get(family.partition("-")[0])
        audio = [config["audio_config"]] if sounding else []
        prompts = [(sounding or SoundPrompt)(parts, i, processor, *audio) for i, parts in enumerate(SOUNDS)]
    elif "audio_config" in config and "merge" in case:
        extractor = transformers.WhisperFeatureExtractor(feature_size=config["audio_config"]["num_mel_bins"])
        kind = StretchedOmniPrompt if "n_window_infer" in config["audio_config"] else OmniPrompt
        prompts = [kind(parts, i, processor, case, extractor) for i, parts in enumerate(OMNI)]
    elif "speech" in case:
        prompts = [PairedPrompt(parts, i, processor) for i, parts in enumerate(ENDED_SOUNDS)]
    elif "ended" in case:
        prompts = [EndedPrompt(parts, i, processor, config) for i, parts in enumerate(ENDED_SOUNDS)]
    elif "merge" in case:
        last = VIDEOS if case.get("timed", "words") != "words" else PROMPTS[-1]
        kind = EdgedPrompt if family.startswith("hunyuan") else BracketedPrompt if "bracketed" in case else PatchPrompt
        prompts = [kind(parts, i, processor, case) for i, parts in enumerate([*PROMPTS[:-1], *[last] * ("pictures" not in case)])]
    elif "tiles" in case:
        prompts = [TilePrompt(parts, i, processor, 4, frames) for i, parts in enumerate([*SQUARES, *[FRAMES] * ("stills" not in case)])]
    elif "tiling" in case:
        prompts = [TilingPrompt(parts, i, processor) for i, parts in enumerate(TILED)]
    elif "changing" in case:
        write_frames(out, dict(patch_size=config["vision_config"]["patch_size"], size=CHANGING_FRAMES, **case["changing"]))
        prompts = [ChangingPrompt(parts, i, processor, case) for i, parts in enumerate(PROMPTS)]
    elif "bounded" in case:
        write_frames(out, dict(max_patches=20, size=dict(max_height=12, max_width=12)))
        processors = [processor, bounded_processor(max_patches=20, size=dict(max_height=12, max_width=12))]
        prompts = [BoundedPrompt(parts, i, processors) for i, parts in enumerate([*FITTED[:-1], BOUNDED_FRAMES])]
    elif "fitted" in case:
        vision = config["vision_config"]
        write_frames(out, dict(patch_size=vision["patch_size"], max_soft_tokens=70, do_normalize=True,
                               **{key: vision[key] for key in ("pooling_kernel_size",) if key in vision}))
        audio = config["audio_config"]
        if case["fitted"] == "merged":
            hearing = dict(feature_size=audio["audio_embed_dim"], audio_samples_per_token=audio["audio_embed_dim"])
            kind, extractor = MergedPrompt, transformers.Gemma4UnifiedAudioFeatureExtractor(**hearing)
        else:
            hearing = dict(feature_size=audio["subsampling_conv_channels"][0])
            kind, extractor = FittedHeardPrompt, transformers.Gemma4AudioFeatureExtractor(**hearing)
        file = out / "preprocessor_config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | hearing, indent=2) + "\n")
        prompts = [kind(parts, i, processor, extractor) for i, parts in enumerate(FITTED_HEARD)]
    elif "tiled" in case:
        prompts = [TiledPrompt(parts, i, processor, config["image_token_index"]) for i, parts in enumerate(SINGLE)]
    elif "quartered" in case:
        prompts = [QuarteredPrompt(parts, i, processor, config["perceiver_config"]["resampler_n_latents"]) for i, parts in enumerate(SQUARES)]
    elif "numbered" in case:
        prompts = [NumberedPrompt(parts, i, processor, 4) for i, parts in enumerate(SQUARES)]
    elif "ovis" in case:
        vision = config["vision_config"]
        count = (vision["image_size"] // vision["patch_size"] // vision["hidden_stride"]) ** 2
        prompts = [WordedPrompt(parts, i, processor, count) for i, parts in enumerate(SQUARES)]
    elif "fitting" in case:
        args = config["vision_config"]["model_args"]
        side = args["img_size"][0]
        write_frames(out, dict(size=dict(height=side, width=side), **FRAME_CHANNELS))
        count = (side // 14 // config["projector_pooling_ratio"]) ** 2
        prompts = [FittingPrompt(parts, i, processor, count) for i, parts in enumerate([*SQUARES, FRAMES])]
    elif "covered" in case:
        prompts = [CoveredPrompt(parts, i, processor, 4) for i, parts in enumerate(SQUARES)]
    elif "anyres" in case:
        sees_frames = "video_token_index" in config
        if sees_frames:
            side = config["vision_config"]["image_size"]
            square = dict(height=side, width=side)
            of_next = dict(size=dict(shortest_edge=side), crop_size=square)
            write_frames(out, (dict(size=square) if sees_several(config) else of_next) | FRAME_CHANNELS)
        prompts = [AnyresPrompt(parts, i, processor, config) for i, parts in enumerate(ONEVISION if sees_frames else SQUARES)]
    else:
        vision = config["vision_config"]
        kinds = {"prefix": PrefixPrompt, "canvas": CanvasPrompt, "lines": LinedPrompt, "clocked": ClockedPrompt, "splits": SplitPrompt, "pages": PagePrompt, "gotten": GottenPrompt, "rowed": RowPrompt, "blocks": BlockPrompt}
        square = next((kind for key, kind in kinds.items() if key in case), SquarePrompt)
        # Of Pixtral's pixels along a block.
        count = unit_of(case) if "rowed" in case or "blocks" in case else (vision["image_size"] // vision["patch_size"]) ** 2
        if "gotten" in case:
            # Each of two convolutions takes every second row and column.
            count = (-(-vision["image_size"] // vision["patch_size"] // 4)) ** 2
        count = config.get("mm_tokens_per_image", count // config.get("scale_factor", vision.get("scale_factor", 1)) ** 2)
        if "clocked" in case:
            write_frames(out, dict(size={"longest_edge": case["splits"]}, max_image_size={"longest_edge": vision["image_size"]},
                                   **FRAME_CHANNELS))
        prompts = [square(parts, i, processor, count) for i, parts in enumerate(CLOCKED if "clocked" in case else SCANNED if "scan" in case else SQUARES)]
    for i, prompt in enumerate(prompts):
        found |= {f"{i}/{name}": value.contiguous() for name, value in record(fresh, prompt).items()}
    (out / "model.safetensors").unlink(missing_ok=True)
    if "thinker" in case:
        raw = json.loads((out / "config.json").read_text())
        whole = {key: raw.pop(key) for key in ("architectures", "transformers_version")} | dict(model_type=family.partition("-")[0])
        (out / "config.json").write_text(json.dumps(whole | dict(thinker_config=raw), indent=2) + "\n")
    save_reference(out, found, model_type="internvl" if "raw" in case else family.partition("-")[0])


if __name__ == "__main__":
    main()
