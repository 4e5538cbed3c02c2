# SPDX-License-Identifier: Apache-2.0
"""Mllama, of Llama 3.2 Vision. A case has `tiles`, the most of a picture."""

import torch
from transformers.models.mllama.processing_mllama import (convert_sparse_cross_attention_mask_to_dense,
                                                          get_cross_attention_token_mask)

from make_media_fixtures import mllama_processor
from media.base import TEXT, VOCAB, Prompt, each, image, side_of

# A picture: behind words, before them, smaller than a tile.
SINGLE = [
    [19],
    [5, (0, 70, 121, 1), 34],
    [(0, 120, 3, 2), 36],
    [3, (0, 30, 20, 3), 2],
]


# Behind words, and two one after the other; before all words, which none are before.
SEVERAL = [
    [2, (0, 70, 121, 1), 3, (0, 120, 3, 2), (0, 30, 20, 3), 26],
    [(0, 30, 20, 3), 4, (0, 70, 121, 1), 2],
]


class TiledPrompt(Prompt):
    """Pictures each of which one token stands for. Tokens from it on see its tiles, up to the next picture behind words."""

    def __init__(self, parts, number, processor, image):
        self.processor, self.image, self.shown = processor, image, []
        self.seen = None
        super().__init__(parts, number)

    def show(self, *part):
        _, width, height, seed = part
        self.shown.append(image(width, height, seed))
        self.seen = self.processor(images=[self.shown], return_tensors="pt")
        self.tiles = self.seen.pop("num_tiles")
        self.place(part, self.image, 1)

    def inputs(self, more=()):
        if self.seen is None:
            return self.texts(more)
        ids = self.ids + list(more)
        masks = [get_cross_attention_token_mask(ids, self.image)]
        mask = convert_sparse_cross_attention_mask_to_dense(masks, self.tiles, self.processor.max_image_tiles, len(ids))
        return self.texts(more) | dict(self.seen) | dict(cross_attention_mask=torch.tensor(mask))

    def encoded(self, model):
        rows = model.model.vision_model(**self.seen).last_hidden_state
        return model.model.multi_modal_projector(rows).flatten(0, -2).float()


def prompts(case, out):
    processor = mllama_processor(side_of(case), case["tiles"])
    processor.save_pretrained(out)
    return each(TiledPrompt, case["shown"], processor, case["config"]["image_token_index"])


CASES = {}
# Tiles of 28 pixels; the middle layer attends to them. The embedding has rows that the head has not.
CASES["mllama"] = dict(
    config=dict(text_config=TEXT | dict(cross_attention_layers=[1], rms_norm_eps=1e-5, pad_token_id=0,
                                        rope_parameters=dict(rope_type="default", rope_theta=10000.0)),
                image_token_index=VOCAB,
                vision_config=dict(hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_global_layers=2,
                                   attention_heads=2,
                                   vision_output_dim=96, image_size=28, patch_size=14,
                                   intermediate_layers_indices=[0, 2])),
    prompts=prompts, shown=SINGLE, tiles=4, seed=1)
# The first and the last layer attend to at most two tiles, of whose layers one is taken.
CASES["mllama-pairs"] = dict(
    config=CASES["mllama"]["config"] | dict(
        text_config=CASES["mllama"]["config"]["text_config"] | dict(num_hidden_layers=4, cross_attention_layers=[0, 3],
                                                                    num_key_value_heads=4),
        vision_config=CASES["mllama"]["config"]["vision_config"] | dict(
            num_global_layers=1, vision_output_dim=64, image_size=42, max_num_tiles=2,
            supported_aspect_ratios=[[1, 1], [1, 2], [2, 1]],
            intermediate_layers_indices=[1])),
    prompts=prompts, shown=SINGLE[:2] + SEVERAL, tiles=2, seed=1)
