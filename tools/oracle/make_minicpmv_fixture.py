#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes test/fixtures/media-models/minicpm_qwen2_v2 and minicpm_qwen2_v2-llama: what the published formulas (minicpmv.py) compute
with a small random checkpoint.

    make_minicpmv_fixture.py VERSION OUT

VERSION is 2.6, or 4, whose text is Llama's with rotary angles of factors (longrope).

OUT gets config.json, preprocessor_config.json, weights.json and reference.safetensors as make_media_model_fixture.py has
them. Prompts are texts as the published processor writes them, a token for each character and for each of SPECIALS.
Slices and patches are those of transformers' processor of MiniCPM-V 4.6, told the sizes of 2.6.
"""

import json
import pathlib
import re
import sys

import torch
import transformers

from make_media_fixtures import patches_of_slices, slicer
from media.base import Prompt, image
from media.checkpoint import recipe_of
from media.record import record, save_reference
from minicpmv import MiniCpmV
from seeded_weights import recipe_weights
from tiny_checkpoint import write_recipe

QUERIES, RESOLUTION, MOST = 7, 56, 9
SPECIALS = {"<unk>": 124, "<image>": 125, "</image>": 126, "<slice>": 127, "</slice>": 128, "<image_id>": 129,
            "</image_id>": 130}
CONFIG = dict(
    model_type="minicpmv", architectures=["MiniCPMV"], version=2.6, vocab_size=131, hidden_size=256, intermediate_size=96,
    num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512, rope_theta=1e6,
    rms_norm_eps=1e-6, tie_word_embeddings=False, bos_token_id=1, eos_token_id=2, torch_dtype="float32",
    query_num=QUERIES, drop_vision_last_layer=False, use_sliding_window=False,
    slice_config=dict(max_slice_nums=MOST, patch_size=14, model_type="minicpmv"),
    vision_config=dict(model_type="siglip", hidden_size=72, intermediate_size=104, num_hidden_layers=2,
                       num_attention_heads=3, image_size=140, patch_size=14))
LLAMA = {key: value for key, value in CONFIG.items() if key != "use_sliding_window"} | dict(
    version=4, rope_theta=1e4, attention_bias=False, mlp_bias=False, head_dim=64,
    # As in the published file, where both kinds of factors are the same and the original context is the model's.
    rope_scaling=dict(rope_type="longrope", factor=1.0, original_max_position_embeddings=512,
                      short_factor=[1 + i / 8 for i in range(32)], long_factor=[1 + i / 8 for i in range(32)]))
PICTURES = dict(
    image_processor_type="MiniCPMVImageProcessor", processor_class="MiniCPMVProcessor", max_slice_nums=MOST,
    scale_resolution=RESOLUTION, patch_size=14, use_image_id=True, image_feature_size=QUERIES, im_start="<image>",
    im_end="</image>", slice_start="<slice>", slice_end="</slice>", unk="<unk>", im_id_start="<image_id>",
    im_id_end="</image_id>", slice_mode=True, norm_mean=[0.5] * 3, norm_std=[0.5] * 3, version=2.6)

# Texts, and between them pictures: width, height, seed; of videos how many frames before these.
PROMPTS = [
    [(30, 50, 1), "\nWhat is this?"],
    # One pixel high; four times as wide as high, in four slices; upright, in two, one below the other.
    ["See ", (120, 1, 2), "\n", (240, 60, 3), "\nand", (70, 121, 4), "\n."],
    [(168, 170, 5), "\nHow many?"],
    # Numbers of two digits.
    [(10, 10, seed) for seed in range(10, 21)] + ["!"],
    # Frames have two slices at most, and no numbers.
    [(2, 168, 60, 3), "\n", (30, 50, 1), "\n."],
]

FRAME_SLICES = 2


def ids_of(text):
    parts = re.split("(" + "|".join(SPECIALS) + ")", text)
    return [i for part in parts for i in ([SPECIALS[part]] if part in SPECIALS else [3 + ord(c) % 90 for c in part])]


class SlicedPrompt(Prompt):
    """What is shown stands in the text as the published processor writes it."""

    def __init__(self, parts):
        self.media, self.slices, text = [], [], ""
        for part in parts:
            if isinstance(part, str):
                text += part
                continue
            *frames, width, height, seed = part
            pictures = [media for media in self.media if media[0] == 0]
            self.media.append([*(frames or [0]), width, height, seed, len(ids_of(text))])
            if frames:
                text += "\n".join(self.sliced(width, height, seed + i, FRAME_SLICES) for i in range(*frames))
            else:
                text += f"<image_id>{len(pictures)}</image_id>" + self.sliced(width, height, seed, MOST)
        self.ids = ids_of(text)
        begins = (SPECIALS["<image>"], SPECIALS["<slice>"])
        self.starts = [i + 1 for i, token in enumerate(self.ids) if token in begins]
        assert len(self.starts) == len(self.slices)

    def sliced(self, width, height, seed, most):
        """The text of a picture, whose slices are kept."""
        sizes, patches, (rows, columns) = patches_of_slices(slicer(RESOLUTION, most), image(width, height, seed))
        self.slices += [(torch.tensor(p), *size) for p, size in zip(patches, sizes)]
        fill = "<unk>" * QUERIES
        line = f"<slice>{fill}</slice>" * columns
        return f"<image>{fill}</image>" + "\n".join([line] * rows)

    def inputs(self, more=()):
        return dict(input_ids=torch.tensor([self.ids + list(more)]), slices=self.slices, starts=self.starts)

    def encoded(self, model):
        return torch.cat([model.encode(*one) for one in self.slices]).float()


def main():
    config = {2.6: CONFIG, 4: LLAMA}[float(sys.argv[1])]
    out = pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    for name, content in (("config.json", config), ("preprocessor_config.json", PICTURES)):
        (out / name).write_text(json.dumps(content, indent=2) + "\n")

    def model(recipe):
        made = MiniCpmV(config)
        made.load_state_dict({name: torch.from_numpy(value) for name, value in recipe_weights(recipe).items()})
        return made.float().eval()

    blank = MiniCpmV(config)
    recipe = recipe_of(blank.state_dict(), blank, 1)
    write_recipe(recipe, out, model, "llm.lm_head.weight", None)
    found = {}
    for i, parts in enumerate(PROMPTS):
        prompt = SlicedPrompt(parts)
        recorded = record(lambda: model(recipe), prompt)
        # Rows are wide, for heads of the resampler are.
        for name in recorded.keys() & {"encoded_rows", "encoded"}:
            recorded[name] = recorded[name][::3]
        found |= {f"{i}/{name}": value.contiguous() for name, value in recorded.items()}
    save_reference(out, found, model_type="minicpmv", computed_by="published formulas")


if __name__ == "__main__":
    main()
