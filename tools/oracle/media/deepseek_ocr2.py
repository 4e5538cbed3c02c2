# SPDX-License-Identifier: Apache-2.0
"""DeepSeek-OCR 2."""

import torch
from torch import nn
from transformers.models.deepseek_ocr2 import modeling_deepseek_ocr2 as modeling
from transformers.models.deepseek_ocr2.image_processing_pil_deepseek_ocr2 import DeepseekOcr2ImageProcessorPil

from media.base import IMAGE, SQUARES, TEXT, Prompt, each, image

# Patches along a side of what becomes one row behind SAM's encoder.
STRIDE = 4


class PagePrompt(Prompt):
    """Tiles of each picture, the whole, and a row behind it."""

    def __init__(self, parts, number, processor, count_of):
        self.processor, self.count_of = processor, count_of
        self.pixels, self.tiles, self.counts = [], [], []
        super().__init__(parts, number)

    def show(self, kind, width, height, seed):
        out = self.processor(images=[image(width, height, seed)], return_tensors="pt")
        self.pixels.append(out["pixel_values"])
        count = int(out["num_local_patches"][0])
        self.counts.append(count)
        if count:
            self.tiles.append(out["pixel_values_local"])
        self.place((kind, width, height, seed), IMAGE, self.count_of(out))

    def seen(self):
        tiles = dict(pixel_values_local=torch.cat(self.tiles)) if self.tiles else {}
        return dict(pixel_values=torch.cat(self.pixels), num_local_patches=self.counts) | tiles

    def inputs(self, more=()):
        return self.texts(more) | (self.seen() if self.pixels else {})

    def encoded(self, model):
        return torch.cat(list(model.model.get_image_features(**self.seen()).pooler_output)).float()


def rows_along(pixels, case):
    return pixels // case["config"]["vision_config"]["sam_config"]["patch_size"] // STRIDE


def small_tables(case):
    """The class has tables of 144 and 256 queries, and tells its sizes by 144 rows; these are of small pictures."""
    tiles, whole = [rows_along(case["pages"][name], case) ** 2 for name in ("tile_size", "side")]

    class Tower(TOWER):
        def __init__(self, config):
            super().__init__(config)
            width = config.encoder_config.hidden_size
            self.query_768_resolution = nn.Embedding(tiles, width)
            self.query_1024_resolution = nn.Embedding(whole, width)

        def forward(self, pixel_values, **kwargs):
            kept = self.query_768_resolution
            if rows_along(pixel_values.shape[-1], case) ** 2 != tiles:
                self.query_768_resolution = self.query_1024_resolution
            try:
                return super().forward(pixel_values, **kwargs)
            finally:
                self.query_768_resolution = kept

    modeling.DeepseekOcr2VisionModel = Tower


TOWER = modeling.DeepseekOcr2VisionModel


def prompts(case, out):
    side, *own = [case["pages"][name] for name in ("side", "tile_size", "crop_to_patches", "max_patches")]
    tile, crops, most = own
    processor = DeepseekOcr2ImageProcessorPil(size={"height": side, "width": side}, tile_size=tile,
                                              crop_to_patches=crops, max_patches=most)
    processor.save_pretrained(out)
    count = lambda seen: sum(rows_along(pixels.shape[-1], case) ** 2
                             for name in ("pixel_values", "pixel_values_local") for pixels in seen.get(name, [])) + 1
    return each(PagePrompt, SQUARES, processor, count)


CASES = {}
# Wholes of 16 x 16 patches, 4 x 4 tokens, tiles of 12 x 12, 3 x 3 tokens; windows of 5 x 5, some beyond the edge, before
# a layer that sees all.
CASES["deepseek_ocr2"] = dict(
    config=dict(text_config=TEXT | dict(n_routed_experts=4, n_shared_experts=2, num_experts_per_tok=2,
                                        moe_intermediate_size=24, mlp_layer_types=["dense", "sparse", "sparse"]),
                image_token_id=IMAGE,
                vision_config=dict(
                    sam_config=dict(hidden_size=32, output_channels=24, num_hidden_layers=2, num_attention_heads=2,
                                    image_size=64, patch_size=4, window_size=5, global_attn_indexes=[1], mlp_dim=48,
                                    downsample_channels=[32, 48]),
                    encoder_config=dict(hidden_size=48, intermediate_size=56, num_hidden_layers=2,
                                        num_attention_heads=3, num_key_value_heads=1,
                                        rope_parameters=dict(rope_type="default", rope_theta=1000000.0)))),
    prompts=prompts, pages=dict(side=64, tile_size=48, crop_to_patches=True, max_patches=3), seed=4)
# Pages that are not cut, which are as small as tiles; windows that fit, no biases in SAM, weights of experts multiplied.
FIRST = CASES["deepseek_ocr2"]["config"]
CASES["deepseek_ocr2-small"] = CASES["deepseek_ocr2"] | dict(
    config=FIRST | dict(
        text_config=FIRST["text_config"] | dict(num_key_value_heads=4, routed_scaling_factor=1.5, num_experts_per_tok=4,
                                                mlp_layer_types=["sparse", "dense", "dense"]),
        vision_config=FIRST["vision_config"] | dict(
            sam_config=FIRST["vision_config"]["sam_config"] | dict(window_size=3, global_attn_indexes=[0],
                                                                   qkv_bias=False))),
    pages=dict(side=64, tile_size=48, crop_to_patches=False, max_patches=3), seed=7)
for one in CASES.values():
    one["before"] = lambda one=one: small_tables(one)
