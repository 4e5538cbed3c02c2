#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes test/fixtures/media/pictures.json: what Pillow and transformers make of pictures, as digests.

    make_media_fixtures.py OUT

Pictures are those of `picture`, which test/media/pictures.ts makes
in the same way. OUT gets

    resized   for each filter and size: SHA-256 of the bytes of Image.resize
    patches   for each of 240 random sizes: grid, and the first 64 bits of the SHA-256 of the patches (f32, little-endian)
    tiles     for each of 240 random sizes, many of which are equally near to several grids: how many tiles GOT-OCR2's
              processor makes, and the first 64 bits of the SHA-256 of their pixels (f32, little-endian)
    splits    for each of 160 random sizes: rows and columns of Idefics 3's processor, and the first 64 bits of the SHA-256 of
              the bytes of its squares and of the whole
    canvases  for each of 160 random sizes: rows and columns of the canvas of Llama 4's processor, resized by Pillow, and the
              first 64 bits of the SHA-256 of the pixels of its squares and of the whole (f32, little-endian)
    bounded   for each of 240 random sizes: rows and columns of patches of Kimi-K2.5's processor, resized by Pillow, and the first
              64 bits of the SHA-256 of the patches (f32, little-endian)
    tilings   for each of 240 random sizes: rows and columns of tiles of LFM2-VL's processor, 0 of a picture that is not cut, those
              of patches of the whole, 0 where there is none, and the first 64 bits of the SHA-256 of the patches of all
              (f32, little-endian), resized by Pillow
    fitted    for each of 240 random sizes: rows and columns of patches of Gemma 4's processor, and the first 64 bits of
              the SHA-256 of the patches (f32, little-endian) from -1 to 1
    scans     for each of 240 random sizes: width and height of each piece that Gemma 3's processor cuts, and the first 64 bits of
              the SHA-256 of their bytes
    anyres    for each of 160 random sizes: the number of squares of LLaVA-NeXT's and LLaVA-OneVision's processors, how many
              tokens the picture has there, and the first 64 bits of the SHA-256 of the pixels (f32, little-endian)
    rims      for each of 100 random sizes: the first 64 bits of the SHA-256 of the pixels of LLaVA-OneVision's square with a
              rim, which one of several pictures is seen as
    worded    for each of 160 random sizes: rows and columns of Ovis2's tiles, and the same
    fitting   the same of PerceptionLM's processor
    covered   for each of 160 random sizes: how many tiles Cohere2Vision's processor makes, resized by Pillow, and the first
              64 bits of the SHA-256 of their pixels (f32, little-endian)
    grown     for each of 240 random sizes: the grid of PaddleOCR-VL's processor, or null where it refuses, and the first 64 bits
              of the SHA-256 of the patches (f32, little-endian), row by row
    pages     for each of 200 random sizes: rows and columns of tiles of GraniteDocling's processor, and the first 64 bits of the
              SHA-256 of the pixels of all of them and of the whole (f32, little-endian)
    sizes     for each of 400 random sizes: what smart_resize makes of it, or null where it refuses
    frames    for each of 200 random sizes and lengths of videos: the size to which Qwen3-VL's smart_resize brings its frames,
              or null where it refuses
    slices    for each of 240 random sizes: sizes of the whole and of slices, their grid, and the first 64 bits of the SHA-256 of
              the patches of all of them (MiniCPM-V 2.6)
    slice_sizes  for each of 400 random sizes and 144 whose sides have a simple ratio: the same without patches
    buckets   for each count of patches along an axis up to 500: the first 64 bits of the SHA-256 of their places among 70
    decoded   for files of several kinds (base64): width, height and SHA-256 of the RGB that load_image gives
"""

import base64
import hashlib
import io
import json
import pathlib
import random
import struct
import sys
import zlib

import numpy
import PIL
import torch
import transformers
from PIL import Image
from transformers import LlavaNextProcessor, LlavaOnevisionProcessor
from transformers.image_processing_backends import TorchvisionBackend
from transformers.image_utils import OPENAI_CLIP_MEAN, PILImageResampling, load_image
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.gemma4.image_processing_pil_gemma4 import Gemma4ImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import LlavaOnevisionImageProcessorPil
from transformers.models.cohere2_vision.image_processing_cohere2_vision import Cohere2VisionImageProcessor
from transformers.models.granite_docling.image_processing_pil_granite_docling import GraniteDoclingImageProcessorPil
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.kimi_k25.image_processing_kimi_k25 import Kimi_K25ImageProcessor
from transformers.models.lfm2_vl.image_processing_lfm2_vl import Lfm2VlImageProcessor
from transformers.models.llama4.image_processing_llama4 import Llama4ImageProcessor
from transformers.models.mllama.image_processing_mllama import MllamaImageProcessor
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.minicpmv4_6.image_processing_pil_minicpmv4_6 import MiniCPMV4_6ImageProcessorPil
from transformers.models.paddleocr_vl.image_processing_pil_paddleocr_vl import PaddleOCRVLImageProcessorPil
from transformers.models.ovis2.image_processing_pil_ovis2 import Ovis2ImageProcessorPil
from transformers.models.perception_lm.image_processing_perception_lm import PerceptionLMImageProcessor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil, smart_resize
from transformers.models.qwen3_vl.video_processing_qwen3_vl import smart_resize as smart_resize_frames

FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR, "lanczos": Image.Resampling.LANCZOS}
SIZES = [(280, 420), (224, 336), (56, 84), (840, 1288), (420, 644), (641, 427), (427, 300), (200, 641), (380, 600), (340, 590), (25, 640)]


def picture(width, height, seed):
    """[height, width, 3]: waves with noise on them, in integers alone."""
    y, x, c = numpy.meshgrid(numpy.arange(height), numpy.arange(width), numpy.arange(3), indexing="ij")
    index = ((y * width + x) * 3 + c).astype(numpy.uint64)
    noise = (((index + numpy.uint64(seed)) * numpy.uint64(2654435761)) % numpy.uint64(2**32)) >> numpy.uint64(26)
    wave = (x * x * (3 + c) + y * y * (5 - c) + x * y) // 97 % 192
    return (wave + noise.astype(numpy.int64)).astype(numpy.uint8)


def sound(samples, seed):
    """[samples] int16: a tone that rises and falls, with noise on it, in integers alone."""
    n = numpy.arange(samples, dtype=numpy.int64)
    phase = (n * (300 + 37 * seed) + (n // 50) * (n % 977)) % 4096
    tone = numpy.abs(phase - 2048) * 10 - 10240
    noise = (((n + seed).astype(numpy.uint64) * numpy.uint64(2654435761)) % numpy.uint64(2**32)) >> numpy.uint64(20)
    return (tone + noise.astype(numpy.int64) - 2048).astype(numpy.int16)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def resized():
    source = Image.fromarray(picture(641, 427, 1))
    return [{"filter": name, "height": h, "width": w, "sha256": digest(source.resize((w, h), how).tobytes())}
            for name, how in FILTERS.items() for h, w in SIZES]


def patches(chance):
    found = []
    for i in range(240):
        # Also one pixel high, and four times as long as high.
        long = chance.choice([1, 2, 7, 40, 60, 120, 160])
        height, width = chance.randint(1, 90), chance.randint(1, long)
        if max(height, width) / min(height, width) > 200:
            continue
        low, high = chance.choice([(3136, 12544), (784, 50176), (1, 9000)])
        processor = Qwen2VLImageProcessorPil(size={"shortest_edge": low, "longest_edge": high})
        out = processor(images=[Image.fromarray(picture(width, height, i))], return_tensors="np")
        grid = out["image_grid_thw"][0].tolist()
        found.append([width, height, i, low, high, grid, digest(out["pixel_values"].astype("<f4").tobytes())[:16]])
    return found


class PillowResize(TorchvisionBackend):
    """As Pillow resizes: torchvision's bytes are others, by one at most."""

    def resize(self, image, size, resample=None, **_):
        filters = {PILImageResampling.BICUBIC: Image.Resampling.BICUBIC, PILImageResampling.BILINEAR: Image.Resampling.BILINEAR}
        how = filters[PILImageResampling(resample)]
        resized = [Image.fromarray(one.permute(1, 2, 0).numpy()).resize((size.width, size.height), how) for one in image]
        return torch.stack([torch.from_numpy(numpy.array(one)).permute(2, 0, 1) for one in resized])


def by_pillow(processor_class):
    """A processor of torchvision's, but for its resizing, which some of its methods ask its parents for."""
    return type(processor_class.__name__, (processor_class, PillowResize), {"resize": PillowResize.resize})


def canvas_processor(side, tiles, **more):
    return by_pillow(Llama4ImageProcessor)(size={"height": side, "width": side}, max_patches=tiles, **more)


def mllama_processor(side, tiles):
    # Its own method of that name asks its parent's.
    by_pillow_within = type("MllamaImageProcessor", (MllamaImageProcessor, PillowResize), {})
    return by_pillow_within(size={"height": side, "width": side}, max_image_tiles=tiles)


def tiling_processor(**sizes):
    return by_pillow(Lfm2VlImageProcessor)(**sizes)


def bounded_processor(**sizes):
    return by_pillow(Kimi_K25ImageProcessor)(**sizes)


def covering_processor(side, tiles, **more):
    return by_pillow(Cohere2VisionImageProcessor)(size={"height": side, "width": side}, max_patches=tiles, **more)


def covered(chance):
    found = []
    for i in range(160):
        most = chance.choice([(120, 120), (120, 120), (120, 9), (9, 120), (300, 1)])
        width, height = (chance.randint(1, longest) for longest in most)
        side, tiles = chance.choice([14, 28]), chance.choice([1, 4, 6, 12, 12])
        out = covering_processor(side, tiles)(images=[Image.fromarray(picture(width, height, i))], return_tensors="np")
        pixels = out["pixel_values"].astype("<f4").tobytes()
        found.append([width, height, i, side, tiles, int(out["num_patches"][0]), digest(pixels)[:16]])
    return found


def fitting_processor(side, tiles, **more):
    # Its own method of that name asks its parent's.
    by_pillow_within = type("PerceptionLMImageProcessor", (PerceptionLMImageProcessor, PillowResize), {})
    return by_pillow_within(tile_size=side, max_num_tiles=tiles, size={"height": side, "width": side}, **more)


def fitting(chance):
    found = []
    for i in range(160):
        most = chance.choice([(120, 120), (120, 120), (120, 9), (9, 120), (60, 60), (300, 1)])
        width, height = (chance.randint(1, longest) for longest in most)
        side, tiles = chance.choice([14, 28]), chance.choice([1, 4, 6, 12, 36])
        out = fitting_processor(side, tiles)(images=[Image.fromarray(picture(width, height, i))], return_tensors="np")
        pixels = out["pixel_values"][0].astype("<f4").tobytes()
        found.append([width, height, i, side, tiles, len(out["pixel_values"][0]), digest(pixels)[:16]])
    return found


def worded(chance):
    found = []
    for i in range(160):
        most = chance.choice([(120, 120), (120, 120), (120, 9), (9, 120), (60, 60), (300, 1)])
        width, height = (chance.randint(1, longest) for longest in most)
        side, tiles, by_area = chance.choice([14, 28]), chance.choice([1, 4, 9, 12]), chance.random() < 0.8
        processor = Ovis2ImageProcessorPil(size={"height": side, "width": side}, crop_to_patches=True, max_patches=tiles,
                                           use_covering_area_grid=by_area)
        out = processor(images=[Image.fromarray(picture(width, height, i))], return_tensors="np")
        pixels = out["pixel_values"].astype("<f4").tobytes()
        found.append([width, height, i, side, tiles, by_area, *out["grids"][0].tolist(), digest(pixels)[:16]])
    return found


def tiles(chance):
    found = []
    for i in range(240):
        if i % 2:
            height, width = chance.randint(1, 140), chance.randint(1, 140)
        else:
            columns, rows = chance.choice([(1, 1), (1, 2), (3, 2), (2, 1), (5, 4), (1, 3), (7, 12), (9, 2)])
            scale = chance.randint(1, 16)
            height, width = rows * scale, columns * scale
        side = chance.choice([14, 28])
        low, high = chance.choice([(1, 12), (1, 12), (1, 6), (2, 4), (1, 1), (4, 9)])
        processor = GotOcr2ImageProcessorPil(size={"height": side, "width": side}, min_patches=low, max_patches=high)
        out = processor(images=[Image.fromarray(picture(width, height, i))], crop_to_patches=True, return_tensors="np")
        pixels = out["pixel_values"].astype("<f4").tobytes()
        found.append([width, height, i, side, low, high, int(out["num_patches"][0]), digest(pixels)[:16]])
    return found


def splits(chance):
    found = []
    for i in range(160):
        most = chance.choice([(120, 120), (120, 9), (9, 120)])
        width, height = (chance.randint(1, longest) for longest in most)
        longest, side = chance.choice([(56, 28), (112, 28), (75, 32), (48, 48), (32, 28)])
        cuts = chance.random() < 0.85
        processor = Idefics3ImageProcessorPil(size={"longest_edge": longest}, max_image_size={"longest_edge": side},
                                              do_image_splitting=cuts, do_normalize=False, do_rescale=False)
        out = processor(images=[Image.fromarray(picture(width, height, i))], return_row_col_info=True, return_tensors="np")
        pixels = out["pixel_values"][0].astype("u1").transpose(0, 2, 3, 1).tobytes()
        found.append([width, height, i, longest, side, cuts, out["rows"][0][0], out["cols"][0][0], digest(pixels)[:16]])
    return found


def canvases(chance):
    found = []
    for i in range(160):
        most = chance.choice([(120, 120), (120, 9), (9, 120)])
        width, height = (chance.randint(1, longest) for longest in most)
        side, tiles, fills = chance.choice([14, 28]), chance.choice([1, 4, 5, 16]), chance.random() < 0.3
        processor = canvas_processor(side, tiles, resize_to_max_canvas=fills)
        out = processor(images=[Image.fromarray(picture(width, height, i))], return_tensors="pt")
        pixels = out["pixel_values"].float().numpy().astype("<f4").tobytes()
        found.append([width, height, i, side, tiles, fills, *out["aspect_ratios"][0].tolist(), digest(pixels)[:16]])
    return found


def bounded(chance):
    found = []
    for i in range(240):
        most = chance.choice([(150, 150), (150, 150), (200, 3), (3, 200), (700, 1)])
        width, height = (chance.randint(1, longest) for longest in most)
        patch, patches, side = chance.choice([14, 6]), chance.choice([20, 64, 1000]), chance.choice([8, 12, 500])
        processor = bounded_processor(patch_size=patch, max_patches=patches, size={"max_height": side, "max_width": side})
        out = processor(images=[Image.fromarray(picture(width, height, i))], return_tensors="pt")
        pixels = out["pixel_values"].numpy().astype("<f4")
        found.append([width, height, i, patch, patches, side, *out["image_grid_thw"][0].tolist()[1:], digest(pixels.tobytes())[:16]])
    return found


def tilings(chance):
    found = []
    for i in range(240):
        most = chance.choice([(150, 150), (150, 150), (200, 3), (3, 200), (180, 1), (500, 60)])
        width, height = (chance.randint(1, longest) for longest in most)
        if max(height, width) / min(height, width) > 200:
            continue
        patch, low, high = chance.choice([4, 5]), chance.choice([1, 4, 9]), chance.choice([9, 16, 40])
        tiles, whole, cuts = chance.choice([(2, 10), (2, 4), (3, 9), (2, 2), (4, 10)]), chance.random() < 0.7, chance.random() < 0.9
        tolerance, side = chance.choice([2.0, 1.0, 1.5]), 2 * patch * chance.choice([2, 3])
        processor = tiling_processor(encoder_patch_size=patch, min_image_tokens=low, max_image_tokens=high, min_tiles=tiles[0],
                                     max_tiles=tiles[1], use_thumbnail=whole, do_image_splitting=cuts,
                                     max_pixels_tolerance=tolerance, tile_size=side)
        try:
            out = processor(images=[Image.fromarray(picture(width, height, i))], return_row_col_info=True, return_tensors="pt")
        except RuntimeError:
            # Long ones have more patches than it pads to.
            continue
        shapes = out["spatial_shapes"].tolist()
        pixels = [values[:rows * columns].numpy().astype("<f4").tobytes()
                  for values, (rows, columns) in zip(out["pixel_values"], shapes)]
        rows, columns = int(out["image_rows"][0]), int(out["image_cols"][0])
        if rows * columns == 1:
            rows = columns = 0
        last = shapes[-1] if len(shapes) > rows * columns else [0, 0]
        found.append([width, height, i, patch, low, high, *tiles, whole, cuts, tolerance, side, rows, columns, *last,
                      digest(b"".join(pixels))[:16]])
    return found


# As the classes have them, in tiles.
ANYRES = [[[1, 2], [2, 1], [2, 2], [3, 1], [1, 3]], [[rows, columns] for rows in range(1, 7) for columns in range(1, 7)]]


def anyres(chance):
    found = []
    for i in range(160):
        most = chance.choice([(120, 120), (120, 120), (200, 3), (3, 200), (400, 1)])
        width, height = (chance.randint(1, longest) for longest in most)
        side, patch = chance.choice([(28, 7), (14, 2), (30, 7)])
        tiles, kind = chance.choice([0, 0, 9, 9, 2]), chance.randint(0, 1)
        canvases = [[side * rows, side * columns] for rows, columns in ANYRES[kind]]
        if tiles:
            processor = LlavaOnevisionImageProcessorPil(size={"height": side, "width": side}, image_grid_pinpoints=canvases)
            counter = object.__new__(LlavaOnevisionProcessor)
        else:
            processor = LlavaNextImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": side, "width": side},
                                                   image_grid_pinpoints=canvases)
            counter = object.__new__(LlavaNextProcessor)
        counter.image_processor, counter.image_token, counter.num_image_tokens = processor, ".", (side // patch)**2
        counter.patch_size, counter.num_additional_image_tokens = patch, 0
        counter.vision_feature_select_strategy, counter.vision_aspect_ratio = "full", f"anyres_max_{tiles}"
        out = processor(images=[Image.fromarray(picture(width, height, i))], return_tensors="np")
        tokens = len(counter.replace_image_token(out, 0))
        pixels = out["pixel_values"][0].astype("<f4").tobytes()
        found.append([width, height, i, side, patch, kind, tiles, len(out["pixel_values"][0]), tokens, digest(pixels)[:16]])
    return found


def rims(chance):
    found = []
    for i in range(100):
        width, height = (chance.randint(1, longest) for longest in chance.choice([(90, 90), (200, 2), (2, 200)]))
        side, means = chance.choice([14, 28]), chance.choice([OPENAI_CLIP_MEAN, [0.5] * 3])
        processor = LlavaOnevisionImageProcessorPil(size={"height": side, "width": side}, image_mean=means)
        shown = [Image.fromarray(picture(width, height, seed)) for seed in (i, i + 1)]
        out = processor(images=[shown], return_tensors="np")
        pixels = out["pixel_values"][0].astype("<f4").tobytes()
        found.append([width, height, i, side, list(means), digest(pixels)[:16]])
    return found


def fitted(chance):
    found = []
    for i in range(240):
        most = chance.choice([(150, 150), (150, 150), (200, 3), (3, 200), (700, 1)])
        width, height = (chance.randint(1, longest) for longest in most)
        patch, pool = chance.choice([(4, 3), (2, 2), (3, 3), (5, 1)])
        tokens = chance.choice([70, 70, 140])
        processor = Gemma4ImageProcessorPil(patch_size=patch, pooling_kernel_size=pool, max_soft_tokens=tokens)
        out = processor(images=[Image.fromarray(picture(width, height, i))], return_tensors="np")
        places = out["image_position_ids"][0]
        columns, rows = (places.max(axis=0) + 1).tolist()
        count = int(out["num_soft_tokens_per_image"][0])
        assert rows * columns == count * pool**2 == (places[:, 0] >= 0).sum()
        pixels = 2 * (out["pixel_values"][0][:rows * columns].astype("<f4") - numpy.float32(0.5))
        found.append([width, height, i, patch, pool, tokens, rows, columns, digest(pixels.astype("<f4").tobytes())[:16]])
    return found


def scans(chance):
    found = []
    for i in range(240):
        most = chance.choice([(150, 150), (200, 30), (30, 200), (300, 3), (3, 300), (90, 90)])
        width, height = (chance.randint(1, longest) for longest in most)
        least, pieces, ratio = chance.choice([1, 8, 30]), chance.choice([1, 2, 4, 9]), chance.choice([1.2, 2.0, 1.0])
        cut = Gemma3ImageProcessorPil().pan_and_scan(picture(width, height, i).transpose(2, 0, 1), least, pieces, ratio)
        # Of pictures of a few pixels some are empty, which its resizing refuses.
        cut = [one for one in cut if one.size > 0]
        found.append([width, height, i, least, pieces, ratio, [[one.shape[2], one.shape[1]] for one in cut],
                      digest(b"".join(one.transpose(1, 2, 0).tobytes() for one in cut))[:16]])
    return found


def sizes(chance):
    found = []
    for _ in range(400):
        width, height = (int(2 ** (chance.random() * 12)) for _ in range(2))
        factor = chance.choice([28, 32])
        low, high = chance.choice([(3136, 1003520), (3136, 12845056), (784, 3136)])
        try:
            h, w = smart_resize(height, width, factor, low, high)
            found.append([width, height, factor, low, high, [w, h]])
        except ValueError:
            found.append([width, height, factor, low, high, None])
    return found


def frames(chance):
    found = []
    for _ in range(200):
        width, height = (int(2 ** (chance.random() * 11)) for _ in range(2))
        count, factor = chance.choice([1, 2, 3, 5, 8, 31, 250]), chance.choice([28, 32])
        low, high = chance.choice([(4096, 25165824), (131072, 786432), (3136, 50176)])
        try:
            h, w = smart_resize_frames(count, height, width, 2, factor, low, high)
            found.append([width, height, count, factor, low, high, [w, h]])
        except ValueError:
            found.append([width, height, count, factor, low, high, None])
    return found


def page_processor(**sizes):
    return GraniteDoclingImageProcessorPil(**sizes)


def pages(chance):
    found = []
    for i in range(200):
        most = chance.choice([(120, 120), (300, 60), (60, 300), (500, 20), (400, 3)])
        width, height = (chance.randint(1, longest) for longest in most)
        side, least, tiles = chance.choice([14, 24]), chance.choice([1, 1, 2]), chance.choice([1, 4, 8, 32])
        dense, scale, ratio, last = chance.choice([0, 6, 40]), chance.choice([0.0, 0.7, 1.1]), chance.choice([0.0, 1.2]), chance.choice([0.0, 4.0])
        cuts = chance.random() < 0.9
        processor = page_processor(size={"height": side, "width": side}, min_patches=least, max_patches=tiles, crop_to_patches=cuts,
                                   dense_max_patches=dense, dense_max_scale=scale, dense_min_aspect=ratio, dense_max_aspect=last)
        out = processor(images=[[Image.fromarray(picture(width, height, i))]], return_tensors="np")
        found.append([width, height, i, side, least, tiles, cuts, dense, scale, ratio, last, out["rows"][0][0], out["cols"][0][0],
                      digest(out["pixel_values"].astype("<f4").tobytes())[:16]])
    return found


def paddle_processor(**sizes):
    return PaddleOCRVLImageProcessorPil(**sizes)


def grown(chance):
    found = []
    for i in range(240):
        # Also narrower than a block, one pixel high, and longer than can be shown.
        most = chance.choice([(120, 120), (300, 30), (30, 300), (600, 3), (2, 500)])
        width, height = (chance.randint(1, longest) for longest in most)
        low, high = chance.choice([(3136, 12544), (784, 50176), (1, 9000)])
        processor = paddle_processor(size={"shortest_edge": low, "longest_edge": high})
        try:
            out = processor(images=[Image.fromarray(picture(width, height, i))], return_tensors="np")
            grid = out["image_grid_thw"][0].tolist()
            found.append([width, height, i, low, high, grid, digest(out["pixel_values"].astype("<f4").tobytes())[:16]])
        except ValueError:
            found.append([width, height, i, low, high, None, ""])
    return found


def slicer(resolution, most):
    """2.6 resizes to multiples of 14 pixels, 4.6 to so many patches: of 7 pixels, with its smaller merges of two."""
    half = [0.5] * 3
    return MiniCPMV4_6ImageProcessorPil(image_mean=half, image_std=half, patch_size=7, downsample_mode="4x",
                                        scale_resolution=resolution, max_slice_nums=most)


def patches_of_slices(processor, image):
    """Sizes in patches of 14 pixels, the patches of each [count, 3 * 14 * 14], and the grid (rows, columns)."""
    out = processor(images=[image], return_tensors="np", input_data_format="channels_last")
    sizes, found, begin = [], [], 0
    for rows, columns in out["target_sizes"].tolist():
        part = out["pixel_values"][0, :, :, begin:begin + rows * columns * 7]
        begin += rows * columns * 7
        pixels = part.reshape(3, 7, rows, columns, 7).transpose(0, 2, 1, 3, 4).reshape(3, rows * 7, columns * 7)
        cut = pixels.reshape(3, rows // 2, 14, columns // 2, 14).transpose(1, 3, 0, 2, 4)
        found.append(cut.reshape(-1, 3 * 14 * 14))
        sizes.append([rows // 2, columns // 2])
    return sizes, found, out["grids"][0]


def slices(chance):
    found = []
    for i in range(240):
        # Also one pixel high, and four times as long as high.
        long = chance.choice([1, 2, 7, 40, 60, 120, 240])
        height, width = chance.randint(1, 120), chance.randint(1, long)
        if max(height, width) / min(height, width) > 200:
            continue
        most, resolution = chance.choice([1, 2, 4, 9, 9]), chance.choice([42, 56])
        sizes, values, grid = patches_of_slices(slicer(resolution, most), Image.fromarray(picture(width, height, i)))
        data = b"".join(v.astype("<f4").tobytes() for v in values)
        found.append([width, height, i, most, resolution, sizes[0], [*grid, *sizes[-1]] if len(sizes) > 1 else None,
                      digest(data)[:16]])
    return found


def slice_sizes(chance):
    sizes = [(int(2 ** (chance.random() * 6.5)) * 31, int(2 ** (chance.random() * 6.5)) * 29) for _ in range(400)]
    sizes += [(w * 149, h * 149) for w in range(1, 13) for h in range(1, 13)]
    found = []
    for width, height in sizes:
        most = chance.choice([9, 9, 9, 2, 5, 12])
        p, size = slicer(448, most), (height, width)
        grid = p.get_sliced_grid(size, most, 448)
        whole = p.find_best_resize(size, 448, 7, "4x", allow_upscale=grid is None)
        slice_ = None
        if grid is not None:
            high, wide = p.get_refine_size(size, grid, 448, 7, "4x", allow_upscale=True)
            slice_ = [*grid, high // grid[0] // 14, wide // grid[1] // 14]
        found.append([width, height, most, [side // 14 for side in whole], slice_])
    return found


def buckets():
    """As the published code has it, whose numbers of patches are tensors."""
    borders = torch.arange(1 / 70, 1.0, 1 / 70)
    found = []
    for count in range(1, 501):
        places = torch.arange(0, 1 - 1e-6, 1 / torch.tensor(count, dtype=torch.int32))
        found.append(digest(torch.bucketize(places, borders, right=True).numpy().astype("<i4").tobytes())[:16])
    return found


def png_of_16_bits(channels):
    """Red, green and blue, perhaps beside alpha; Pillow does not write it."""
    part = lambda kind, content: struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    values = picture(37, 23 * channels, 6).astype(">u2").reshape(23, -1)[:, :37 * channels] * 257 + 99
    rows = [b"\0" + row.astype(">u2").tobytes() for row in values]
    header = struct.pack(">IIBBBBB", 37, 23, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(b"".join(rows))) + part(b"IEND", b"")


def decoded():
    base = Image.fromarray(picture(37, 23, 5))
    alpha = Image.fromarray(picture(37, 23, 9)[..., 0])
    with_alpha = base.copy()
    with_alpha.putalpha(alpha)
    grey_alpha = Image.merge("LA", (base.convert("L"), alpha))
    ink = Image.merge("CMYK", [Image.fromarray(picture(37, 23, seed)[..., 0]) for seed in (1, 2, 3, 4)])
    exif = lambda orientation: {"exif": (lambda e: (e.__setitem__(0x0112, orientation), e)[1])(Image.Exif())}
    files = {"plain.png": (base, "PNG", {}), "alpha.png": (with_alpha, "PNG", {}), "grey.png": (base.convert("L"), "PNG", {}),
             "grey-alpha.png": (grey_alpha, "PNG", {}), "palette.png": (base.quantize(16), "PNG", {}),
             "two-colours.png": (base.convert("1"), "PNG", {}), "row.png": (base.crop((0, 0, 37, 1)), "PNG", {}),
             "plain.jpeg": (base, "JPEG", {"quality": 80}), "full.jpeg": (base, "JPEG", {"subsampling": 0}),
             "progressive.jpeg": (base, "JPEG", {"progressive": True}), "grey.jpeg": (base.convert("L"), "JPEG", {}),
             **{f"turned-{i}.jpeg": (base, "JPEG", exif(i)) for i in (2, 3, 5, 6, 8)},
             "plain.webp": (base, "WEBP", {"quality": 70}), "alpha.webp": (with_alpha, "WEBP", {"lossless": True}),
             "still.gif": (base.quantize(16), "GIF", {}), "plain.tiff": (base, "TIFF", {}),
             "print.jpeg": (ink, "JPEG", {"quality": 90}), "print.tiff": (ink, "TIFF", {}),
             "transparent.gif": (base.quantize(16), "GIF", {"transparency": 3}),
             "corner.gif": (base.crop((0, 0, 20, 10)).quantize(16), "GIF", {"transparency": 3}),
             "large.tiff": (base, "TIFF", {"big_tiff": True})}
    contents = {}
    for name, (image, kind, options) in files.items():
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        contents[name] = buffer.getvalue()
    jpeg, gif = contents["print.jpeg"], bytearray(contents["corner.gif"])
    # Adobe's part says that inks are stored inverted, in its last byte how they are coded.
    begin = jpeg.index(b"\xff\xee")
    end = begin + 2 + int.from_bytes(jpeg[begin + 2:begin + 4])
    contents["print-plain.jpeg"] = jpeg[:begin] + jpeg[end:]
    contents["print-coded.jpeg"] = jpeg[:end - 1] + b"\x02" + jpeg[end:]
    # On a screen that is larger than the image.
    gif[6:10] = struct.pack("<HH", 37, 23)
    contents["corner.gif"] = bytes(gif)
    contents["wide.png"], contents["wide-alpha.png"] = png_of_16_bits(3), png_of_16_bits(4)
    found = []
    for name, content in contents.items():
        data = base64.b64encode(content).decode()
        loaded = load_image(data)
        found.append({"name": name, "data": data, "width": loaded.width, "height": loaded.height,
                      "sha256": digest(loaded.tobytes())})
    return found


def main():
    (out,) = sys.argv[1:]
    chance = random.Random(1)
    result = {"pillow": PIL.__version__, "transformers": transformers.__version__, "resized": resized(),
              "patches": patches(chance), "sizes": sizes(chance), "decoded": decoded(),
              "tiles": tiles(random.Random(2)), "splits": splits(random.Random(6)), "canvases": canvases(random.Random(7)),
              "bounded": bounded(random.Random(8)), "tilings": tilings(random.Random(9)), "scans": scans(random.Random(10)),
              "fitted": fitted(random.Random(7)), "anyres": anyres(random.Random(8)), "rims": rims(random.Random(9)), "covered": covered(random.Random(10)),
              "fitting": fitting(random.Random(11)), "worded": worded(random.Random(12)),
              "frames": frames(random.Random(3)), "grown": grown(random.Random(11)), "pages": pages(random.Random(12)),
              "slices": slices(random.Random(4)), "slice_sizes": slice_sizes(random.Random(5)), "buckets": buckets()}
    lines = ",\n".join(f"{json.dumps(key)}: [\n{rows}\n]" if isinstance(value, list) else f"{json.dumps(key)}: {json.dumps(value)}"
                       for key, value in result.items()
                       for rows in [",\n".join(json.dumps(row, separators=(",", ":")) for row in value)])
    pathlib.Path(out).write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
