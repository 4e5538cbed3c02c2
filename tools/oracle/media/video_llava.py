# SPDX-License-Identifier: Apache-2.0
"""Video-LLaVA: an encoder of pictures, and one of frames."""

import torch
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from media.base import FRAME_CHANNELS, IMAGE, TEXT, VIDEO, Prompt, each, image, side_of, write_frames

# One video a prompt, for the class stacks videos.
SHOWN = [
    [19],
    [5, (0, 70, 121, 1), 4],
    [(0, 120, 3, 2), (0, 30, 30, 4), 3],
    [3, (2, 84, 56, 5), 2, (0, 60, 90, 6), 6],
]


class TwoTowersPrompt(Prompt):
    """The middle square of pictures and frames; of a frame the row that stands for it is a token, too."""

    def __init__(self, parts, number, processors, counts):
        self.processors, self.counts, self.pixels = processors, counts, {IMAGE: [], VIDEO: []}
        super().__init__(parts, number)

    def show(self, *part):
        frames, width, height, seed = part
        token = VIDEO if frames else IMAGE
        for i in range(max(frames, 1)):
            out = self.processors[token](images=[image(width, height, seed + i)], return_tensors="pt")
            self.pixels[token].append(out["pixel_values"])
        self.place(part, token, self.counts[token] * max(frames, 1))

    def inputs(self, more=()):
        found = self.texts(more)
        if self.pixels[IMAGE]:
            found["pixel_values"] = torch.cat(self.pixels[IMAGE])
        if self.pixels[VIDEO]:
            found["pixel_values_videos"] = torch.cat(self.pixels[VIDEO])[None]
        return found

    def encoded(self, model):
        found, rows = self.inputs(), {IMAGE: [], VIDEO: []}
        if self.pixels[IMAGE]:
            rows[IMAGE] = list(model.model.get_image_features(found["pixel_values"]).pooler_output)
        if self.pixels[VIDEO]:
            rows[VIDEO] = list(model.model.get_video_features(found["pixel_values_videos"]).pooler_output)
        order = [VIDEO if frames else IMAGE for frames, *_ in self.media for _ in range(max(frames, 1))]
        return torch.cat([rows[token].pop(0) for token in order]).float()


def prompts(case, out):
    side, vision = side_of(case), case["config"]["vision_config"]
    sizes = dict(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    processors = {IMAGE: CLIPImageProcessorPil(**sizes), VIDEO: CLIPImageProcessorPil(**sizes, **FRAME_CHANNELS)}
    processors[IMAGE].save_pretrained(out)
    write_frames(out, sizes | FRAME_CHANNELS)
    patches = (side // vision["patch_size"]) ** 2
    is_full = case["config"].get("vision_feature_select_strategy") == "full"
    return each(TwoTowersPrompt, SHOWN, processors, {IMAGE: patches + is_full, VIDEO: patches + 1})


CASES = {}
CASES["video_llava"] = dict(
    config=dict(text_config=TEXT | dict(model_type="llama", num_hidden_layers=2, rope_theta=10000.0),
                image_token_index=IMAGE, video_token_index=VIDEO,
                vision_config=dict(model_type="clip_vision_model", hidden_size=64, intermediate_size=96,
                                   num_hidden_layers=3, num_attention_heads=4, image_size=56, patch_size=14,
                                   projection_dim=32)),
    prompts=prompts, seed=1)
# The row that stands for a picture is a token as well; layers side by side; no biases.
CASES["video_llava-full"] = CASES["video_llava"] | dict(
    config=CASES["video_llava"]["config"] | dict(
        vision_feature_layer=[-1, 1], vision_feature_select_strategy="full", multimodal_projector_bias=False,
        projector_hidden_act="relu",
        vision_config=CASES["video_llava"]["config"]["vision_config"] | dict(num_hidden_layers=2)),
    seed=1)
