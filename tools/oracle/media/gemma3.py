# SPDX-License-Identifier: Apache-2.0
"""Gemma 3."""

from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

from media.base import END, IMAGE, SQUARES, START, TEXT, SquarePrompt, each, image, letters, side_of

# In two pieces below each other, in three beside each other, whole.
SCANNED = [
    [19],
    [5, (0, 40, 71, 1), 4],
    [(0, 100, 31, 2), 7, (0, 90, 70, 3), 3],
]


class LinedPrompt(SquarePrompt):
    """The same between lines, whose tokens see each other; pieces of long ones behind words."""

    def show(self, *part):
        _, width, height, seed = part
        out = self.processor(images=[image(width, height, seed)], return_tensors="pt")
        self.pixels.append(out["pixel_values"])
        self.begin(part)
        count = len(out["pixel_values"])
        words = [""] if count == 1 else [
            "Here is the original image ", " and here are some crops to help you see better ", *[" "] * (count - 2)]
        for before in words:
            self.add(letters(before + "\n\n") + [START] + [IMAGE] * self.count + [END] + letters("\n\n"))

    def texts(self, more):
        found = super().texts(more)
        return found | dict(token_type_ids=(found["input_ids"] == IMAGE).long())


def prompts(case, out):
    side = side_of(case)
    processor = Gemma3ImageProcessorPil(size={"height": side, "width": side}, image_mean=[0.5] * 3, image_std=[0.5] * 3,
                                        **case.get("scan", {}))
    processor.save_pretrained(out)
    return each(LinedPrompt, SCANNED if "scan" in case else SQUARES, processor, case["config"]["mm_tokens_per_image"])


CASES = {}
# The window is shorter than a picture.
CASES["gemma3"] = dict(
    config=dict(text_config=TEXT | dict(head_dim=16, sliding_window=12, query_pre_attn_scalar=16,
                                        layer_types=["sliding_attention", "full_attention", "sliding_attention"]),
                image_token_index=IMAGE, boi_token_index=START, eoi_token_index=END, mm_tokens_per_image=16,
                vision_config=dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                                   image_size=112, patch_size=14, vision_use_head=False)),
    prompts=prompts, seed=1)
# Pieces of long pictures, of which one is narrower, behind the whole.
CASES["gemma3-scan"] = CASES["gemma3"] | dict(
    config=CASES["gemma3"]["config"] | dict(mm_tokens_per_image=4), seed=1,
    scan=dict(do_pan_and_scan=True, pan_and_scan_min_crop_size=30, pan_and_scan_max_num_crops=3,
              pan_and_scan_min_ratio_to_activate=1.5))
