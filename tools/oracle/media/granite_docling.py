# SPDX-License-Identifier: Apache-2.0
"""GraniteDocling."""

import torch

from make_media_fixtures import page_processor
from media.base import END, IMAGE, SQUARES, START, TEXT, each, image, letters, patches_in, side_of, square_at
from media.idefics3 import SplitPrompt


class PagePrompt(SplitPrompt):
    """The same of pages; the whole behind them where they are cut, vectors for layers of text behind each row."""

    def show(self, kind, width, height, seed):
        out = self.processor(images=[[image(width, height, seed)]], return_tensors="pt")
        self.pixels.append(out["pixel_values"][0])
        self.begin((kind, width, height, seed))
        rows, columns = out["rows"][0][0], out["cols"][0][0]
        for row in range(rows):
            for column in range(columns):
                self.add([START, square_at(row, column)] + [IMAGE] * self.count)
            self.add(letters("\n"))
        if rows * columns > 1:
            self.add(letters("\n") + [START, END] + [IMAGE] * self.count + [START])

    def inputs(self, more=()):
        if not self.pixels:
            return self.texts(more)
        pixels = torch.cat(self.pixels)[None]
        return self.texts(more) | dict(pixel_values=pixels, pixel_attention_mask=torch.ones(pixels.shape[:2],
                                                                                            dtype=torch.bool))

    def encoded(self, model):
        inputs = self.inputs()
        out = model.model.get_image_features(inputs["pixel_values"], inputs["pixel_attention_mask"])
        return torch.cat([out.pooler_output[0], *(level[0] for level in out.deepstack_features)], 1).float()


def prompts(case, out):
    vision = case["config"]["vision_config"]
    processor = page_processor(size={"height": side_of(case), "width": side_of(case)}, **case["pages"])
    processor.save_pretrained(out)
    return each(PagePrompt, SQUARES, processor, patches_in(vision) // vision["scale_factor"] ** 2)


CASES = {}
# Squares of 56 pixels, four tokens each; vectors of two layers of the encoder, which come before the first layers of
# text.
GRANITE = TEXT | dict(model_type="granite_docling_text", pad_token_id=0, embedding_multiplier=3.0, logits_scaling=0.5,
                      residual_multiplier=0.5,
                      attention_multiplier=0.3, rope_parameters=dict(rope_type="default", rope_theta=10000.0))
CASES["granite_docling"] = dict(
    config=dict(text_config=GRANITE, image_token_id=IMAGE, density_router_hidden_size=16,
                vision_config=dict(hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
                                   image_size=56, patch_size=14, out_hidden_size=64, scale_factor=2,
                                   deepstack_visual_indexes=[0, 2])),
    prompts=prompts, pages=dict(max_patches=4), seed=1)
# More squares for wide pages; vectors of one layer, a head of its own, no other way to see a page.
CASES["granite_docling-dense"] = CASES["granite_docling"] | dict(
    config=CASES["granite_docling"]["config"] | dict(
        text_config=GRANITE | dict(num_hidden_layers=2, attention_bias=True, mlp_bias=True, tie_word_embeddings=False),
        tie_word_embeddings=False, density_router_hidden_size=None,
        vision_config=CASES["granite_docling"]["config"]["vision_config"] | dict(
            patch_size=7, scale_factor=4, deepstack_visual_indexes=[1], use_fine_route=False)),
    pages=dict(max_patches=2, dense_max_patches=6, dense_max_scale=1.2, dense_min_aspect=1.5, dense_max_aspect=8.0),
    seed=1)
