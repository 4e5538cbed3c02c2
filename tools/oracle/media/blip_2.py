# SPDX-License-Identifier: Apache-2.0
"""BLIP-2 with text of OPT: queries look at the one square that each picture is drawn out to."""

import torch
from transformers import Blip2ForConditionalGeneration
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from media.base import IMAGE, SQUARES, VOCAB, SquarePrompt, each, side_of


def texts_alone():
    """The class asks for pixels first, and of texts, too, which nothing shows."""
    whole = Blip2ForConditionalGeneration.forward

    def forward(self, input_ids, pixel_values=None, **others):
        side = self.config.vision_config.image_size
        shown = torch.zeros(1, 3, side, side, dtype=self.dtype) if pixel_values is None else pixel_values
        return whole(self, pixel_values=shown, input_ids=input_ids, **others)

    Blip2ForConditionalGeneration.forward = forward


class QueriedPrompt(SquarePrompt):
    """Each picture has as many tokens as there are queries."""

    def encoded(self, model):
        return torch.cat(list(model.get_image_features(self.inputs()["pixel_values"]).pooler_output)).float()


def prompts(case, out):
    processor = BlipImageProcessorPil(size={"height": side_of(case), "width": side_of(case)})
    processor.save_pretrained(out)
    return each(QueriedPrompt, SQUARES, processor, case["config"]["num_query_tokens"])


OPT = dict(model_type="opt", vocab_size=VOCAB, hidden_size=64, ffn_dim=96, num_hidden_layers=2, num_attention_heads=4,
           max_position_embeddings=256, word_embed_proj_dim=64, bos_token_id=1, eos_token_id=2)

CASES = {}
# Of three layers of queries every other looks at rows.
CASES["blip_2"] = dict(
    config_of="blip-2", computed_as="blip-2",
    config=dict(text_config=OPT, image_token_index=IMAGE, num_query_tokens=9,
                qformer_config=dict(hidden_size=48, num_hidden_layers=3, num_attention_heads=3, intermediate_size=80,
                                    vocab_size=30, max_position_embeddings=8),
                vision_config=dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                                   image_size=28, patch_size=7)),
    before=texts_alone, prompts=prompts, seed=1)
# No biases of queries, keys and values; each layer of queries looks at rows; the head is not the embedding.
CASES["blip_2-plain"] = CASES["blip_2"] | dict(
    config=CASES["blip_2"]["config"] | dict(
        text_config=OPT | dict(tie_word_embeddings=False),
        qformer_config=CASES["blip_2"]["config"]["qformer_config"] | dict(
            num_hidden_layers=2, cross_attention_frequency=1, hidden_act="relu"),
        vision_config=CASES["blip_2"]["config"]["vision_config"] | dict(qkv_bias=False, image_size=30)),
    seed=2)
