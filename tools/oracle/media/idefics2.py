# SPDX-License-Identifier: Apache-2.0
"""Idefics 2."""

import torch
from transformers.models.idefics2.image_processing_pil_idefics2 import Idefics2ImageProcessorPil

from media.base import IMAGE, SQUARES, START, TEXT, Prompt, each, image


class QuarteredPrompt(Prompt):
    """A token before each part of a picture and behind the last, one alone between pictures that follow one another."""

    def __init__(self, parts, number, processor, count):
        self.processor, self.count, self.shown = processor, count, []
        super().__init__(parts, number)

    def show(self, *part):
        _, width, height, seed = part
        if self.ids[-1:] != [START]:
            self.add([START])
        self.shown.append(image(width, height, seed))
        self.media.append([*part, len(self.ids) - 1])
        self.add(([IMAGE] * self.count + [START]) * (5 if self.processor.do_image_splitting else 1))

    def inputs(self, more=()):
        return self.texts(more) | (dict(self.processor(images=[self.shown], return_tensors="pt")) if self.shown else {})

    def encoded(self, model):
        inputs = self.inputs()
        seen = model.model.get_image_features(inputs["pixel_values"], inputs["pixel_attention_mask"])
        return torch.cat(list(seen.pooler_output)).float()


def prompts(case, out):
    processor = Idefics2ImageProcessorPil(**case["quartered"])
    processor.save_pretrained(out)
    return each(QuarteredPrompt, SQUARES, processor, case["config"]["perceiver_config"]["resampler_n_latents"])


CASES = {}
# Quarters of pictures and the whole, between which one token stands; queries that look at patches and at each other.
CASES["idefics2"] = dict(
    config=dict(text_config=TEXT | dict(model_type="mistral", head_dim=16, sliding_window=None, rms_norm_eps=1e-5),
                image_token_id=IMAGE,
                perceiver_config=dict(hidden_size=64, rms_norm_eps=1e-5, resampler_n_latents=4, resampler_depth=2,
                                      resampler_n_heads=4,
                                      resampler_head_dim=16, num_key_value_heads=2),
                vision_config=dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
                                   patch_size=8, image_size=56)),
    prompts=prompts, quartered=dict(do_image_splitting=True, size=dict(shortest_edge=24, longest_edge=56)), seed=1)
# Pictures as a whole, with pixels that make no patch; an epsilon that the text has, a window, a head that is the
# embedding.
CASES["idefics2-whole"] = dict(
    config=dict(text_config=TEXT | dict(model_type="mistral", num_hidden_layers=2, sliding_window=16,
                                        tie_word_embeddings=True, rms_norm_eps=0.01),
                image_token_id=IMAGE, tie_word_embeddings=True,
                perceiver_config=dict(resampler_n_latents=6, resampler_depth=1, resampler_n_heads=2,
                                      resampler_head_dim=32, num_key_value_heads=2,
                                      hidden_act="gelu_pytorch_tanh"),
                vision_config=dict(hidden_size=32, intermediate_size=40, num_hidden_layers=1, num_attention_heads=4,
                                   patch_size=8, image_size=40,
                                   hidden_act="gelu")),
    prompts=prompts, quartered=dict(do_image_splitting=False, size=dict(shortest_edge=20, longest_edge=55)), seed=1)
