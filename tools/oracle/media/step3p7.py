# SPDX-License-Identifier: Apache-2.0
"""Step 3.7. A case has `sides`, of the square of the whole and of others, and `longest`, of a picture."""

import torch
from transformers.models.step3p7.image_processing_step3p7 import Step3p7ImageProcessor

from make_media_fixtures import by_pillow
from media.base import BELOW, BESIDE, END, IMAGE, START, TEXT, UNDER, Prompt, each, image

# Of 14 pixels along a side of a patch, of which four along a side become a token.
UNIT = 56

# Shorter than the square of the whole, as long as it and narrow, longer, and lines.
PICTURES = [
    [19],
    [5, (0, 70, 90, 1), 4],
    [(0, 60, 110, 2), 3, (0, 150, 120, 3), 2],
    [2, (0, 250, 40, 4), 3, (0, 140, 3, 5), 2],
]


class WindowPrompt(Prompt):
    """Squares of a picture between words, a word behind each line of them, then the whole."""

    def __init__(self, parts, number, processor):
        self.processor, self.shown = processor, []
        super().__init__(parts, number)

    def show(self, *part):
        _, width, height, seed = part
        self.shown.append(image(width, height, seed))
        found = self.processor(images=self.shown[-1:], return_tensors="pt")
        self.begin(part)
        for ends in found.get("patch_newline_masks", [[]])[0]:
            own = [IMAGE] * (self.processor.patch_size // UNIT) ** 2
            self.add([BESIDE, *own, BELOW] + [UNDER] * bool(ends))
        self.add([START] + [IMAGE] * (self.processor.size["height"] // UNIT) ** 2 + [END])

    def inputs(self, more=()):
        if not self.shown:
            return self.texts(more)
        found = self.processor(images=self.shown, return_tensors="pt")
        return self.texts(more) | {name: found[name] for name in found if name != "patch_newline_masks"}

    def encoded(self, model):
        seen = {name: value for name, value in self.inputs().items() if name not in ("input_ids", "attention_mask")}
        return torch.cat(list(model.model.get_image_features(**seen).pooler_output)).float()


def prompts(case, out):
    whole, square = case["sides"]
    processor = by_pillow(Step3p7ImageProcessor)(size={"height": whole, "width": whole}, patch_size=square,
                                                 max_image_size=case["longest"])
    processor.save_pretrained(out)
    return each(WindowPrompt, PICTURES, processor)


STEP = {name: TEXT[name] for name in ("vocab_size", "max_position_embeddings", "bos_token_id", "eos_token_id")} | dict(
    hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    num_sliding_attention_heads=2, head_dim=16, layer_types=["sliding_attention", "full_attention"], sliding_window=16,
    mlp_layer_types=["dense", "sparse"], n_routed_experts=4, num_experts_per_tok=2, moe_intermediate_size=24,
    share_expert_dim=32,
    rope_parameters=dict(full_attention=dict(rope_type="default", rope_theta=50000.0, partial_rotary_factor=0.5),
                         sliding_attention=dict(rope_type="default", rope_theta=10000.0)))

CASES = {}
# Squares half as long as the whole, whose positions are drawn together.
CASES["step3p7-seeing"] = dict(
    config=dict(text_config=STEP, image_token_id=IMAGE,
                vision_config=dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=112,
                                   patch_size=14, mlp_ratio=1.5)),
    prompts=prompts, sides=(112, 56), longest=200, seed=1)
# Positions of fewer patches, which are drawn out; a bias behind all.
CASES["step3p7-drawn"] = dict(
    config=dict(text_config=STEP, image_token_id=IMAGE, projector_bias=True,
                vision_config=dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=42,
                                   patch_size=14, mlp_ratio=2.1, hidden_act="gelu",
                                   rope_parameters=dict(rope_type="axial", rope_theta=100.0))),
    prompts=prompts, sides=(56, 112), longest=150, seed=1)
