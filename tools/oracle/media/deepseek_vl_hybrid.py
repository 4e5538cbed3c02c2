# SPDX-License-Identifier: Apache-2.0
"""DeepSeek-VL with two encoders: pictures in the middle of a large square and of a small one."""

import torch
from transformers.models.deepseek_vl_hybrid.image_processing_pil_deepseek_vl_hybrid import (
    DeepseekVLHybridImageProcessorPil,
)

from media.base import IMAGE, SQUARES, TEXT, Prompt, each, image, patches_in, side_of


class TwiceSeenPrompt(Prompt):
    """Pixels of each picture in both sizes."""

    def __init__(self, parts, number, processor, count):
        self.processor, self.count, self.pixels = processor, count, {}
        super().__init__(parts, number)

    def show(self, kind, width, height, seed):
        out = self.processor(images=[image(width, height, seed)], return_tensors="pt")
        for name in ("pixel_values", "high_res_pixel_values"):
            self.pixels.setdefault(name, []).append(out[name])
        self.place((kind, width, height, seed), IMAGE, self.count)

    def seen(self):
        return {name: torch.cat(all_of) for name, all_of in self.pixels.items()}

    def inputs(self, more=()):
        return self.texts(more) | self.seen()

    def encoded(self, model):
        return torch.cat(list(model.model.get_image_features(**self.seen()).pooler_output)).float()


def prompts(case, out):
    fine, side = case["config"]["high_res_vision_config"]["image_size"], side_of(case)
    processor = DeepseekVLHybridImageProcessorPil(
        size={"height": side, "width": side}, high_res_size={"height": fine, "width": fine}, **case["fitted"])
    processor.save_pretrained(out)
    return each(TwiceSeenPrompt, SQUARES, processor, patches_in(case["config"]["vision_config"]))


def scale(name, entry):
    """How much an earlier layer counts."""
    if name.endswith("high_res_vision_alpha"):
        entry |= dict(mean=0.7)


CASES = {}
# Squares of 6 x 6 large patches, drawn out to 16 x 16, beside 4 x 4 small ones; the first layer sees windows.
CASES["deepseek_vl_hybrid"] = dict(
    config=dict(text_config=TEXT | dict(model_type="llama", num_hidden_layers=2, rope_theta=10000.0),
                image_token_id=IMAGE,
                vision_config=dict(model_type="siglip_vision_model", hidden_size=64, intermediate_size=96,
                                   num_hidden_layers=2, num_attention_heads=4, image_size=28, patch_size=7,
                                   hidden_act="gelu", vision_use_head=False),
                high_res_vision_config=dict(model_type="sam_vision_model", hidden_size=64, output_channels=16,
                                            num_hidden_layers=3, num_attention_heads=4, image_size=48, patch_size=8,
                                            window_size=4, global_attn_indexes=[1], mlp_dim=96)),
    prompts=prompts, scale=scale, seed=1,
    fitted=dict(image_mean=[0.5] * 3, image_std=[0.5] * 3, resample=2))
# The last layer is the one that sees whole pictures; no biases; the head is not the embedding.
CASES["deepseek_vl_hybrid-last"] = CASES["deepseek_vl_hybrid"] | dict(
    config=CASES["deepseek_vl_hybrid"]["config"] | dict(
        tie_word_embeddings=False,
        high_res_vision_config=CASES["deepseek_vl_hybrid"]["config"]["high_res_vision_config"] | dict(
            num_hidden_layers=2, qkv_bias=False, mlp_ratio=1.5, mlp_dim=None, image_size=40, window_size=5)),
    fitted=dict(min_size=12), seed=1)
