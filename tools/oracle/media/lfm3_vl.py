# SPDX-License-Identifier: Apache-2.0
"""LFM3-VL: pictures and frames as Qwen3-VL's, convolutions over patches in some layers of the encoder."""

from media.patches import IDS, PatchPrompt, patch_prompts
from media.qwen_vl import processor_of, timed_prompts


def still_prompts(case, out):
    return patch_prompts(case, out, processor_of(case), PatchPrompt)


TEXT = dict(model_type="lfm3", vocab_size=131, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, head_dim=16, max_position_embeddings=256, bos_token_id=1,
            eos_token_id=2, pad_token_id=0, sliding_window=20, layer_types=["sliding_attention", "conv"],
            use_sandwich_norm=False)
VISION = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
              layer_types=["conv", "full_attention"])
CASES = {}
# Seeds with which rounding to bfloat16 moves logits little.
CASES["lfm3_vl"] = dict(
    config=dict(text_config=TEXT, vision_config=VISION, projector_hidden_size=80, tie_word_embeddings=True, **IDS),
    seed=3, merge=2, patch=16, frames={"shortest_edge": 3136, "longest_edge": 50176}, prompts=timed_prompts,
    processor=dict(image_mean=[0.5] * 3, image_std=[0.5] * 3))
# Convolutions that see further, and other layers of text; pictures alone.
CASES["lfm3_vl-wide"] = CASES["lfm3_vl"] | dict(
    config=CASES["lfm3_vl"]["config"] | dict(
        text_config=TEXT | dict(layer_types=["full_attention", "conv"], use_attention_gate=False),
        vision_config=VISION | dict(num_key_value_heads=4, conv_kernel_size=5, layer_types=["full_attention", "conv"],
                                    rope_parameters=dict(rope_type="axial", rope_theta=100.0)),
        projector_hidden_size=48, tie_word_embeddings=False),
    prompts=still_prompts)
