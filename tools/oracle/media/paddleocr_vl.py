# SPDX-License-Identifier: Apache-2.0
"""PaddleOCR-VL."""

from make_media_fixtures import paddle_processor
from media.base import END, IMAGE, START, TEXT, VIDEO
from media.patches import SIZE, PatchPrompt, patch_prompts


def prompts(case, out):
    return patch_prompts(case, out, paddle_processor(size=SIZE), PatchPrompt)


CASES = {}
# A square of five by five positions, which pictures are larger and smaller than; all of a head turns, by three axes.
CASES["paddleocr_vl"] = dict(
    config=dict(text_config=TEXT | dict(head_dim=16, rope_parameters=dict(rope_type="default", rope_theta=10000.0,
                                                                          mrope_section=[2, 3, 3])),
                image_token_id=IMAGE, video_token_id=VIDEO, vision_start_token_id=START, vision_end_token_id=END,
                vision_config=dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                                   image_size=70)),
    seed=1, merge=2, patch=14, prompts=prompts)
# Biases, a head of its own, and the sections and heads that the class has where nobody says them.
CASES["paddleocr_vl-bias"] = CASES["paddleocr_vl"] | dict(
    config=CASES["paddleocr_vl"]["config"] | dict(
        tie_word_embeddings=False, text_config=TEXT | dict(num_hidden_layers=2, num_attention_heads=2,
                                                           num_key_value_heads=1, head_dim=128,
                                                          use_bias=True, tie_word_embeddings=False,
                                                          rope_parameters=dict(rope_type="default",
                                                                               rope_theta=10000.0)),
        vision_config=CASES["paddleocr_vl"]["config"]["vision_config"] | dict(image_size=42, hidden_act="gelu")),
        seed=1)
