# SPDX-License-Identifier: Apache-2.0
"""Aria. A case has `least`, of a picture's shorter side."""

import torch
from transformers.models.aria.image_processing_pil_aria import AriaImageProcessorPil

from media.base import IMAGE, SQUARES, TEXT, Prompt, each, image

# The lesser of the two sizes that its processor knows.
SIDE = 490


class FilledPrompt(Prompt):
    """Each picture has as many tokens, whatever part of its square it fills."""

    def __init__(self, parts, number, processor, count):
        self.processor, self.count, self.shown = processor, count, []
        super().__init__(parts, number)

    def show(self, *part):
        _, width, height, seed = part
        self.shown.append(image(width, height, seed))
        self.place(part, IMAGE, self.count)

    def inputs(self, more=()):
        if not self.shown:
            return self.texts(more)
        found = self.processor(images=self.shown, return_tensors="pt")
        return self.texts(more) | {name: found[name] for name in ("pixel_values", "pixel_mask")}

    def encoded(self, model):
        inputs = self.inputs()
        seen = model.model.get_image_features(inputs["pixel_values"], inputs["pixel_mask"],
                                              vision_feature_layer=model.config.vision_feature_layer)
        return seen.pooler_output.flatten(0, 1).float()


def prompts(case, out):
    processor = AriaImageProcessorPil(max_image_size=SIDE, min_image_size=case["least"])
    processor.save_pretrained(out)
    config = case["config"]
    patches = (SIDE // config["vision_config"]["patch_size"]) ** 2
    return each(FilledPrompt, SQUARES, processor, config["projector_patch_to_query_dict"][patches])


CASES = {}
# Seven patches along a side of the square, five along that of which positions are; the fewer queries of two.
CASES["aria"] = dict(
    config=dict(text_config=TEXT | dict(model_type="aria_text", intermediate_size=32, moe_num_experts=8, moe_topk=3,
                                        moe_num_shared_experts=2, rope_theta=10000.0),
                image_token_index=IMAGE, projector_patch_to_query_dict={49: 16, 196: 20},
                vision_config=dict(model_type="idefics3_vision", hidden_size=32, intermediate_size=48,
                                   num_hidden_layers=2, num_attention_heads=2, patch_size=70, image_size=350)),
    prompts=prompts, least=140, seed=2)
# The layer before the last; sides that end within a patch; one shared expert, biases.
CASES["aria-inner"] = dict(
    config=dict(text_config=TEXT | dict(model_type="aria_text", num_hidden_layers=2, intermediate_size=48, head_dim=16,
                                        moe_num_experts=4, moe_topk=2, moe_num_shared_experts=1, mlp_bias=True,
                                        attention_bias=True, hidden_act="gelu", rope_theta=10000.0),
                image_token_index=IMAGE, vision_feature_layer=-2, projector_patch_to_query_dict={25: 14},
                vision_config=dict(model_type="idefics3_vision", hidden_size=48, intermediate_size=40,
                                   num_hidden_layers=2, num_attention_heads=3, patch_size=98, image_size=490,
                                   hidden_act="gelu")),
    prompts=prompts, least=100, seed=1)
