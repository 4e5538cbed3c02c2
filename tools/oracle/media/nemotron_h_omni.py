# SPDX-License-Identifier: Apache-2.0
"""Nemotron 3 Nano Omni, its pictures and frames."""

import torch
from PIL import Image
from transformers.models.nemotron_h_omni.image_processing_nemotron_h_omni import get_patch_grid_size
from transformers.models.nemotron_h_omni.modeling_nemotron_h_omni import NemotronH_Omni_Reasoning_V3
from transformers.models.nemotron_h_omni.video_processing_nemotron_h_omni import NemotronH_Omni_Reasoning_V3VideoProcessor

from media.base import END, IMAGE, START, TEXT, Prompt, each, image, letters, write_frames, write_json

PATCH, LEAST, MOST, TARGET = 4, 16, 64, 32
PIXELS = dict(image_mean=[0.5, 0.45, 0.4], image_std=[0.25, 0.3, 0.28])


def pixels_of(width, height, seed, rows, columns):
    """A picture in that many patches, resized as Pillow does it, as numbers [3, height, width]."""
    shown = image(width, height, seed).resize((columns * PATCH, rows * PATCH), Image.Resampling.BICUBIC)
    values = torch.tensor(list(shown.getdata()), dtype=torch.float32).view(rows * PATCH, columns * PATCH, 3) / 255
    return ((values - torch.tensor(PIXELS["image_mean"])) / torch.tensor(PIXELS["image_std"])).permute(2, 0, 1)


class OmniPrompt(Prompt):
    def __init__(self, parts, number):
        self.patches, self.grids, self.videos, self.shown = [], [], [], []
        super().__init__(parts, number)

    def show(self, frames, width, height, seed):
        part = (frames, width, height, seed)
        self.shown.append(bool(frames))
        if not frames:
            rows, columns = get_patch_grid_size(height, width, PATCH, 2, LEAST, MOST)
            values = pixels_of(width, height, seed, rows, columns)
            cut = values.reshape(3, rows, PATCH, columns, PATCH).permute(1, 3, 0, 2, 4)
            self.patches.append(cut.reshape(rows * columns, -1))
            self.grids.append([rows, columns])
            self.begin(part)
            self.add([START] + [IMAGE] * (rows * columns // 4) + [END])
            return
        processor = NemotronH_Omni_Reasoning_V3VideoProcessor(video_target_num_patches=TARGET, patch_size=PATCH)
        columns, rows = processor._compute_target_patches(height, width)
        seen = [pixels_of(width, height, seed + i, rows, columns) for i in range(frames)]
        filled = seen + seen[-1:] * (frames % 2)
        self.videos.append(torch.stack(filled).view(len(filled) // 2, -1, rows * PATCH, columns * PATCH))
        self.begin(part)
        for first in range(0, frames, 2):
            # At two frames a second.
            words = " and ".join(f"{'frame' if i % 2 else 'Frame'} {i + 1} sampled at {i / 2:.2f} seconds"
                                 for i in range(first, min(first + 2, frames)))
            self.add(letters(f"{chr(10) if first else ''}{words}: ") + [START] + [IMAGE] * (rows * columns // 4) + [END])

    def seen(self):
        return dict(pixel_values=torch.cat(self.patches), image_grid_hw=torch.tensor(self.grids))

    def inputs(self, more=()):
        found = self.texts(more) | (self.seen() if self.patches else {})
        # One video a prompt.
        return found | (dict(pixel_values_videos=torch.stack(self.videos)) if self.videos else {})

    def encoded(self, model):
        rows = []
        if self.patches:
            rows += list(model.get_image_features(**self.seen()).pooler_output)
        if self.videos:
            rows += list(model.get_video_features(torch.stack(self.videos)).pooler_output)
        return torch.cat(rows).float()


def prompts(case, out):
    own = dict(patch_size=PATCH, downsample_ratio=0.5)
    write_json(out / "preprocessor_config.json", own | PIXELS | dict(min_num_patches=LEAST, max_num_patches=MOST))
    # Published files call them so.
    write_frames(out, own | dict(norm_mean=PIXELS["image_mean"], norm_std=PIXELS["image_std"],
                                 video_target_num_patches=TARGET))
    shown = [[19], [5, (0, 70, 121, 1), 4, (0, 200, 50, 3), (0, 9, 9, 2), 2], [3, (3, 84, 56, 5), 2]]
    return each(OmniPrompt, shown)


CASES = {}
MIXERS = dict(layers_block_type=["mamba", "attention", "mlp"], mamba_num_heads=4, mamba_head_dim=16, ssm_state_size=16,
              n_groups=2, chunk_size=16, head_dim=16)
# Of pictures of up to 64 patches, for whose longer side the table of 10 x 10 positions is drawn.
CASES["nemotron_h_omni"] = dict(
    model=NemotronH_Omni_Reasoning_V3,
    config=dict(text_config={key: value for key, value in TEXT.items() if key != "num_hidden_layers"} | MIXERS,
                image_token_id=IMAGE, vision_hidden_size=48, projector_hidden_size=56,
                vision_config=dict(hidden_size=48, num_hidden_layers=2, num_attention_heads=3, patch_size=PATCH,
                                   max_img_size=40, num_cls_tokens=2, num_registers=1, video_temporal_patch_size=2)),
    prompts=prompts, seed=3)
# Patches are normed before the projector where the text has layers that guess further tokens.
CASES["nemotron_h_omni-normed"] = CASES["nemotron_h_omni"] | dict(
    config=CASES["nemotron_h_omni"]["config"] | dict(
        text_config=CASES["nemotron_h_omni"]["config"]["text_config"] | dict(num_nextn_predict_layers=1)), seed=4)
