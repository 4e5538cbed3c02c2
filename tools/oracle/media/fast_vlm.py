# SPDX-License-Identifier: Apache-2.0
"""FastVLM, whose tower is timm's: small encoders of FastViT's kind. `llava_qwen2` has the names of Apple's files."""

from PIL import Image

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
    if name.endswith(("gamma", "layer_scale", "layer_scale_1", "layer_scale_2")):
        entry |= dict(mean=0.25, std=0.1)
    if "token_mixer.reparam_conv.weight" in name:
        entry["std"] = 0.3
    if name.endswith(("linear_2.weight", "mm_projector.2.weight")):
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


def published_prompts(case, out):
    """Whole pictures in black squares, where the file says so; what the files do not say of numbers is as in `prompts`."""
    side = int(case["raw"]["mm_vision_tower"].split("_")[-1])
    processor = CLIPImageProcessorPil(size=dict(shortest_edge=side), crop_size=dict(height=side, width=side),
                                      image_mean=[0.0] * 3, image_std=[1.0] * 3)

    def processed(images, **more):
        if case["raw"].get("image_aspect_ratio") == "pad":
            images = [squared(image) for image in images]
        return processor(images=images, **more)

    return each(SquarePrompt, SQUARES, processed, (side // 64) ** 2)


def squared(image, colour=(0, 0, 0)):
    """In the middle of the smallest square of a colour about it, as LLaVA's `expand2square` has it."""
    longer = max(image.size)
    square = Image.new("RGB", (longer, longer), colour)
    square.paste(image, ((longer - image.width) // 2, (longer - image.height) // 2))
    return square


def published(layers, widths, ratios, side, tied, **more):
    return TEXT | dict(model_type="llava_qwen2", architectures=["LlavaQwen2ForCausalLM"], rope_theta=10000.0, rms_norm_eps=1e-6,
                       hidden_act="silu", tie_word_embeddings=tied, image_token_index=IMAGE, mm_vision_tower=f"mobileclip_l_{side}",
                       mm_projector_type="mlp2x_gelu", mm_hidden_size=2 * widths[-1], mm_vision_select_layer=-2,
                       mm_vision_select_feature="patch", mm_patch_merge_type="flat", mm_use_im_start_end=False,
                       vision_config=dict(layers=layers, embed_dims=widths, mlp_ratios=ratios), **more)


CASES["llava_qwen2"] = dict(raw=published([1, 1, 2, 1, 1], [16, 32, 32, 64, 64], [4, 4, 4, 4, 4], 256, False, image_aspect_ratio="pad"),
                            computed_as="fast_vlm", prompts=published_prompts, scale=scale, seed=2)
CASES["llava_qwen2-square"] = dict(raw=published([1, 1, 1, 1, 1], [16, 16, 32, 32, 32], [2, 2, 2, 2, 2], 192, True),
                                   computed_as="fast_vlm", prompts=published_prompts, scale=scale, seed=3)
