# SPDX-License-Identifier: Apache-2.0
"""PaliGemma with text of Gemma and of Gemma 2."""

import torch

from media.base import IMAGE, TEXT, VOCAB, SquarePrompt
from media.llava import square_prompts, whole_processor


class PrefixPrompt(SquarePrompt):
    """The same of which all tokens see each other, but for those that are generated."""

    def texts(self, more):
        found = super().texts(more)
        types = torch.tensor([[0] * len(self.ids) + [1] * len(more)])
        return found | (dict(token_type_ids=types) if self.pixels else {})

    def encoded(self, model):
        """Of all tokens, words included."""
        inputs = self.inputs()
        ids = inputs["input_ids"][0]
        rows = model.get_input_embeddings()(ids)
        seen = model.model.get_image_features(inputs["pixel_values"]).pooler_output
        rows[ids == IMAGE] = seen.flatten(0, 1)
        return rows.float()


def prompts(case, out):
    return square_prompts(whole_processor(case), case, out, PrefixPrompt)


CASES = {}
# All of a prompt sees itself, where it shows something.
CASES["paligemma"] = dict(
    config=dict(text_config=TEXT | dict(model_type="gemma", head_dim=16, num_key_value_heads=1),
                image_token_index=IMAGE,
                projection_dim=64, hidden_size=64, vocab_size=VOCAB,
                vision_config=dict(model_type="siglip_vision_model", hidden_size=64, intermediate_size=96,
                                   num_hidden_layers=2, num_attention_heads=4, image_size=70, patch_size=14,
                                   vision_use_head=False)),
    prompts=prompts, seed=1)
CASES["paligemma-gemma2"] = dict(
    config=CASES["paligemma"]["config"] | dict(
        text_config=TEXT | dict(model_type="gemma2", head_dim=16, query_pre_attn_scalar=16, sliding_window=192,
                                final_logit_softcapping=3.0, attn_logit_softcapping=2.0,
                                layer_types=["sliding_attention", "full_attention", "sliding_attention"])),
    prompts=prompts, seed=2)
