# SPDX-License-Identifier: Apache-2.0
"""FastVLM, whose tower is timm's: small encoders of FastViT's kind."""

from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from media.base import IMAGE, SQUARES, TEXT, SquarePrompt, each


def prompts(case, out):
    """As published files have it, numbers from 0 to 1."""
    tokens = case["config"]["image_seq_length"]
    side = int(64 * tokens ** 0.5)
    processor = CLIPImageProcessorPil(size=dict(shortest_edge=side), crop_size=dict(height=side, width=side),
                                      image_mean=[0.0] * 3, image_std=[1.0] * 3)
    processor.save_pretrained(out)
    return each(SquarePrompt, SQUARES, processor, tokens)


def scale(name, entry):
    """Factors of layers' results, which begin near nothing, convolutions that keep the size of numbers, rows as large
    as words."""
    if name.endswith("gamma"):
        entry |= dict(mean=0.25, std=0.1)
    if "token_mixer.reparam_conv.weight" in name:
        entry["std"] = 0.3
    if name.endswith("linear_2.weight"):
        entry["std"] *= 3


def config(layers, widths, ratios, tokens, tied, **more):
    args = dict(inference_mode=True, layers=layers, embed_dims=widths, mlp_ratios=ratios)
    vision = dict(model_type="timm_wrapper", architecture="fastvit_mci3", hidden_size=2 * widths[-1], do_pooling=True,
                  global_pool="avg", model_args=args)
    text = TEXT | dict(model_type="qwen2", rope_theta=10000.0, tie_word_embeddings=tied)
    return dict(text_config=text, vision_config=vision, image_token_index=IMAGE, image_seq_length=tokens) | more


CASES = {}
# Squares of 256 and of 192 pixels, of which 4 x 4 and 3 x 3 tokens come.
CASES["fast_vlm"] = dict(config=config([1, 1, 2, 1, 1], [16, 32, 32, 64, 64], [4, 4, 4, 4, 4], 16, False),
                         prompts=prompts, scale=scale, seed=2)
CASES["fast_vlm-tied"] = dict(
    config=config([1, 1, 1, 1, 2], [16, 16, 32, 32, 64], [2, 3, 2, 2, 1.5], 9, True, multimodal_projector_bias=False,
                  tie_word_embeddings=True),
    prompts=prompts, scale=scale, seed=3)
