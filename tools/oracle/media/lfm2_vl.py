# SPDX-License-Identifier: Apache-2.0
"""LFM2-VL."""

import torch

from make_media_fixtures import tiling_processor
from media.base import END, IMAGE, START, TEXT, WHOLE, Prompt, each, image, square_at

# As a whole, one pixel high; in tiles side by side, and by two and two.
TILED = [
    [19],
    [5, (0, 50, 21, 1), 4],
    [(0, 60, 1, 2), 7, (0, 130, 50, 3), (0, 20, 30, 4), 3],
    [3, (0, 81, 90, 5), 2],
]


class TilingPrompt(Prompt):
    """Tiles behind words that say where they were, and the whole behind another."""

    def __init__(self, parts, number, processor):
        self.processor, self.outs = processor, []
        super().__init__(parts, number)

    def show(self, *part):
        _, width, height, seed = part
        self.begin(part)
        out = self.processor(images=[image(width, height, seed)], return_row_col_info=True, return_tensors="pt")
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
        return {name: torch.cat([out[name] for out in self.outs])
                for name in ("pixel_values", "pixel_attention_mask", "spatial_shapes")}

    def inputs(self, more=()):
        return self.texts(more) | (self.pixels() if self.outs else {})

    def encoded(self, model):
        return torch.cat(list(model.model.get_image_features(**self.pixels()).pooler_output)).float()


def prompts(case, out):
    processor = tiling_processor(encoder_patch_size=case["config"]["vision_config"]["patch_size"], tile_size=32,
                                 max_tiles=4,
                                 min_image_tokens=4, max_image_tokens=12, max_pixels_tolerance=4.0)
    processor.save_pretrained(out)
    return each(TilingPrompt, TILED, processor)


CASES = {}
# Tiles of 32 pixels, four by four tokens each, and the whole behind them; a square of positions that is larger than
# small pictures and smaller than large ones.
CASES["lfm2_vl"] = dict(
    config=dict(text_config={key: value for key, value in TEXT.items() if key != "intermediate_size"} | dict(
                    model_type="lfm2", layer_types=["conv", "full_attention", "conv"], conv_L_cache=3, block_ff_dim=96,
                    block_multiple_of=16, rope_theta=10000.0),
                image_token_id=IMAGE, projector_hidden_size=48,
                vision_config=dict(model_type="siglip2_vision_model", hidden_size=64, intermediate_size=96,
                                   num_hidden_layers=2,
                                   num_attention_heads=4, patch_size=4, num_patches=36, vision_use_head=False)),
    prompts=prompts, seed=1)
CASES["lfm2_vl-plain"] = CASES["lfm2_vl"] | dict(
    config=CASES["lfm2_vl"]["config"] | dict(projector_use_layernorm=False, tie_word_embeddings=False,
        vision_config=CASES["lfm2_vl"]["config"]["vision_config"] | dict(num_patches=16, vision_use_head=True)), seed=1)
