# SPDX-License-Identifier: Apache-2.0
"""Command A Vision, Command A+ and Aya Vision."""

from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

from make_media_fixtures import covering_processor
from media.base import BESIDE, END, IMAGE, SQUARES, START, TEXT, PixelPrompt, each, image, letters, side_of


class CoveredPrompt(PixelPrompt):
    """Tiles and the whole, a token behind each of them."""

    def show(self, *part):
        _, width, height, seed = part
        out = self.processor(images=[image(width, height, seed)], return_tensors="pt")
        self.pixels.append(out["pixel_values"])
        self.begin(part)
        self.add([START] + ([IMAGE] * self.count + [BESIDE]) * len(out["pixel_values"]) + [END])



class NumberedPrompt(CoveredPrompt):
    """Tiles behind their numbers, then the whole."""

    def show(self, *part):
        _, width, height, seed = part
        out = self.processor(images=[image(width, height, seed)], crop_to_patches=True, return_tensors="pt")
        self.pixels.append(out["pixel_values"])
        self.begin(part)
        self.add([START])
        for tile in range(1, len(out["pixel_values"])):
            self.add(letters(f"TILE_{tile}") + [IMAGE] * self.count)
        self.add(letters("TILE_GLOBAL") + [IMAGE] * self.count + [END])


def covered_prompts(case, out):
    processor = covering_processor(side_of(case), 6, patch_size=2)
    processor.save_pretrained(out)
    return each(CoveredPrompt, SQUARES, processor, 4)


def numbered_prompts(case, out):
    processor = GotOcr2ImageProcessorPil(size={"height": side_of(case), "width": side_of(case)}, max_patches=3)
    processor.save_pretrained(out)
    return each(NumberedPrompt, SQUARES, processor, 4)


CASES = {}
# Tiles of 56 pixels, four tokens each.
COHERE2 = TEXT | dict(model_type="cohere2", num_hidden_layers=4, sliding_window=24, logit_scale=0.75)
CASES["cohere2_vision"] = dict(
    config=dict(text_config=COHERE2, image_token_id=IMAGE, alignment_intermediate_size=96,
                vision_config=dict(model_type="siglip_vision_model", hidden_size=64, intermediate_size=96,
                                   num_hidden_layers=2, num_attention_heads=4, image_size=56, patch_size=14,
                                   vision_use_head=False)),
    prompts=covered_prompts, seed=1)

# Command A+: each token is given to all experts, since rounding would choose others.
CASES["cohere2_vision-experts"] = dict(
    config=CASES["cohere2_vision"]["config"] | dict(
        text_config=COHERE2 | dict(model_type="cohere2_moe", num_hidden_layers=3, first_k_dense_replace=1,
                                   intermediate_size=32,
                                   prefix_dense_intermediate_size=96, num_experts=4, num_experts_per_tok=4,
                                   num_shared_experts=1, expert_selection_fn="sigmoid", norm_topk_prob=True,
                                   layer_types=["sliding_attention", "full_attention", "sliding_attention"])),
    prompts=covered_prompts, seed=2)

# The same behind numbers, of the last layer without the norm behind it.
CASES["aya_vision"] = dict(
    config=dict(text_config=COHERE2, image_token_index=IMAGE,
                vision_config=CASES["cohere2_vision"]["config"]["vision_config"]),
    prompts=numbered_prompts, seed=1)

# Rows of the last layer but one, and gates of a width of their own.
CASES["aya_vision-middle"] = dict(
    config=CASES["aya_vision"]["config"] | dict(vision_feature_layer=-2, alignment_intermediate_size=48,
                                                adapter_layer_norm_eps=1e-3),
    prompts=numbered_prompts, seed=2)
