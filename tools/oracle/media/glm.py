# SPDX-License-Identifier: Apache-2.0
"""GLM-4V, 4.5V and 4.6V, and GLM-OCR."""

from transformers.models.glm4v.image_processing_pil_glm4v import Glm4vImageProcessorPil
from transformers.models.glm4v.video_processing_glm4v import smart_resize

from media.base import END, IMAGE, START, TEXT, VIDEO, VIDEO_END, VIDEO_START, letters
from media.patches import SIZE, VIDEOS, PatchPrompt, frames_of, patch_prompts


class GlmPrompt(PatchPrompt):
    """Behind each pair of frames when it is, at the two frames a second of a video without a rate."""

    def show(self, *part):
        if part[0] == 0:
            return super().show(*part)
        count = self.see(frames_of(self.case, smart_resize, *part), 2)
        self.add([VIDEO_START])
        self.begin(part)
        for second in range(-(-part[0] // 2)):
            self.add([START] + [IMAGE] * count)
            self.types[-count:] = [2] * count
            self.add([END] + letters(self.case["timed"].format(second)))
        self.add([VIDEO_END])


def prompts(case, out):
    processor = Glm4vImageProcessorPil(size={edge: 2 * pixels for edge, pixels in SIZE.items()})
    return patch_prompts(case, out, processor, GlmPrompt, VIDEOS)


CASES = {}
# Half of each head turns; pictures are pairs of frames, whose pixels count twice. Rows of videos have the token of
# pictures.
CASES["glm4v"] = dict(
    config=dict(text_config=TEXT | dict(rope_parameters=dict(rope_type="default", rope_theta=10000.0,
                                                             mrope_section=[2, 1, 1],
                                                             partial_rotary_factor=0.5)),
                tie_word_embeddings=False, image_token_id=IMAGE, video_token_id=VIDEO, image_start_token_id=START,
                image_end_token_id=END, video_start_token_id=VIDEO_START, video_end_token_id=VIDEO_END,
                vision_config=dict(depth=2, hidden_size=64, intermediate_size=88, num_heads=4, out_hidden_size=64,
                                   image_size=56)),
    # With which no placeholder is generated, and rounding to bfloat16 moves logits least: torch's own moves them more.
    seed=10, merge=2, patch=14, frames={"shortest_edge": 6272, "longest_edge": 37632}, timed="{}", prompts=prompts)
# The first layer has no experts; half of each head turns by halves. Each token has all experts, as above.
GLM_EXPERTS = CASES["glm4v"]["config"]["text_config"] | dict(
    num_hidden_layers=2, head_dim=16, n_routed_experts=4, num_experts_per_tok=4, moe_intermediate_size=32,
    n_shared_experts=1, routed_scaling_factor=1.5)
CASES["glm4v_moe"] = CASES["glm4v"] | dict(config=CASES["glm4v"]["config"] | dict(text_config=GLM_EXPERTS), seed=5)
# Layers of experts alone, whose weights do not sum to one; no biases.
CASES["glm4v_moe-plain"] = CASES["glm4v_moe"] | dict(
    config=CASES["glm4v_moe"]["config"] | dict(
        tie_word_embeddings=True,
        text_config=GLM_EXPERTS | dict(first_k_dense_replace=0, norm_topk_prob=False, attention_bias=False,
                                       n_shared_experts=2,
                                       tie_word_embeddings=True)),
    seed=1)
# Times of frames to tenths of a second.
CASES["glm46v"] = CASES["glm4v"] | dict(
    config=CASES["glm4v"]["config"] | dict(
        text_config=CASES["glm4v"]["config"]["text_config"] | dict(model_type="glm4v_text")),
    timed="{:.1f} seconds", seed=17)
CASES["glm46v-experts"] = CASES["glm46v"] | dict(
    config=CASES["glm46v"]["config"] | dict(text_config=GLM_EXPERTS | dict(
        model_type="glm4v_moe_text", n_shared_experts=2, attention_bias=False)), seed=1)
# Rotary positions alone; heads of text turn wholly. A layer behind the last, of which nothing is in the reference, is
# no tensor.
CASES["glm_ocr"] = CASES["glm4v"] | dict(
    config=CASES["glm4v"]["config"] | dict(
        text_config=TEXT | dict(head_dim=16, rope_parameters=dict(rope_type="default", rope_theta=10000.0,
                                                                  mrope_section=[2, 3, 3],
                                                                  partial_rotary_factor=1.0)),
        vision_config=dict(depth=2, hidden_size=64, intermediate_size=88, num_heads=4, out_hidden_size=64)),
    timed="{:.1f} seconds", seed=1)
# Without biases, heads of which half turns, frames of videos with whole seconds as other files have them.
CASES["glm_ocr-plain"] = CASES["glm_ocr"] | dict(
    config=CASES["glm_ocr"]["config"] | dict(
        tie_word_embeddings=True, text_config=CASES["glm4v"]["config"]["text_config"] | dict(tie_word_embeddings=True),
        vision_config=CASES["glm_ocr"]["config"]["vision_config"] | dict(attention_bias=False, depth=1,
                                                                         out_hidden_size=64)), seed=4)
