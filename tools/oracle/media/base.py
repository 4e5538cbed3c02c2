# SPDX-License-Identifier: Apache-2.0
"""What all small models that see or hear share: ids of their tokens, their text, and how a prompt is put together."""

import json

import torch
from PIL import Image

from make_media_fixtures import picture
from recording import random_prompt

VOCAB = 131
IMAGE, VIDEO, START, END = 120, 121, 122, 123
VIDEO_START, VIDEO_END = 118, 119
# What stands for a picture in texts, and what parts its squares.
WHOLE, BESIDE, BELOW, UNDER = 121, 124, 125, 126
TEXT = dict(vocab_size=VOCAB, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=256, bos_token_id=1, eos_token_id=2)

# Prompts: a number is so many random words, and what stands between them is shown or played. Four numbers are frames
# (0: a picture, -1: a sound), width or samples, height or rate, seed.

# Pictures one after another, upright and lying, one pixel high.
SQUARES = [
    [19],
    [5, (0, 70, 121, 1), 4],
    [(0, 120, 3, 2), (0, 200, 50, 3), 7, (0, 30, 30, 4), 3],
]

# Beside these frames, which are one tile each.
FRAMES = [3, (3, 84, 56, 5), 2, (0, 120, 60, 6), 9]

# Frames are told from pictures by the numbers that their pixels become.
FRAME_CHANNELS = dict(image_mean=[0.5] * 3, image_std=[0.25] * 3)


def letters(words):
    """One id for each character."""
    return [3 + ord(letter) % 90 for letter in words]


def square_at(row, column):
    """The id of <row_2_col_1>."""
    return 93 + (5 * row + column) % 20


def image(width, height, seed):
    return Image.fromarray(picture(width, height, seed))


def patches_in(vision):
    """Patches of the one square that an encoder sees."""
    return (vision["image_size"] // vision["patch_size"]) ** 2


def side_of(case):
    """Pixels along that square."""
    return case["config"]["vision_config"]["image_size"]


def each(kind, prompts, *args):
    """A prompt of this class for each description."""
    return [kind(parts, i, *args) for i, parts in enumerate(prompts)]


def write_json(file, values):
    file.write_text(json.dumps(values, indent=2) + "\n")


def write_frames(out, values):
    """How frames are seen, where not as pictures."""
    write_json(out / "video_preprocessor_config.json", values)


class Prompt:
    """Words, and between them what is shown or played. `show` adds the latter."""

    def __init__(self, parts, number):
        self.ids, self.media = [], []
        words = iter(random_prompt(200, 100)[number * 31:].tolist())
        for part in parts:
            if isinstance(part, int):
                self.add([next(words) + 3 for _ in range(part)])
            else:
                self.show(*part)

    def add(self, ids):
        self.ids += ids

    def begin(self, part):
        """What is shown or played has its first token here."""
        self.media.append([*part, len(self.ids)])

    def place(self, part, token, count):
        self.begin(part)
        self.add([token] * count)

    def texts(self, more):
        ids = torch.tensor([self.ids + list(more)])
        return dict(input_ids=ids, attention_mask=torch.ones_like(ids))

    def positions(self, model):
        """[axes, tokens], where they are not those of text."""
        return None

    def inputs(self, more=()):
        """What the model is given of the prompt and of tokens behind it."""
        raise NotImplementedError

    def encoded(self, model):
        """Rows [rows, width] that the encoder gives, in the order of the prompt."""
        raise NotImplementedError


class PixelPrompt(Prompt):
    """Pixels of all pictures, one after another, of which each square has as many tokens."""

    def __init__(self, parts, number, processor, count):
        self.processor, self.count, self.pixels = processor, count, []
        super().__init__(parts, number)

    def inputs(self, more=()):
        return self.texts(more) | (dict(pixel_values=torch.cat(self.pixels)) if self.pixels else {})

    def encoded(self, model):
        seen = model.model.get_image_features(self.inputs()["pixel_values"])
        return torch.cat(list(seen.pooler_output)).float()


class SquarePrompt(PixelPrompt):
    """Each picture is one square."""

    def show(self, kind, width, height, seed):
        out = self.processor(images=[image(width, height, seed)], return_tensors="pt")
        self.pixels.append(out["pixel_values"])
        self.place((kind, width, height, seed), IMAGE, self.count)
