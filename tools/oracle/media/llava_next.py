# SPDX-License-Identifier: Apache-2.0
"""LLaVA-NeXT, LLaVA-NeXT-Video, LLaVA-OneVision and Granite Vision: pictures as tiles of a canvas, and the whole before
them."""

import torch
from transformers import LlavaNextProcessor, LlavaNextVideoProcessor, LlavaOnevisionProcessor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import LlavaOnevisionImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from media import llava, pixtral
from media.base import (FRAME_CHANNELS, IMAGE, SQUARES, TEXT, VIDEO, Prompt, each, image, patches_in, side_of,
                        write_frames)

# One picture is seen otherwise than several; frames beside them.
ONEVISION = [
    [19],
    [5, (0, 200, 50, 3), 2],
    [(0, 120, 3, 2), (0, 50, 90, 3), 7, (0, 30, 30, 4), 3],
    [3, (3, 84, 56, 5), 2, (0, 90, 60, 6), 4, (3, 56, 56, 6), 5],
]


def sees_several(config):
    """Whether a picture beside others is seen otherwise than alone: LLaVA-OneVision."""
    return "vision_aspect_ratio" in config


def token_counter(processor, config):
    """What says how many tokens a picture has: transformers' processor of the family, without a tokenizer."""
    from transformers import LlavaNextProcessor, LlavaNextVideoProcessor, LlavaOnevisionProcessor
    vision = config["vision_config"]
    of_frames = LlavaOnevisionProcessor if sees_several(config) else LlavaNextVideoProcessor
    counter = object.__new__(of_frames if "video_token_index" in config else LlavaNextProcessor)
    counter.image_processor, counter.image_token, counter.video_token = processor, ".", "."
    counter.patch_size, counter.num_image_tokens = vision["patch_size"], patches_in(vision)
    counter.vision_feature_select_strategy = config.get("vision_feature_select_strategy", "default")
    counter.num_additional_image_tokens = int(vision["model_type"] == "clip_vision_model")
    counter.vision_aspect_ratio = config.get("vision_aspect_ratio")
    return counter


def frame_processor(processor):
    if processor.do_center_crop:
        from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
        side = processor.crop_size["height"]
        return CLIPImageProcessorPil(size={"shortest_edge": side},
                                     crop_size={"height": side, "width": side}, **FRAME_CHANNELS)
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
    return SiglipImageProcessorPil(size=dict(height=processor.size.height,
                                             width=processor.size.width), **FRAME_CHANNELS)


def prompts(case, out):
    config, side = case["config"], side_of(case)
    square, canvases = dict(height=side, width=side), config["image_grid_pinpoints"]
    if sees_several(config):
        processor = LlavaOnevisionImageProcessorPil(size=square, image_grid_pinpoints=canvases)
        frames = dict(size=square)
    else:
        frames = dict(size=dict(shortest_edge=side), crop_size=square)
        processor = LlavaNextImageProcessorPil(**frames, image_grid_pinpoints=canvases)
    processor.save_pretrained(out)
    if "video_token_index" not in config:
        return each(AnyresPrompt, SQUARES, processor, config)
    write_frames(out, frames | FRAME_CHANNELS)
    return each(AnyresPrompt, ONEVISION, processor, config)


class AnyresPrompt(Prompt):
    """A picture as one square and as tiles, with what ends a line behind each line."""

    def __init__(self, parts, number, processor, config):
        self.processor, self.counter, self.videos = processor, token_counter(processor, config), []
        self.shown = [image(*part[1:]) for part in parts if not isinstance(part, int) and part[0] == 0]
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
        frames = [image(width, height, seed + i) for i in range(count)]
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


CASES = {}
# Tiles of 56 pixels on canvases of up to four, and the whole before them.
CANVASES = [[56, 112], [112, 56], [112, 112], [168, 56], [56, 168]]
CASES["llava_next"] = dict(
    config=llava.CASES["llava"]["config"] | dict(image_grid_pinpoints=CANVASES),
    prompts=prompts, seed=1)
CASES["llava_next-mistral"] = dict(
    config=CASES["llava_next"]["config"] | dict(
        text_config=pixtral.CASES["llava-pixtral"]["config"]["text_config"], vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        vision_config=llava.CASES["llava-siglip"]["config"]["vision_config"] | dict(image_size=56)),
    prompts=prompts, seed=1)
# Granite Vision: what goes into the first layer and what comes of two later ones, side by side; rows of pictures are
# scaled as words.
CASES["llava_next-granite"] = dict(
    config=CASES["llava_next-mistral"]["config"] | dict(
        text_config=TEXT | dict(model_type="granite", embedding_multiplier=3.0, attention_multiplier=0.3,
                                residual_multiplier=0.6,
                                logits_scaling=4.0, tie_word_embeddings=True),
        vision_feature_layer=[-3, -2, -1], tie_word_embeddings=True),
    prompts=prompts, seed=1)
# The same with frames, of which each block of 2 x 2 patches becomes a token.
CASES["llava_next_video"] = dict(
    config=CASES["llava_next"]["config"] | dict(video_token_index=VIDEO), prompts=prompts, seed=1)
CASES["llava_next_video-qwen2"] = dict(
    config=CASES["llava_next_video"]["config"] | dict(
        text_config=TEXT | dict(model_type="qwen2", rope_theta=10000.0), multimodal_projector_bias=False,
        vision_feature_layer=[-1, 1], vision_feature_select_strategy="full",
        vision_config=llava.CASES["llava-siglip"]["config"]["vision_config"] | dict(image_size=56)), prompts=prompts,
        seed=1)
# Squares of 5 x 5 patches; canvases of more than one tile shrink to the rows of one and a little.
CASES["llava_onevision"] = dict(
    config=llava.CASES["llava-siglip"]["config"] | dict(
        vision_config=llava.CASES["llava-siglip"]["config"]["vision_config"] | dict(image_size=76),
        vision_aspect_ratio="anyres_max_1",
        video_token_index=VIDEO, image_grid_pinpoints=[[76, 76], [76, 152], [152, 76], [152, 152], [76, 228]]),
    # With which no placeholder is generated.
    prompts=prompts, seed=2)
# More tiles before a canvas is drawn in, and rows of the last layer but one.
CASES["llava_onevision-mistral"] = dict(
    config=CASES["llava_onevision"]["config"] | dict(
        text_config=TEXT | dict(model_type="mistral", head_dim=16, sliding_window=None),
        vision_aspect_ratio="anyres_max_3",
        vision_feature_layer=-2),
    prompts=prompts, seed=3)
