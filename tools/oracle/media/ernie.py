# SPDX-License-Identifier: Apache-2.0
"""ERNIE 4.5 VL."""

import torch
from transformers.models.ernie4_5_vl_moe.image_processing_pil_ernie4_5_vl_moe import Ernie4_5_VLMoeImageProcessorPil

from media.base import END, IMAGE, START, TEXT, VIDEO, VIDEO_END, VIDEO_START
from media.patches import SIZE, PatchPrompt, patch_prompts

# Which tokens have experts of their own.
SEEN = (IMAGE, START, END, VIDEO, VIDEO_START, VIDEO_END)


class ErniePrompt(PatchPrompt):
    def inputs(self, more=()):
        """Kinds as the processor says them of a text, also of generated tokens: in 5.24's steps all are words."""
        found = super().inputs(more)
        types = [int(token in SEEN) for token in self.ids + list(more)]
        return found | dict(moe_mm_token_type_ids=torch.tensor([types]))


def prompts(case, out):
    return patch_prompts(case, out, Ernie4_5_VLMoeImageProcessorPil(size=SIZE), ErniePrompt)


CASES = {}
# Tokens of pictures, and those around them, have experts of their own; height and width take turns before time.
CASES["ernie4_5_vl_moe"] = dict(
    config=dict(text_config=TEXT | dict(head_dim=16, moe_num_experts=4, moe_k=4, moe_intermediate_size=[48, 32],
                                        moe_num_shared_experts=2,
                                        rope_parameters=dict(rope_type="default", rope_theta=10000.0,
                                                             mrope_section=[3, 3, 2])),
                tie_word_embeddings=False, image_token_id=IMAGE, video_token_id=VIDEO, image_start_token_id=START,
                image_end_token_id=END, video_start_token_id=VIDEO_START, video_end_token_id=VIDEO_END,
                vision_config=dict(depth=2, hidden_size=64, intermediate_size=96, num_heads=4)),
    seed=2, merge=2, patch=14, prompts=prompts)
# Biases, no expert that all tokens share, an MLP behind experts, a head that is the embedding.
CASES["ernie4_5_vl_moe-bias"] = CASES["ernie4_5_vl_moe"] | dict(
    config=CASES["ernie4_5_vl_moe"]["config"] | dict(
        tie_word_embeddings=True, text_config=CASES["ernie4_5_vl_moe"]["config"]["text_config"] | dict(
            use_bias=True, moe_num_shared_experts=0, mlp_layer_types=["sparse", "dense", "sparse"])), seed=1)
