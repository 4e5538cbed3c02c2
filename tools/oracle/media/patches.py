# SPDX-License-Identifier: Apache-2.0
"""Pictures and videos of any size as patches, blocks of which become tokens: as Qwen2-VL sees, and many families after
it."""

import torch
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from media.base import END, IMAGE, START, VIDEO, Prompt, each, image, write_frames

MROPE = dict(rope_parameters=dict(rope_type="default", rope_theta=10000.0, mrope_section=[2, 3, 3]))
IDS = dict(image_token_id=IMAGE, video_token_id=VIDEO, vision_start_token_id=START, vision_end_token_id=END)
SIZE = {"shortest_edge": 3136, "longest_edge": 12544}
# Text between what is seen; a number: so many random words. Frames, width, height, seed.
PROMPTS = [
    [19],
    [5, (0, 70, 121, 1), 4],
    [(0, 120, 1, 2), 7, (0, 200, 50, 3), (0, 64, 64, 4), 11, (0, 30, 100, 2)],
    [3, (3, 84, 56, 5), 2, (0, 56, 56, 6), 9],
]
# What a family sees last whose class cannot show pictures and videos in one prompt: both have the same token.
VIDEOS = [3, (3, 84, 56, 5), 2, (2, 56, 56, 6), 9]


def patch_prompts(case, out, processor, kind, last=None):
    """Of pictures, and of what else is seen last: frames."""
    processor.save_pretrained(out)
    if "frames" in case:
        write_frames(out, dict(patch_size=case["patch"], size=case["frames"], **case.get("processor", {})))
    return each(kind, [*PROMPTS[:-1], *([last] if last else [])], processor, case)


def frames_of(case, smart_resize, frames, width, height, seed):
    """Patches and grid of a video, whose frames are brought to the size of the family's videos, but as Pillow does."""
    low, high = case["frames"]["shortest_edge"], case["frames"]["longest_edge"]
    to = smart_resize(frames, height, width, 2, case["patch"] * case["merge"], low, high)
    processor = Qwen2VLImageProcessorPil(do_resize=False, patch_size=case["patch"], **case.get("processor", {}))
    shown = [image(width, height, seed + i).resize(to[::-1], Image.Resampling.BICUBIC) for i in range(frames)]
    outs = [processor(images=[frame], return_tensors="pt") for frame in shown]
    return paired([out["pixel_values"] for out in outs], outs[0]["image_grid_thw"][0].tolist())


def paired(frames, grid):
    _, rows, columns = grid
    values = [out.view(rows * columns, 3, 2, -1) for out in frames]
    if len(values) % 2:
        values.append(values[-1])
    pairs = [torch.stack([a[:, :, 0], b[:, :, 0]], 2).view(rows * columns, -1)
             for a, b in zip(values[::2], values[1::2])]
    return torch.cat(pairs), [len(pairs), rows, columns]


def patches_of(processor, frames, width, height, seed):
    """Patches and grid; frames are pictures of the seeds that follow one another, the last one twice if it is alone."""
    shown = [processor(images=[image(width, height, seed + i)], return_tensors="pt") for i in range(max(frames, 1))]
    _, rows, columns = shown[0]["image_grid_thw"][0].tolist()
    if frames == 0:
        return shown[0]["pixel_values"], [1, rows, columns]
    return paired([out["pixel_values"] for out in shown], [1, rows, columns])


def features(found):
    """Rows of each thing, behind the embedding of a token what is added to it behind the first layers."""
    rows = list(found.pooler_output)
    deep = getattr(found, "deepstack_features", None)
    if deep is None:
        return rows
    counts = [len(own) for own in rows]
    levels = [(level if torch.is_tensor(level) else torch.cat(list(level))).split(counts) for level in deep]
    return [torch.cat([own, *(level[i] for level in levels)], 1) for i, own in enumerate(rows)]


class PatchPrompt(Prompt):
    """Pictures and videos between two words. Kinds of what is seen: 1 pictures, 2 videos."""

    def __init__(self, parts, number, processor, case):
        self.processor, self.case, self.merge, self.types = processor, case, case["merge"], []
        self.pixels, self.grids = {1: [], 2: []}, {1: [], 2: []}
        super().__init__(parts, number)

    def add(self, ids):
        super().add(ids)
        self.types += [{IMAGE: 1, VIDEO: 2}.get(token, 0) for token in ids]

    def show(self, *part):
        token, kind = (VIDEO, 2) if part[0] else (IMAGE, 1)
        count = self.see(patches_of(self.processor, *part), kind)
        self.add([START])
        self.place(part, token, self.grids[kind][-1][0] * count)
        self.add([END])

    def see(self, seen, kind):
        """Keeps patches and their grid. Returns of how many tokens a picture or each pair of frames is."""
        values, grid = seen
        self.pixels[kind].append(values)
        self.grids[kind].append(grid)
        return self.tokens_of(*grid[1:])

    def tokens_of(self, rows, columns):
        return rows * columns // self.merge**2

    def inputs(self, more=()):
        found = dict(input_ids=torch.tensor([self.ids + list(more)]),
                     mm_token_type_ids=torch.tensor([self.types + [0] * len(more)]))
        for kind, pixels, grid in ((1, "pixel_values", "image_grid_thw"), (2, "pixel_values_videos", "video_grid_thw")):
            if self.pixels[kind]:
                found[pixels] = torch.cat(self.pixels[kind])
                found[grid] = torch.tensor(self.grids[kind])
        return found

    @torch.no_grad()
    def positions(self, model):
        inputs, of = self.inputs(), model.model
        if not hasattr(of, "get_rope_index"):
            return None
        found, _ = of.get_rope_index(inputs["input_ids"], inputs["mm_token_type_ids"],
                                     image_grid_thw=inputs.get("image_grid_thw"),
                                     video_grid_thw=inputs.get("video_grid_thw"))
        return found[:, 0]

    def encoded(self, model):
        inputs, outs = self.inputs(), {}
        if self.pixels[1]:
            outs[1] = features(model.model.get_image_features(inputs["pixel_values"], inputs["image_grid_thw"]))
        if self.pixels[2]:
            outs[2] = features(model.model.get_video_features(inputs["pixel_values_videos"], inputs["video_grid_thw"]))
        return torch.cat([outs[2 if frames else 1].pop(0) for frames, *_ in self.media]).float()
