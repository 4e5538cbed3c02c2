# SPDX-License-Identifier: Apache-2.0
"""Ovis2."""

import torch
from transformers.models.ovis2.image_processing_pil_ovis2 import Ovis2ImageProcessorPil

from media.base import (BESIDE, END, IMAGE, SQUARES, START, TEXT, UNDER, VIDEO_END, VOCAB, PixelPrompt, each, image,
                        side_of)


class WordedPrompt(PixelPrompt):
    """The whole and its tiles, with visual words around and between them."""

    def __init__(self, parts, number, processor, count):
        self.kinds = []
        super().__init__(parts, number, processor, count)

    def show(self, *part):
        _, width, height, seed = part
        self.begin(part)
        out = self.processor(images=[image(width, height, seed)], return_tensors="pt")
        self.pixels.append(out["pixel_values"])
        rows, columns = out["grids"][0].tolist()
        ids = [START] + [IMAGE] * self.count + [END]
        for row in range(rows if rows * columns > 1 else 0):
            for column in range(columns):
                ids += [IMAGE] * self.count + [BESIDE] * (column + 1 < columns)
            ids += [UNDER] * (row + 1 < rows)
        self.add(ids + [VIDEO_END])
        self.kinds += ids + [VIDEO_END]

    def encoded(self, model):
        """Of all tokens of pictures, words included."""
        seen = model.model.get_image_features(torch.cat(self.pixels))
        rows = iter(seen.pooler_output.flatten(0, 1))
        words = dict(zip(model.config.visual_indicator_token_ids, seen.visual_indicator_features))
        return torch.stack([next(rows) if kind == IMAGE else words[kind] for kind in self.kinds]).float()


def prompts(case, out):
    vision, side = case["config"]["vision_config"], side_of(case)
    processor = Ovis2ImageProcessorPil(size={"height": side, "width": side}, **case["ovis"])
    processor.save_pretrained(out)
    return each(WordedPrompt, SQUARES, processor, (side // vision["patch_size"] // vision["hidden_stride"]) ** 2)


CASES = {}
# Blocks of two by two patches become mixtures of 43 words; five others stand around tiles.
AIMV2 = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, image_size=56,
             patch_size=14,
             vocab_size=48, hidden_stride=2)
CASES["ovis2"] = dict(
    config=dict(text_config=TEXT | dict(model_type="qwen2", rope_theta=10000.0), image_token_id=IMAGE, hidden_size=64,
                vocab_size=VOCAB,
                visual_indicator_token_ids=[START, END, BESIDE, UNDER, VIDEO_END], tie_word_embeddings=False,
                vision_config=AIMV2),
    prompts=prompts, ovis=dict(crop_to_patches=True, max_patches=6), seed=1)
# Each patch is a token; biases; tiles as GOT-OCR2 chooses them. With its seed no token about tiles is generated.
CASES["ovis2-plain"] = dict(
    config=CASES["ovis2"]["config"] | dict(
        text_config=TEXT | dict(model_type="llama", rope_theta=10000.0, tie_word_embeddings=True),
        tie_word_embeddings=True,
        vision_config=AIMV2 | dict(image_size=28, hidden_stride=1, qkv_bias=True, mlp_bias=True, vocab_size=37)),
    prompts=prompts, ovis=dict(crop_to_patches=True, max_patches=4, use_covering_area_grid=False), seed=4)
