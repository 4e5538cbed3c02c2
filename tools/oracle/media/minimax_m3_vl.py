# SPDX-License-Identifier: Apache-2.0
"""MiniMax-M3 VL."""

import torch

from media.base import END, IMAGE, START, TEXT, VIDEO, letters, write_frames
from media.patches import SIZE, PatchPrompt, patch_prompts, patches_of
from media.qwen_vl import processor_of


# Pairs of frames that see each other.
SEGMENT = 2


class BracketedPrompt(PatchPrompt):
    """Pictures and pairs of frames with what the processor, and no template, writes around them."""

    def __init__(self, *args):
        self.shown = []
        super().__init__(*args)

    def show(self, *part):
        frames = part[0]
        kind, token = (2, VIDEO) if frames else (1, IMAGE)
        count = self.see(patches_of(self.processor, *part), kind)
        self.begin(part)
        pairs = self.grids[kind].pop()
        times, ids = pairs[0], []
        for first in range(0, times, SEGMENT):
            own = min(SEGMENT, times - first)
            self.grids[kind].append([own, *pairs[1:]])
            for pair in range(first, first + own):
                # At two frames a second a pair is one.
                words = letters(f"]<]{pair}.0 seconds[>[") if frames else []
                inner = [START] + [token] * count + [END]
                ids += words + inner
        self.shown.append((len(self.ids), ids))
        self.add(ids)

    def encoded(self, model):
        """Of all tokens from the first of a stretch to its last, words between them included."""
        inputs = self.inputs()
        ids = inputs["input_ids"][0]
        rows = model.get_input_embeddings()(ids).detach()
        for kind, token, of in ((1, IMAGE, model.model.get_image_features), (2, VIDEO, model.model.get_video_features)):
            if self.pixels[kind]:
                pixels = torch.cat(self.pixels[kind])
                rows[ids == token] = torch.cat(list(of(pixels, torch.tensor(self.grids[kind])).pooler_output)).detach()
        kept = []
        for start, own in self.shown:
            places = [i for i, token in enumerate(own) if token in (IMAGE, VIDEO)]
            each = self.tokens_of_pair(own, places)
            for first in range(0, len(places), SEGMENT * each):
                stretch = places[first:first + SEGMENT * each]
                kept += range(start + stretch[0], start + stretch[-1] + 1)
        return rows[kept].float()

    @staticmethod
    def tokens_of_pair(own, places):
        """Tokens that follow one another from the first on."""
        return next((i for i in range(1, len(places)) if places[i] != places[i - 1] + 1), len(places))


def prompts(case, out):
    found = patch_prompts(case, out, processor_of(case), BracketedPrompt, [3, (5, 84, 56, 5), 2, (0, 56, 56, 6), 9])
    write_frames(out, dict(patch_size=case["patch"], size=SIZE, vision_segment_max_frames=SEGMENT))
    return found


CASES = {}
# Of heads of sixteen twelve turn, four by each axis. Each token has all experts; an indexer chooses all blocks of such
# short prompts.
CASES["minimax_m3_vl"] = dict(
    config=dict(text_config=TEXT | dict(
                    head_dim=16, dense_intermediate_size=48, intermediate_size=24, shared_intermediate_size=24,
                    num_local_experts=4,
                    num_experts_per_tok=4, mlp_layer_types=["dense", "sparse", "sparse"], index_n_heads=2,
                    index_head_dim=16,
                    index_block_size=32, layer_types=["full_attention", "minimax_m3_sparse", "minimax_m3_sparse"],
                    rope_parameters=dict(rope_type="default", rope_theta=10000.0, partial_rotary_factor=0.5)),
                image_token_index=IMAGE, video_token_index=VIDEO, projector_hidden_size=48, tie_word_embeddings=False,
                vision_config=dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4)),
    seed=1, merge=2, patch=14, prompts=prompts)
