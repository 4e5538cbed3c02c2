# SPDX-License-Identifier: Apache-2.0
"""GOT-OCR2."""

from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

from media.base import IMAGE, SQUARES, TEXT, SquarePrompt, each, image, side_of


class GottenPrompt(SquarePrompt):
    """The same of tiles, where pictures become several."""

    def show(self, kind, width, height, seed):
        out = self.processor(images=[image(width, height, seed)], return_tensors="pt")
        self.pixels.append(out["pixel_values"])
        self.place((kind, width, height, seed), IMAGE, self.count * len(out["pixel_values"]))


def prompts(case, out):
    side = side_of(case)
    processor = GotOcr2ImageProcessorPil(size={"height": side, "width": side}, **case["gotten"])
    processor.save_pretrained(out)
    # Each of two convolutions takes every second row and column.
    count = (-(-side // case["config"]["vision_config"]["patch_size"] // 4)) ** 2
    return each(GottenPrompt, SQUARES, processor, count)


CASES = {}
# Squares of 16 x 16 patches, four by four tokens each; windows of 5 x 5, some beyond the edge, before a layer that sees
# all.
CASES["got_ocr2"] = dict(
    config=dict(text_config=TEXT | dict(model_type="qwen2", rope_theta=10000.0), image_token_index=IMAGE,
                image_seq_length=16,
                vision_config=dict(hidden_size=64, output_channels=24, num_hidden_layers=2, num_attention_heads=4,
                                   image_size=112,
                                   patch_size=7, window_size=5, global_attn_indexes=[1], mlp_dim=96)),
    prompts=prompts, gotten=dict(), seed=2)
# Tiles and the whole; windows that fit, no biases of queries, keys and values, an odd number of patches behind the
# first convolution.
CASES["got_ocr2-tiles"] = CASES["got_ocr2"] | dict(
    config=CASES["got_ocr2"]["config"] | dict(
        tie_word_embeddings=False, vision_config=CASES["got_ocr2"]["config"]["vision_config"] | dict(
            image_size=42, window_size=2, global_attn_indexes=[0], qkv_bias=False)),
    gotten=dict(crop_to_patches=True, max_patches=3), seed=1)
