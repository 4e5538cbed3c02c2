# SPDX-License-Identifier: Apache-2.0
"""HunYuan-VL."""

from transformers.models.hunyuan_vl.image_processing_pil_hunyuan_vl import HunYuanVLImageProcessorPil

from media.base import IMAGE, TEXT
from media.patches import SIZE, PatchPrompt, patch_prompts


class EdgedPrompt(PatchPrompt):
    """A token behind each line, one before all and one behind."""

    def tokens_of(self, rows, columns):
        return rows // self.merge * (columns // self.merge + 1) + 2


def prompts(case, out):
    # Resampling as published files say it, whatever the class does.
    processor = HunYuanVLImageProcessorPil(size=SIZE, patch_size=case["patch"], merge_size=case["merge"], resample=1)
    return patch_prompts(case, out, processor, EdgedPrompt)


CASES = {}
# A square of five by five positions; four axes of positions, each of which has a quarter of a head as it lies; text as
# published.
CASES["hunyuan_vl"] = dict(
    config=dict(image_token_id=IMAGE,
                text_config=TEXT | dict(head_dim=16, rope_parameters=dict(rope_type="dynamic", rope_theta=10000.0,
                                                                          alpha=50.0, factor=1.0,
                                                                          mrope_section=[2, 3, 2, 1])),
                vision_config=dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
                                   patch_size=14, max_image_size=70)),
    patch=14, merge=2, prompts=prompts, seed=1)
# Three axes, blocks of nine patches, biases, a head of its own, another rotary embedding.
CASES["hunyuan_vl-bias"] = CASES["hunyuan_vl"] | dict(
    config=dict(image_token_id=IMAGE, tie_word_embeddings=False,
                text_config=TEXT | dict(num_hidden_layers=2, num_key_value_heads=1, head_dim=32, attention_bias=True,
                                        tie_word_embeddings=False, rms_norm_eps=1e-6,
                                        rope_parameters=dict(rope_type="linear", factor=2.0, rope_theta=5000.0,
                                                             mrope_section=[5, 3, 8])),
                vision_config=dict(hidden_size=32, intermediate_size=40, num_hidden_layers=1, num_attention_heads=4,
                                   patch_size=8, max_image_size=96,
                                   spatial_merge_size=3, rms_norm_eps=1e-6, hidden_act="gelu_pytorch_tanh")),
    patch=8, merge=3, seed=1)
