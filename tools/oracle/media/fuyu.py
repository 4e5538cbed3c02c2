# SPDX-License-Identifier: Apache-2.0
"""Fuyu. A case has `room`, the largest height and width of a picture."""

import math

import torch
from transformers import FuyuForCausalLM
from transformers.models.fuyu.image_processing_pil_fuyu import FuyuImageProcessorPil

from media.base import END as NEWLINE
from media.base import IMAGE, TEXT, Prompt, each, image

# Pictures before words, upright, lying, larger than there is room for, and one pixel high.
PICTURES = [
    [19],
    [(0, 70, 121, 1), 9],
    [(0, 120, 3, 2), 4, (0, 200, 50, 3), 7],
    [5, (0, 30, 30, 4), 3],
]
BEGIN = 1


class LinePrompt(Prompt):
    """A token behind each line of a picture, and one behind all of it."""

    def __init__(self, parts, number, processor, side):
        self.processor, self.side, self.pixels = processor, side, []
        super().__init__(parts, number)

    def show(self, *part):
        _, width, height, seed = part
        found = self.processor([[image(width, height, seed)]], return_tensors="pt")
        seen = found["images"][0][0]
        rows, columns = (math.ceil(found[f"image_unpadded_{of}s"][0][0] / self.side) for of in ("height", "width"))
        seen = torch.as_tensor(seen)[..., :rows * self.side, :columns * self.side]
        self.pixels.append(torch.as_tensor(self.processor.patchify_image(seen.numpy())))
        self.begin(part)
        for _ in range(rows):
            self.add([IMAGE] * columns + [NEWLINE])
        self.add([BEGIN])

    def inputs(self, more=()):
        return self.texts(more) | (dict(pixel_values=torch.cat(self.pixels)[None]) if self.pixels else {})

    def encoded(self, model):
        return model.model.get_image_features(torch.cat(self.pixels)).last_hidden_state.float()


def prompts(case, out):
    height, width = case["room"]
    side = case["config"]["patch_size"]
    processor = FuyuImageProcessorPil(size={"height": height, "width": width},
                                      patch_size={"height": side, "width": side})
    processor.save_pretrained(out)
    return each(LinePrompt, PICTURES, processor, side)


def scale(name, entry):
    # Tokens of pictures are not much larger than words.
    if name.endswith("vision_embed_tokens.weight"):
        entry["std"] = 1.5 / entry["shape"][1] ** 0.5


CASES = {}
CASES["fuyu"] = dict(
    config=dict(text_config=TEXT | dict(model_type="persimmon", hidden_act="relu2",
                                        rope_parameters=dict(rope_type="default", rope_theta=25000.0,
                                                             partial_rotary_factor=0.5)),
                image_token_id=IMAGE, patch_size=14, image_size=28),
    model=FuyuForCausalLM, prompts=prompts, scale=scale, room=(84, 140), seed=1)
# Without norms of queries and keys; patches of another size, which are seen at the room's full height.
CASES["fuyu-plain"] = dict(
    config=dict(text_config=TEXT | dict(model_type="persimmon", num_hidden_layers=2, hidden_act="gelu",
                                        qk_layernorm=False,
                                        rope_parameters=dict(rope_type="default", rope_theta=10000.0,
                                                             partial_rotary_factor=0.25)),
                image_token_id=IMAGE, patch_size=10),
    model=FuyuForCausalLM, prompts=prompts, scale=scale, room=(40, 90), seed=1)
