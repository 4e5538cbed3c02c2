# SPDX-License-Identifier: Apache-2.0
"""HyperCLOVA X Vision: Qwen2.5-VL's tower, behind which a linear stands, before text of HyperCLOVA X."""

from media.base import IMAGE, VIDEO
from media.patches import PatchPrompt, patch_prompts
from media.qwen_vl import processor_of


def prompts(case, out):
    return patch_prompts(case, out, processor_of(case), PatchPrompt)


TEXT = dict(model_type="hyperclovax", vocab_size=131, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, head_dim=16, max_position_embeddings=256, bos_token_id=1,
            eos_token_id=2, embedding_multiplier=3.0, attention_multiplier=0.3, residual_multiplier=0.6,
            logits_scaling=0.7, rope_parameters=dict(rope_type="default", rope_theta=10000.0))
VISION = dict(depth=3, hidden_size=64, intermediate_size=88, num_heads=4, out_hidden_size=48, window_size=56,
              fullatt_block_indexes=[1])
CASES = {}
CASES["hyperclovax_vision_v2"] = dict(
    config=dict(text_config=TEXT, vision_config=VISION, image_token_id=IMAGE, video_token_id=VIDEO,
                tie_word_embeddings=False),
    # As published.
    stored=[("model.language_model.lm_head.", "model.language_model.lm_head."),
            ("model.language_model.model.", "model.language_model.")],
    seed=3, merge=2, patch=14, prompts=prompts)
CASES["hyperclovax_vision_v2-tied"] = dict(
    config=CASES["hyperclovax_vision_v2"]["config"] | dict(
        text_config=TEXT | dict(use_post_norm=False, attention_bias=True),
        vision_config=VISION | dict(depth=1, fullatt_block_indexes=[]), tie_word_embeddings=True),
    seed=4, merge=2, patch=14, prompts=prompts)
