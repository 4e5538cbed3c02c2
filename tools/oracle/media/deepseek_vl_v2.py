# SPDX-License-Identifier: Apache-2.0
"""DeepSeek-OCR as it is published. Its encoder is that of transformers' Unlimited-OCR, whose text has a window besides."""

import torch
from transformers.models.deepseek_ocr2.image_processing_pil_deepseek_ocr2 import (
    DeepseekOcr2ImageProcessorPil, get_optimal_tiled_canvas)

from media.base import IMAGE, TEXT, each, write_json
from media.deepseek_ocr2 import STRIDE, PagePrompt

SIDE, TILE, PATCH, TILES = 256, 160, 16, 2
TEXT_EXPERTS = dict(num_key_value_heads=4, n_routed_experts=4, n_shared_experts=2, num_experts_per_tok=2, moe_intermediate_size=24)
SAM = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=1, global_attn_indexes=[1])
CLIP = dict(hidden_size=48, num_hidden_layers=2, num_attention_heads=3, image_size=56, patch_size=14)


class LinedPrompt(PagePrompt):
    """The same, but rows of the encoder end lines, which go through all tiles that stand side by side."""

    def __init__(self, parts, number, processor):
        self.grids = []
        super().__init__(parts, number, processor, None)

    def show(self, kind, width, height, seed):
        columns, rows = get_optimal_tiled_canvas((height, width), (TILE, TILE), 2, TILES)
        along, page = [-(-pixels // PATCH // STRIDE) for pixels in (TILE, SIDE)]
        tiles = rows * along * (columns * along + 1) if max(width, height) > TILE else 0
        self.grids.append([columns, rows])
        self.count_of = lambda _: tiles + page * (page + 1) + 1
        super().show(kind, width, height, seed)

    def seen(self):
        return super().seen() | dict(patches_grid=self.grids)


def prompts(case, out):
    processor = DeepseekOcr2ImageProcessorPil(size={"height": SIDE, "width": SIDE}, tile_size=TILE, max_patches=TILES)
    processor.save_pretrained(out)
    return each(LinedPrompt, [[3, (0, 650, 300, 2), 5]], processor)


def published(load, case, out):
    """The same weights under a config.json as published files have it, which transformers reads as another model's."""
    own = (out / "config.json").read_text()
    sizes = lambda sam: dict(width=sam["hidden_size"], layers=sam["num_hidden_layers"], heads=sam["num_attention_heads"])
    text = TEXT | TEXT_EXPERTS | dict(first_k_dense_replace=1, topk_method="greedy", n_group=1, topk_group=1, use_mla=False,
                                      lm_head=True, rm_head=False, torch_dtype="float32")
    raw = dict(
        architectures=["DeepseekOCRForCausalLM"], model_type="deepseek_vl_v2", image_token_id=IMAGE,
        candidate_resolutions=[[SIDE, SIDE]], global_view_pos="head", tile_tag="2D", language_config=text,
        projector_config=dict(model_type="mlp_projector", projector_type="linear", input_dim=96, n_embed=64),
        vision_config=dict(
            image_size=SIDE, mlp_ratio=3.7362, model_name="deeplip_b_l", model_type="vision",
            width={"clip-l-14-224": sizes(CLIP) | dict(image_size=56, patch_size=14),
                   "sam_vit_b": sizes(SAM) | dict(downsample_channels=[24, 48], global_attn_indexes=[1])}))

    def fresh():
        (out / "config.json").write_text(own)
        model = load()
        write_json(out / "config.json", raw)
        return model

    return fresh


CASES = {}
# Pages of 16 x 16 patches, 4 x 4 rows, for which CLIP has positions; tiles of 10 x 10, 3 x 3 rows, for which they are
# drawn.
CASES["deepseek_vl_v2"] = dict(
    config_of="unlimited_ocr", computed_as="unlimited_ocr",
    config=dict(text_config=TEXT | TEXT_EXPERTS | dict(layer_types=["full_attention"] * 3, sliding_window=64),
                image_token_id=IMAGE,
                vision_config=dict(sam_config=SAM | dict(image_size=SIDE, mlp_dim=64, downsample_channels=[24, 48]),
                                   encoder_config=CLIP | dict(intermediate_size=192))),
    prompts=prompts, loaded=published, seed=4)
