# SPDX-License-Identifier: Apache-2.0
"""EXAONE 4.5: Qwen2.5-VL's tower with fewer heads of keys before text of EXAONE 4."""

from media import qwen_vl
from media.base import TEXT
from media.patches import IDS, PatchPrompt


class ExaonePrompt(PatchPrompt):
    """Tokens of pictures have positions of text, though the class could say others."""

    def positions(self, model):
        return None


def prompts(case, out):
    return qwen_vl.prompts(case, out, ExaonePrompt)


CASES = {}
# The same tower with fewer heads of keys; tokens of pictures have positions of text. Layers without a window know none.
CASES["exaone4_5"] = dict(
    config=dict(text_config=TEXT | dict(model_type="exaone4", head_dim=16, sliding_window=12, sliding_window_pattern=3,
                                        layer_types=["sliding_attention", "sliding_attention", "full_attention"],
                                        rope_parameters=dict(rope_type="default", rope_theta=10000.0)),
                tie_word_embeddings=False, **IDS,
                vision_config=dict(depth=3, hidden_size=64, intermediate_size=88, num_heads=4, num_key_value_heads=2,
                                   out_hidden_size=64,
                                   window_size=56, fullatt_block_indexes=[1])),
    seed=5, merge=2, patch=14, prompts=prompts)
CASES["exaone4_5-full"] = CASES["exaone4_5"] | dict(
    config=CASES["exaone4_5"]["config"] | dict(
        text_config=TEXT | dict(model_type="exaone4", head_dim=16, sliding_window=None, tie_word_embeddings=True,
                                layer_types=["full_attention"] * 3,
                                rope_parameters=dict(rope_type="default", rope_theta=10000.0)),
        tie_word_embeddings=True,
        vision_config=CASES["exaone4_5"]["config"]["vision_config"] | dict(num_key_value_heads=1,
                                                                           fullatt_block_indexes=[0, 2])),
    seed=1)
