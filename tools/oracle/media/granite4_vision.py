# SPDX-License-Identifier: Apache-2.0
"""Granite 4 Vision: LLaVA-NeXT's tiles, vectors of several layers of the encoder for several layers of text."""

import torch
from transformers import Granite4VisionProcessor
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

from media.base import IMAGE, SQUARES, each, side_of
from media.llava_next import AnyresPrompt


class VectorPrompt(AnyresPrompt):
    """The same, each token of which has vectors for layers of text."""

    def __init__(self, parts, number, processor, config):
        self.rate = config["downsample_rate"]
        super().__init__(parts, number, processor, config)

    def show(self, *part):
        counter = object.__new__(Granite4VisionProcessor)
        counter.__dict__ |= self.counter.__dict__ | dict(downsample_rate=self.rate)
        self.place(part, IMAGE, len(counter.replace_image_token(self.out, len(self.media))))

    def encoded(self, model):
        """What is added before layers of text, the first of them first; zeros where the first gets nothing."""
        levels = dict(model.model.get_image_features(**self.out).deepstack_features)
        rows = {layer: torch.cat(list(found)) for layer, found in levels.items()}
        first = rows.pop(0, torch.zeros_like(next(iter(rows.values()))))
        return torch.cat([first, *(rows[layer] for layer in sorted(rows))], 1).float()


def prompts(case, out):
    side, canvases = side_of(case), case["config"]["image_grid_pinpoints"]
    processor = LlavaNextImageProcessorPil(size=dict(shortest_edge=side), crop_size=dict(height=side, width=side),
                                           image_grid_pinpoints=canvases)
    processor.save_pretrained(out)
    return each(VectorPrompt, SQUARES, processor, case["config"])


GRANITE = dict(model_type="granite4_vision_text", vocab_size=131, hidden_size=32, intermediate_size=48,
               num_hidden_layers=5, num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=256,
               bos_token_id=1, eos_token_id=2, embedding_multiplier=3.0, attention_multiplier=0.3,
               residual_multiplier=0.6, logits_scaling=0.5)
VISION = dict(model_type="siglip_vision_model", hidden_size=64, intermediate_size=96, num_hidden_layers=2,
              num_attention_heads=4, image_size=56, patch_size=7, vision_use_head=False)
CANVASES = [[56, 56], [56, 112], [112, 56], [112, 112], [56, 168]]
QUERIES = dict(model_type="blip_2_qformer", num_hidden_layers=1, intermediate_size=80, cross_attention_frequency=1)
CASES = {}
# Squares of 8 x 8 patches in windows of 4 x 4, each of which becomes 2 x 2 tokens; corners of blocks for further
# layers.
CASES["granite4_vision"] = dict(
    config=dict(text_config=GRANITE, vision_config=VISION, image_token_index=IMAGE, image_grid_pinpoints=CANVASES,
                tie_word_embeddings=False, downsample_rate="2/4", deepstack_layer_map=[[-2, 0]],
                spatial_vision_layer=-1, spatial_target_layers=[1, 2, 4, 3], vision_feature_select_strategy="full",
                qformer_config=QUERIES),
    prompts=prompts, seed=3)
# Nothing stands in the place of words before the second layer; means alone, of which queries see rows in every second
# layer.
CASES["granite4_vision-means"] = dict(
    config=CASES["granite4_vision"]["config"] | dict(
        text_config=GRANITE | dict(num_hidden_layers=2, attention_bias=True, mlp_bias=True),
        vision_config=VISION | dict(hidden_size=128), image_grid_pinpoints=CANVASES[:4], tie_word_embeddings=True,
        downsample_rate="1/2", deepstack_layer_map=[[1, 1]], spatial_target_layers=[],
        qformer_config=QUERIES | dict(num_hidden_layers=2, intermediate_size=48, cross_attention_frequency=2,
                                      hidden_act="gelu_new")),
    prompts=prompts, seed=2)
del CASES["granite4_vision-means"]["config"]["spatial_vision_layer"]
