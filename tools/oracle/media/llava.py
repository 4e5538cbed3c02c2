# SPDX-License-Identifier: Apache-2.0
"""LLaVA with towers of CLIP and SigLIP, and VipLLaVA: each picture is one square."""

from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from media.base import IMAGE, SQUARES, TEXT, SquarePrompt, each, patches_in, side_of


def square_prompts(processor, case, out, kind=SquarePrompt):
    """Prompts of a class that sees each picture as all patches of one square."""
    processor.save_pretrained(out)
    return each(kind, SQUARES, processor, patches_in(case["config"]["vision_config"]))


def prompts(case, out):
    side = side_of(case)
    processor = CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    return square_prompts(processor, case, out)


def whole_processor(case):
    """SigLIP's, which crops nothing."""
    side = side_of(case)
    return SiglipImageProcessorPil(size={"height": side, "width": side})


def whole_prompts(case, out):
    return square_prompts(whole_processor(case), case, out)


CASES = {}
CASES["llava"] = dict(
    config=dict(text_config=TEXT | dict(model_type="llama", rope_theta=10000.0), image_token_index=IMAGE,
                vision_config=dict(model_type="clip_vision_model", hidden_size=64, intermediate_size=96,
                                   num_hidden_layers=3,
                                   num_attention_heads=4, image_size=56, patch_size=14, projection_dim=32)),
    prompts=prompts, seed=1)
CASES["llava-qwen2"] = dict(
    config=CASES["llava"]["config"] | dict(text_config=TEXT | dict(model_type="qwen2", rope_theta=10000.0)),
    prompts=prompts, seed=1)
# Pixels behind the last patch are left out; the last layer counts without the norm behind it.
CASES["llava-siglip"] = dict(
    config=dict(text_config=TEXT | dict(model_type="qwen2", rope_theta=10000.0, tie_word_embeddings=True),
                image_token_index=IMAGE, vision_feature_layer=-1, vision_feature_select_strategy="full",
                vision_config=dict(model_type="siglip_vision_model", hidden_size=64, intermediate_size=96,
                                   num_hidden_layers=2, num_attention_heads=4, image_size=60, patch_size=14,
                                   vision_use_head=False)),
    # With which greedy tokens are certain.
    prompts=whole_prompts, seed=5)
CASES["vipllava"] = dict(
    config=CASES["llava"]["config"] | dict(vision_feature_layer=[-2, -1, 1]), prompts=prompts, seed=1)
