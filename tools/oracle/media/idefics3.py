# SPDX-License-Identifier: Apache-2.0
"""Idefics 3 and SmolVLM: squares with the whole behind them."""

import torch
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

from media.base import (END, FRAME_CHANNELS, IMAGE, SQUARES, START, TEXT, PixelPrompt, each, image, letters, patches_in,
                        side_of, square_at, write_frames)

# Upright frames, and one behind a picture.
CLOCKED = [[19], [1, (2, 60, 121, 1), 2], [(0, 120, 3, 2), 2, (1, 90, 3, 2), 1]]


class SplitPrompt(PixelPrompt):
    """Squares of a picture, each behind where it is, and the whole behind them."""

    def show(self, kind, width, height, seed):
        out = self.processor(images=[image(width, height, seed)], return_row_col_info=True,
                             return_tensors="pt")
        self.pixels.append(out["pixel_values"][0])
        self.begin((kind, width, height, seed))
        rows, columns = out["rows"][0][0], out["cols"][0][0]
        for row in range(rows):
            for column in range(columns):
                self.add([START, square_at(row, column)] + [IMAGE] * self.count)
            self.add(letters("\n"))
        self.add(letters("\n" * (rows > 0)) + [START, END] + [IMAGE] * self.count + [START])

    def inputs(self, more=()):
        return self.texts(more) | (dict(pixel_values=torch.cat(self.pixels)[None]) if self.pixels else {})


class ClockedPrompt(SplitPrompt):
    """The same, and frames as squares, each behind the second at which it is, at two a second."""

    def show(self, *part):
        frames, width, height, seed = part
        if frames == 0:
            return super().show(*part)
        self.begin(part)
        count, last = {1: "one", 2: "two"}[frames], (frames - 1) // 2
        self.add(letters(f"You are provided the following series of {count} frames "
                         f"from a 0:00:{last:02d} [H:MM:SS] video.\n"))
        whole = type(self.processor)(size=self.processor.size, max_image_size=self.processor.max_image_size,
                                     do_image_splitting=False,
                                     **FRAME_CHANNELS)
        for i in range(frames):
            out = whole(images=[image(width, height, seed + i)], return_tensors="pt")
            self.pixels.append(out["pixel_values"][0])
            self.add(letters(f"\nFrame from 00:{i // 2:02d}:") + [START, END] + [IMAGE] * self.count + [START])
        self.add(letters("\n\n"))


def prompts(case, out, kind=SplitPrompt, shown=SQUARES):
    config = case["config"]
    processor = Idefics3ImageProcessorPil(size={"longest_edge": 112}, max_image_size={"longest_edge": side_of(case)})
    processor.save_pretrained(out)
    return each(kind, shown, processor, patches_in(config["vision_config"]) // config["scale_factor"] ** 2)


def clocked_prompts(case, out):
    sizes = dict(size={"longest_edge": 112}, max_image_size={"longest_edge": side_of(case)})
    write_frames(out, sizes | FRAME_CHANNELS)
    return prompts(case, out, ClockedPrompt, CLOCKED)


CASES = {}
# Tiles of 56 pixels with the whole behind them.
CASES["idefics3"] = dict(
    config=dict(text_config=TEXT | dict(model_type="llama", rope_theta=10000.0), image_token_id=IMAGE, scale_factor=2,
                vision_config=dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                                   image_size=56, patch_size=14)),
    prompts=prompts, seed=1)
# The same with frames, which are a square each.
CASES["smolvlm"] = CASES["idefics3"] | dict(
    config=CASES["idefics3"]["config"] | dict(text_config=TEXT | dict(model_type="llama", tie_word_embeddings=True)),
    prompts=clocked_prompts, seed=3)
