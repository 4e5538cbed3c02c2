# SPDX-License-Identifier: Apache-2.0
"""Qwen2-VL and those after it, Qwen 3.5's and Qwen 4's among them."""

from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.qwen3_vl.video_processing_qwen3_vl import smart_resize

from media.base import END, START, TEXT, VIDEO, letters
from media.patches import IDS, MROPE, PROMPTS, SIZE, PatchPrompt, frames_of, patch_prompts


def seconds(frames, fps):
    """When each pair of frames is, as Qwen3-VL's processor writes it."""
    places = list(range(frames)) + [frames - 1] * (frames % 2)
    return [f"<{(a / fps + b / fps) / 2:.1f} seconds>" for a, b in zip(places[::2], places[1::2])]


def processor_of(case):
    return Qwen2VLImageProcessorPil(size=SIZE, patch_size=case["patch"], merge_size=case["merge"],
                                    **case.get("processor", {}))


def prompts(case, out, kind=PatchPrompt):
    return patch_prompts(case, out, processor_of(case), kind, PROMPTS[-1])


def timed_prompts(case, out):
    return prompts(case, out, TimedPrompt)


class TimedPrompt(PatchPrompt):
    """Each pair of frames behind words that say when it is, at the two frames a second of a video without a rate."""

    def show(self, *part):
        if part[0] == 0:
            return super().show(*part)
        count = self.see(frames_of(self.case, smart_resize, *part), 2)
        self.begin(part)
        for words in seconds(part[0], 2):
            self.add(letters(words) + [START] + [VIDEO] * count + [END])


CASES = {
    "qwen2_vl": dict(
        prompts=prompts,
        config=dict(text_config=TEXT | MROPE, tie_word_embeddings=False, **IDS,
                    vision_config=dict(depth=2, embed_dim=64, hidden_size=64, num_heads=4, mlp_ratio=2)),
        merge=2, patch=14),
    # Windows of 2 x 2 blocks, ragged at the edges; a second has 2 positions, so that 5.24 and 4 agree on videos.
    "qwen2_5_vl": dict(
        prompts=prompts,
        config=dict(text_config=TEXT | MROPE, tie_word_embeddings=False, **IDS,
                    vision_config=dict(depth=3, hidden_size=64, intermediate_size=88, num_heads=4, out_hidden_size=64,
                                       window_size=56, fullatt_block_indexes=[1], tokens_per_second=2)),
        # With which no placeholder is generated: transformers would look for its picture.
        seed=2, merge=2, patch=14),
}

CASES["qwen3_vl"] = dict(
    config=dict(text_config=TEXT | dict(head_dim=16, rope_parameters=dict(rope_type="default", rope_theta=10000.0,
                                        mrope_section=[4, 2, 2], mrope_interleaved=True)),
                tie_word_embeddings=False, **IDS,
                vision_config=dict(depth=3, hidden_size=64, intermediate_size=96, num_heads=4, out_hidden_size=64,
                                   patch_size=16, num_position_embeddings=36, deepstack_visual_indexes=[0, 1])),
    seed=1, merge=2, patch=16, frames={"shortest_edge": 3136, "longest_edge": 50176}, prompts=timed_prompts,
    processor=dict(image_mean=[0.5] * 3, image_std=[0.5] * 3))
# The middle layer has no experts.
CASES["qwen3_vl_moe"] = CASES["qwen3_vl"] | dict(
    config=CASES["qwen3_vl"]["config"] | dict(
        text_config=CASES["qwen3_vl"]["config"]["text_config"] | dict(
            num_experts=6, num_experts_per_tok=2, moe_intermediate_size=48, mlp_only_layers=[1])),
    # With which rounding to bfloat16 leaves each token its experts.
    seed=4)
# Half of the layers have linear attention; the tower gives no vectors to layers of text.
HYBRID = dict(head_dim=32, layer_types=["linear_attention", "full_attention", "linear_attention"],
              linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=64, linear_value_head_dim=32,
              rope_parameters=dict(rope_type="default", rope_theta=10000.0, mrope_section=[2, 1, 1],
                                   mrope_interleaved=True,
                                   partial_rotary_factor=0.25))
TOWER = CASES["qwen3_vl"]["config"]["vision_config"] | {}
del TOWER["deepstack_visual_indexes"]
CASES["qwen3_5"] = CASES["qwen3_vl"] | dict(
    config=CASES["qwen3_vl"]["config"] | dict(text_config=TEXT | HYBRID, vision_config=TOWER),
    # With which rounding to bfloat16 moves logits little: heads whose queries and keys are nearly at right angles give
    # something small, which their norm makes large.
    seed=3)
# Each token has all experts: choices that rounding changes move logits more than all else.
CASES["qwen3_5_moe"] = CASES["qwen3_5"] | dict(
    config=CASES["qwen3_5"]["config"] | dict(
        text_config={key: value for key, value in (TEXT | HYBRID).items() if key != "intermediate_size"}
        | dict(num_hidden_layers=2, layer_types=["linear_attention", "full_attention"], num_experts=4,
               num_experts_per_tok=4, moe_intermediate_size=32,
                                         shared_expert_intermediate_size=48)),
    seed=4)
# The same tower beside text in several streams, which take of n-grams; an indexer chooses all keys of such short
# prompts.
CASES["qwen4_exp"] = CASES["qwen3_5_moe"] | dict(
    config=CASES["qwen3_5_moe"]["config"] | dict(
        text_config=CASES["qwen3_5_moe"]["config"]["text_config"] | dict(
            hc_count=2, hc_lowrank=16, output_gate_type="sigmoid", ple_layer_ids=[1], ple_embed_dim=32, ngram_size=3,
            heads_per_ngram=2,
            ngram_vocab_size_base=29, make_ngram_vocab_size_divisible_by=8, split_ngram_parts=2, indexer_n_heads=2,
            indexer_kv_heads=1,
            indexer_head_dim=8, indexer_budget=256, indexer_compress_ratio=4)))
