# SPDX-License-Identifier: Apache-2.0
"""MiniMax-M3 VL."""

from media.base import END, IMAGE, START, TEXT, VIDEO
from media.patches import PatchPrompt, patch_prompts, patches_of
from media.qwen_vl import processor_of


class BracketedPrompt(PatchPrompt):
    """Pictures with what the processor, and no template, writes around them."""

    def show(self, *part):
        count = self.see(patches_of(self.processor, *part), 1)
        self.begin(part)
        self.add([START] + [IMAGE] * count + [END])


def prompts(case, out):
    return patch_prompts(case, out, processor_of(case), BracketedPrompt)


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
