# SPDX-License-Identifier: Apache-2.0
"""LLaVA 1.5 and 1.6 as they were published, with names of their first code."""

from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

from media import llava
from media.base import SQUARES, TEXT, SquarePrompt, each, patches_in
from media.fast_vlm import squared
from media.llava_next import AnyresPrompt

# The id of <image>, which each row gets.
PICTURE = 125


class StandingPrompt:
    """The same for pictures for whose rows that token stands."""

    def place(self, part, token, count):
        super().place(part, PICTURE, count)


class StandingSquares(StandingPrompt, SquarePrompt):
    pass


class StandingTiles(StandingPrompt, AnyresPrompt):
    pass


def prompts(case, _out):
    """The files have nothing about pictures: it is as CLIP has it."""
    raw, vision = case["raw"], case["raw"]["vision_config"]
    side = vision["image_size"]
    square = dict(height=side, width=side)
    sizes = dict(size=dict(shortest_edge=side), crop_size=square)
    if raw.get("image_aspect_ratio") == "anyres":
        canvases = [[height, width] for width, height in raw["image_grid_pinpoints"]]
        config = dict(vision_config=vision, image_grid_pinpoints=canvases)
        return each(StandingTiles, SQUARES, LlavaNextImageProcessorPil(**sizes, image_grid_pinpoints=canvases), config)
    processor = CLIPImageProcessorPil(**sizes)
    mean = tuple(int(255 * value) for value in processor.image_mean)

    def processed(images, **more):
        return processor(images=[squared(image, mean) for image in images], **more)

    count = patches_in(vision) + (raw["mm_vision_select_feature"] == "cls_patch")
    return each(StandingSquares, SQUARES, processed, count)


def published(kind, **more):
    return TEXT | dict(model_type=kind, rope_theta=10000.0, rms_norm_eps=1e-5, hidden_act="silu", tie_word_embeddings=False,
                       mm_vision_tower="openai/clip-vit-large-patch14-336", mm_projector_type="mlp2x_gelu", mm_hidden_size=64,
                       mm_vision_select_layer=-2, mm_vision_select_feature="patch", mm_use_im_start_end=False,
                       vision_config=llava.CASES["llava"]["config"]["vision_config"]) | more


CASES = {}
CASES["llava_llama"] = dict(
    raw=published("llava_llama", image_aspect_ratio="pad", mm_vision_select_feature="cls_patch"),
    computed_as="llava", prompts=prompts, seed=1)
# Of canvases these files have the width first.
CASES["llava_mistral"] = dict(
    raw=published("llava_mistral", image_aspect_ratio="anyres", mm_patch_merge_type="spatial_unpad", mm_vision_select_layer=-1,
                  image_grid_pinpoints=[[112, 56], [112, 112], [168, 56]], sliding_window=None),
    computed_as="llava_next", prompts=prompts, seed=1)
