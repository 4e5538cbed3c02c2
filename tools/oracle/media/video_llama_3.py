# SPDX-License-Identifier: Apache-2.0
"""VideoLLaMA 3. A case has `pictures` and `frames`, what the processors of both are told."""

import numpy
import torch
from PIL import Image
from transformers import VideoLlama3VideoProcessor
from transformers.models.video_llama_3.image_processing_pil_video_llama_3 import VideoLlama3ImageProcessorPil
from transformers.models.video_llama_3.video_processing_video_llama_3 import smart_resize

from media.base import IMAGE, TEXT, VIDEO, Prompt, each, image, letters, write_frames
from media.patches import PROMPTS

# Of pictures whose patches are tokens, and of all frames of a video.
PICTURES_SIZE = {"shortest_edge": 1568, "longest_edge": 5488}
FRAMES_SIZE = {"shortest_edge": 1568, "longest_edge": 12544}


class ChangingPrompt(Prompt):
    """Pictures, and frames behind their seconds, at two a second, of which those blocks count that change."""

    def __init__(self, parts, number, processor, case):
        # Resized as Pillow does it, before it.
        self.processor, self.shown, self.size = processor, {IMAGE: [], VIDEO: []}, FRAMES_SIZE
        self.frames = VideoLlama3VideoProcessor(do_resize=False, patch_size=processor.patch_size, **case["frames"])
        super().__init__(parts, number)

    def show(self, *part):
        frames, width, height, seed = part
        pictures = [image(width, height, seed + i) for i in range(max(frames, 1))]
        self.begin(part)
        if not frames:
            out = self.processor(images=pictures, return_tensors="pt")
            self.shown[IMAGE].append(out)
            self.add([IMAGE] * int(out["image_grid_thw"].prod() // out["image_merge_sizes"][0] ** 2))
            return
        to = smart_resize(height, width, self.frames.patch_size * self.frames.merge_size, self.size["shortest_edge"],
                          self.size["longest_edge"] // frames)
        resized = [numpy.asarray(one.resize(to[::-1], Image.Resampling.BICUBIC)) for one in pictures]
        out = self.frames(videos=[torch.tensor(numpy.stack(resized)).permute(0, 3, 1, 2)], return_tensors="pt")
        self.shown[VIDEO].append(out)
        for i, kept in enumerate(out["video_compression_mask"].view(frames, -1)):
            self.add(letters("," * (i > 0) + f"Time {i / 2:.1f}s:") + [VIDEO] * int(kept.sum()))

    def inputs(self, more=()):
        found = self.texts(more)
        for outs in self.shown.values():
            found |= {name: torch.cat([out[name] for out in outs])
                      for name in (outs[0] if outs else ()) if name != "video_metadata"}
        return found

    def encoded(self, model):
        names = {IMAGE: "image", VIDEO: "video"}
        rows = {token: [self.rows(model, out, names[token]) for out in outs] for token, outs in self.shown.items()}
        return torch.cat([rows[VIDEO if frames else IMAGE].pop(0) for frames, *_ in self.media]).float()

    def rows(self, model, out, name):
        pixels = out["pixel_values" if name == "image" else "pixel_values_videos"]
        seen = model.model.get_image_features(pixels, out[f"{name}_grid_thw"], out[f"{name}_merge_sizes"])
        seen = seen.pooler_output[0]
        return seen[out["video_compression_mask"]] if name == "video" else seen


def prompts(case, out):
    patch = case["config"]["vision_config"]["patch_size"]
    processor = VideoLlama3ImageProcessorPil(size=PICTURES_SIZE, patch_size=patch, **case.get("pictures", {}))
    processor.save_pretrained(out)
    write_frames(out, dict(patch_size=patch, size=FRAMES_SIZE, **case["frames"]))
    return each(ChangingPrompt, PROMPTS, processor, case)


CASES = {}
# Rotary positions alone; each patch of a picture is a token, of frames the mean of four.
CASES["video_llama_3"] = dict(
    config=dict(text_config=TEXT | dict(model_type="qwen2", rope_theta=10000.0), image_token_id=IMAGE,
                video_token_id=VIDEO,
                vision_config=dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                                   patch_size=14)),
    prompts=prompts, frames=dict(merge_size=2), seed=1)
# Means of four for pictures, middles of nine for frames, all of which are kept; a head that is the embedding.
CASES["video_llama_3-tied"] = CASES["video_llama_3"] | dict(
    config=CASES["video_llama_3"]["config"] | dict(
        text_config=TEXT | dict(model_type="qwen2", rope_theta=10000.0, num_hidden_layers=2, tie_word_embeddings=True),
        vision_config=dict(hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=2,
                           patch_size=8, hidden_act="gelu",
                           rope_parameters=dict(rope_type="axial", rope_theta=500.0))),
    pictures=dict(merge_size=2), frames=dict(merge_size=3, use_token_compression=False), seed=1)
