# SPDX-License-Identifier: Apache-2.0
"""MiniCPM-V 4.6, 4.7 and MiniCPM-OCR: pictures and frames in slices, whose rows become fewer within the encoder."""

import json

import torch
from transformers.models.minicpmv4_6.image_processing_pil_minicpmv4_6 import MiniCPMV4_6ImageProcessorPil

from media.base import IMAGE, VIDEO, Prompt, each, image, letters, write_frames, write_json

WORDS = {"<image>": 125, "</image>": 126, "<slice>": 127, "</slice>": 128, "<image_id>": 129, "</image_id>": 130}
LINE = letters("\n")

# As a whole; one pixel high; four times as wide as high, in four slices; upright, in two, one below the other; frames
# in slices.
SLICED = [
    [19],
    [5, (0, 30, 50, 1), 4],
    [(0, 120, 1, 2), 7, (0, 240, 60, 3), (0, 60, 120, 4), 3],
    [3, (2, 84, 70, 5), 2, (0, 20, 13, 6), 9],
]
# A line break behind a picture, two of them, none; pictures that nothing but line breaks lie between.
CANVASES = [
    [19],
    [5, (0, 30, 50, 1), "\n", 4],
    [(0, 120, 1, 2), "\n", "\n", (0, 240, 60, 3), "\n", (0, 60, 120, 4), 3],
    [3, (2, 84, 70, 5), "\n", (0, 130, 110, 6), 9],
]


class SlicedPrompt(Prompt):
    """Pictures and videos, each behind its number."""

    numbers = True

    def __init__(self, parts, number, processors, area):
        self.processors, self.area, self.outs = processors, area, {IMAGE: [], VIDEO: []}
        super().__init__(parts, number)

    def show(self, *part):
        frames, width, height, seed = part
        token = VIDEO if frames else IMAGE
        self.begin(part)
        number = sum((kind > 0) == (frames > 0) for kind, *_ in self.media) - 1
        if self.numbers or self.numbers is None and not frames:
            self.add([WORDS["<image_id>"], *letters(str(number)), WORDS["</image_id>"]])
        for i in range(max(frames, 1)):
            out = self.processors[token](images=[image(width, height, seed + i)], return_tensors="pt")
            self.outs[token].append(out)
            rows, columns = out["grids"][0]
            for place, (high, wide) in enumerate(out["target_sizes"].tolist()):
                begin, end = (WORDS["<slice>"], WORDS["</slice>"]) if place else (WORDS["<image>"], WORDS["</image>"])
                self.add(LINE if place > 1 and (place - 1) % columns == 0 else [])
                self.add([begin, *[token] * (high * wide // self.area), end])

    def pixels(self, token):
        end = "_videos" if token == VIDEO else ""
        return {f"pixel_values{end}": torch.cat([out["pixel_values"] for out in self.outs[token]], -1),
                f"target_sizes{end}": torch.cat([out["target_sizes"] for out in self.outs[token]])}

    def inputs(self, more=()):
        found = self.texts(more)
        for token, outs in self.outs.items():
            found |= self.pixels(token) if outs else {}
        return found

    def encoded(self, model):
        seen = {IMAGE: model.model.get_image_features, VIDEO: model.model.get_video_features}
        rows = {token: list(seen[token](**self.pixels(token)).pooler_output) if outs else []
                for token, outs in self.outs.items()}
        counts = {token: iter([len(out["target_sizes"]) for out in outs]) for token, outs in self.outs.items()}
        order = [VIDEO if frames else IMAGE for frames, *_ in self.media for _ in range(max(frames, 1))]
        return torch.cat([rows[token].pop(0) for token in order for _ in range(next(counts[token]))]).float()


class CanvasPrompt(SlicedPrompt):
    """The same on canvases. Letters stand in texts, for line breaks about pictures have places there."""

    numbers = None

    def show(self, *part):
        return self.add(letters("".join(part))) if isinstance(part[0], str) else super().show(*part)

    def inputs(self, more=()):
        found = super().inputs(more)
        ids = found["input_ids"]
        return found | dict(mm_token_type_ids=(ids == IMAGE).int() + 2 * (ids == VIDEO).int())

    def positions(self, model):
        if not self.media:
            return None
        found = self.inputs()
        sizes = {name: found.get(name) for name in ("target_sizes", "target_sizes_videos")}
        return model.model.get_rope_index(found["input_ids"], found["mm_token_type_ids"], **sizes)[0][:, 0]


class PlainPrompt(CanvasPrompt):
    """Without numbers, so that only line breaks lie between pictures."""

    numbers = False


def prompts(case, out):
    mode = case["config"].get("downsample_mode", case.get("mode", "16x"))
    patch = case["config"]["vision_config"]["patch_size"]
    half = [0.5] * 3
    ways = dict(patch_size=patch, downsample_mode=mode, scale_resolution=case["resolution"], image_mean=half,
                image_std=half)
    most = case.get("most", 9)
    processors = {IMAGE: MiniCPMV4_6ImageProcessorPil(max_slice_nums=most, **ways),
                  VIDEO: MiniCPMV4_6ImageProcessorPil(max_slice_nums=2, **ways)}
    processors[IMAGE].save_pretrained(out)
    write_frames(out, dict(max_slice_nums=2, **ways))
    kind = case.get("kind", SlicedPrompt)
    if kind is PlainPrompt:
        file = out / "preprocessor_config.json"
        write_json(file, json.loads(file.read_text()) | dict(use_image_id=False))
    return each(kind, case.get("shown", SLICED), processors, 4 if mode == "4x" else 16)


HYBRID = dict(
    model_type="qwen3_5_text", vocab_size=131, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=2, head_dim=32, max_position_embeddings=256,
    layer_types=["linear_attention", "full_attention"], linear_num_key_heads=2, linear_num_value_heads=4,
    linear_key_head_dim=64, linear_value_head_dim=32, bos_token_id=1, eos_token_id=2,
    rope_parameters=dict(rope_type="default", rope_theta=10000.0, mrope_section=[2, 1, 1], mrope_interleaved=True,
                         partial_rotary_factor=0.25))
VISION = dict(hidden_size=32, intermediate_size=40, num_hidden_layers=3, num_attention_heads=2, image_size=42,
              patch_size=7)
TOKENS = dict(image_token_id=IMAGE, video_token_id=VIDEO)

CASES = {}
# Blocks become rows behind the second of three layers.
CASES["minicpmv4_6"] = dict(
    config=dict(text_config=HYBRID, vision_config=VISION, insert_layer_id=1, **TOKENS),
    resolution=56, prompts=prompts, seed=2)
# Experts in the text; four patches a token, whatever lies between the layers.
CASES["minicpm_ocr"] = dict(
    config=dict(text_config={key: value for key, value in HYBRID.items() if key != "intermediate_size"}
                | dict(model_type="qwen3_5_moe_text", num_experts=4, num_experts_per_tok=4, moe_intermediate_size=32,
                       shared_expert_intermediate_size=48),
                vision_config=VISION | dict(num_hidden_layers=2, image_size=28), insert_layer_id=1, **TOKENS),
    mode="4x", resolution=35, most=4, prompts=prompts, seed=4)

MARKS = dict(image_start_id=125, image_end_id=126, slice_start_id=127, slice_end_id=128, newline_id=LINE[0])
CASES["minicpmv4_7"] = CASES["minicpmv4_6"] | dict(
    config=CASES["minicpmv4_6"]["config"] | MARKS, kind=PlainPrompt, shown=CANVASES, seed=3)
CASES["minicpmv4_7-experts"] = CASES["minicpm_ocr"] | dict(
    config=CASES["minicpm_ocr"]["config"] | MARKS | dict(downsample_mode="4x", tie_word_embeddings=True),
    kind=CanvasPrompt, shown=CANVASES, seed=4)
