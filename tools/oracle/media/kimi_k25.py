# SPDX-License-Identifier: Apache-2.0
"""Kimi-K2.5."""

import torch

from make_media_fixtures import bounded_processor
from media.base import BESIDE, END, IMAGE, START, TEXT, VIDEO, Prompt, each, image, letters, write_frames

# Upright, lying; four frames and one more, then two that are smaller than a block.
BOUNDED = [
    [19],
    [5, (0, 70, 121, 1), 4],
    [(0, 120, 3, 2), (0, 90, 60, 3), 7],
    [3, (5, 84, 56, 5), 2, (0, 60, 30, 4), (2, 20, 13, 6), 9],
]


class BoundedPrompt(Prompt):
    """Pictures on black; frames four together, each time behind when they begin, at two a second."""

    def __init__(self, parts, number, processors):
        self.processors, self.outs, self.kinds = processors, {IMAGE: [], VIDEO: []}, []
        super().__init__(parts, number)

    def show(self, *part):
        frames, width, height, seed = part
        self.begin(part)
        shown = [image(width, height, seed + i) for i in range(max(frames, 1))]
        outs = [self.processors[bool(frames)](images=[frame], return_tensors="pt") for frame in shown]
        for first in range(0, len(outs), 4):
            chunk = outs[first:first + 4]
            _, rows, columns = chunk[0]["image_grid_thw"][0].tolist()
            pixels = torch.cat([out["pixel_values"] for out in chunk])
            self.outs[VIDEO if frames else IMAGE].append((pixels, [len(chunk), rows, columns]))
            if frames:
                self.add(letters(f"00:00:{first // 2:02d}.000") + [START] + letters("video") + [BESIDE])
            # Rows of videos have the token of pictures, as in the published code.
            self.add([IMAGE] * (rows * columns // 4) + [END] * (frames > 0))
            self.kinds += [VIDEO if frames else IMAGE] * (rows * columns // 4)

    def inputs(self, more=()):
        found = self.texts(more)
        ids, kinds = found["input_ids"][0], iter(self.kinds)
        for at in (ids == IMAGE).nonzero()[:, 0].tolist():
            ids[at] = next(kinds, IMAGE)
        for token, pixels, grid in ((IMAGE, "pixel_values", "image_grid_thw"),
                                    (VIDEO, "pixel_values_videos", "video_grid_thw")):
            if self.outs[token]:
                found[pixels] = torch.cat([values for values, _ in self.outs[token]])
                found[grid] = torch.tensor([sizes for _, sizes in self.outs[token]])
        return found

    def encoded(self, model):
        inputs = self.inputs()
        rows = {token: [] for token in self.outs}
        if self.outs[IMAGE]:
            seen = model.model.get_image_features(inputs["pixel_values"], inputs["image_grid_thw"])
            rows[IMAGE] = list(seen.pooler_output)
        if self.outs[VIDEO]:
            seen = model.model.get_video_features(inputs["pixel_values_videos"], inputs["video_grid_thw"])
            rows[VIDEO] = list(seen.pooler_output)
        return torch.cat([rows[VIDEO if frames else IMAGE].pop(0) for frames, *_ in self.media
                          for _ in range(max(1, -(-frames // 4)))]).float()


def prompts(case, out):
    size = dict(max_height=12, max_width=12)
    processors = [bounded_processor(max_patches=patches, size=size) for patches in (30, 20)]
    processors[0].save_pretrained(out)
    write_frames(out, dict(max_patches=20, size=size))
    return each(BoundedPrompt, BOUNDED, processors)


CASES = {}
# Frames four at a time; positions of a square that pictures are larger and smaller than; half of the layers have no
# experts.
LATENT = dict(model_type="deepseek_v3", kv_lora_rank=16, q_lora_rank=32, qk_nope_head_dim=16, qk_rope_head_dim=16,
              v_head_dim=16,
              num_hidden_layers=2, num_key_value_heads=4, moe_intermediate_size=32, n_routed_experts=4,
              num_experts_per_tok=4,
              n_group=1, topk_group=1, n_shared_experts=1, first_k_dense_replace=1, routed_scaling_factor=1.5)
CASES["kimi_k25"] = dict(
    config=dict(text_config=TEXT | LATENT, image_token_id=IMAGE, video_token_id=VIDEO, vision_start_token_id=START,
                vision_end_token_id=END, projection_hidden_size=64, tie_word_embeddings=False,
                vision_config=dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                                   pos_emb_height=5, pos_emb_width=5)),
    prompts=prompts, seed=2)
# Layers of experts alone, positions that pictures are all larger than.
CASES["kimi_k25-plain"] = CASES["kimi_k25"] | dict(
    config=CASES["kimi_k25"]["config"] | dict(
        tie_word_embeddings=True,
        text_config=TEXT | LATENT | dict(first_k_dense_replace=0, n_shared_experts=2, norm_topk_prob=False,
                                         tie_word_embeddings=True),
        vision_config=CASES["kimi_k25"]["config"]["vision_config"] | dict(pos_emb_height=2, pos_emb_width=2)),
    seed=3)
