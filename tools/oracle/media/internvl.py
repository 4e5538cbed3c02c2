# SPDX-License-Identifier: Apache-2.0
"""InternVL, with code of its own and as transformers has it, and Qianfan-OCR. A case has `tiles`, the most of a
picture."""

from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

from media.base import END, FRAMES, IMAGE, SQUARES, START, TEXT, PixelPrompt, each, image, letters, write_frames

IMAGENET = dict(image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])


class TilePrompt(PixelPrompt):
    """Tiles of the processor that InternVL's has, which asks it to cut; frames of that of videos, which does not."""

    def __init__(self, parts, number, processor, count, frames):
        self.frames = frames
        super().__init__(parts, number, processor, count)

    def show_frames(self, count, width, height, seed):
        self.begin((count, width, height, seed))
        for i in range(count):
            out = self.frames(images=[image(width, height, seed + i)], crop_to_patches=False, return_tensors="pt")
            self.pixels.append(out["pixel_values"])
            self.add(letters("\n" * (i > 0) + f"Frame{i + 1}: ") + [START] + [IMAGE] * self.count + [END])

    def show(self, kind, width, height, seed):
        if kind:
            return self.show_frames(kind, width, height, seed)
        out = self.processor(images=[image(width, height, seed)], crop_to_patches=True, return_tensors="pt")
        self.pixels.append(out["pixel_values"])
        self.begin((kind, width, height, seed))
        self.add([START] + [IMAGE] * (self.count * len(out["pixel_values"])) + [END])



def tile_processor(tiles, channels=IMAGENET):
    return GotOcr2ImageProcessorPil(size={"height": 56, "width": 56}, max_patches=tiles, **channels)


def prompts(case, out):
    processor = tile_processor(case["tiles"])
    processor.save_pretrained(out)
    # A file of their own, which says something else.
    channels = dict(image_mean=[0.5] * 3, image_std=[0.25] * 3)
    write_frames(out, dict(size={"height": 56, "width": 56}, **channels))
    return each(TilePrompt, [*SQUARES, FRAMES], processor, 4, tile_processor(1, channels))


def still_prompts(case, out):
    """Of pictures alone."""
    processor = tile_processor(case["tiles"])
    processor.save_pretrained(out)
    return each(TilePrompt, SQUARES, processor, 4, None)


def chat_prompts(case, _out):
    """config.json says how pictures and frames are seen."""
    processor = tile_processor(case["tiles"])
    return each(TilePrompt, [*SQUARES, FRAMES], processor, 4, processor)


CASES = {}
# As the published ones of 6 billion parameters: norms of queries and keys, no biases of them.
CASES["internvl"] = dict(
    config=dict(text_config=TEXT | dict(model_type="qwen3", head_dim=16, rope_theta=10000.0), image_token_id=IMAGE,
                tie_word_embeddings=False,
                vision_config=dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                                   image_size=[56, 56], patch_size=[14, 14], norm_type="rms_norm", use_qk_norm=True)),
    prompts=prompts, tiles=12, seed=2)
# InternVL's under published names, pictures alone.
CASES["qianfan_ocr"] = dict(
    config=CASES["internvl"]["config"] | dict(
        vision_config=CASES["internvl"]["config"]["vision_config"] | dict(norm_type="layer_norm", use_qk_norm=False)),
    prompts=still_prompts, tiles=12, seed=1)
CASES["qianfan_ocr-plain"] = dict(
    config=CASES["qianfan_ocr"]["config"] | dict(
        text_config=TEXT | dict(model_type="qwen3", head_dim=16, rope_theta=10000.0, tie_word_embeddings=True),
        tie_word_embeddings=True,
        vision_config=CASES["qianfan_ocr"]["config"]["vision_config"] | dict(norm_type="rms_norm",
                                                                             attention_bias=False)),
    prompts=still_prompts, tiles=12, seed=1)

# With code of their own; the tower has a layer whose result nobody takes.
CHAT = dict(model_type="internvl_chat", downsample_ratio=0.5, dynamic_image_size=True, force_image_size=56,
            max_dynamic_patch=6, min_dynamic_patch=1, ps_version="v2", select_layer=-1, template="internvl2_5",
            use_thumbnail=True,
            vision_config=dict(model_type="intern_vit_6b", hidden_size=64, intermediate_size=96, num_attention_heads=4,
                               num_hidden_layers=2, patch_size=14, image_size=56, num_channels=3, hidden_act="gelu",
                               norm_type="layer_norm", layer_norm_eps=1e-6, qkv_bias=True, qk_normalization=False))
CASES["internvl_chat"] = dict(
    raw=CHAT | dict(llm_config=TEXT | dict(model_type="internlm2", bias=False, rope_theta=10000.0, rms_norm_eps=1e-5)),
    computed_as="internvl", prompts=chat_prompts, tiles=6, seed=1)
CASES["internvl_chat-qwen2"] = dict(
    raw=CHAT | dict(llm_config=TEXT | dict(model_type="qwen2", rope_theta=10000.0, rms_norm_eps=1e-6), select_layer=-2),
    computed_as="internvl", prompts=chat_prompts, tiles=6, seed=1)
