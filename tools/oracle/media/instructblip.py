# SPDX-License-Identifier: Apache-2.0
"""InstructBLIP: queries look at the one square of a picture, or of each frame, and read what the prompt says, by a
tokenizer of their own."""

import torch
from tokenizers import BertWordPieceTokenizer
from transformers import (
    InstructBlipForConditionalGeneration,
    InstructBlipVideoForConditionalGeneration,
    PreTrainedTokenizerFast,
)
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from media.base import IMAGE, SQUARES, TEXT, VIDEO, SquarePrompt, each, image, side_of
from media.blip_2 import OPT

LETTERS = [chr(ord("a") + i) for i in range(26)]
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = [*SPECIALS, *LETTERS, *[f"##{letter}" for letter in LETTERS]]


def words_of(ids):
    """The text of ids, as the tests have it: a letter each, some of which end a word."""
    return "".join(LETTERS[i % 26] + (" " if i % 5 == 0 else "") for i in ids)


def texts_alone(model=InstructBlipForConditionalGeneration, shape=(1,)):
    """The class asks for pixels first, and of texts, too, which nothing shows."""
    whole = model.forward

    def forward(self, input_ids, pixel_values=None, qformer_input_ids=None, **others):
        side = self.config.vision_config.image_size
        shown = torch.zeros(*shape, 3, side, side, dtype=self.dtype) if pixel_values is None else pixel_values
        read = torch.tensor([[2, 3]]) if qformer_input_ids is None else qformer_input_ids
        return whole(self, pixel_values=shown, qformer_input_ids=read, input_ids=input_ids, **others)

    model.forward = forward


class ReadPrompt(SquarePrompt):
    """Each picture is seen beside the words of the prompt."""

    def __init__(self, parts, number, processor, count, tokenizer):
        self.tokenizer = tokenizer
        super().__init__(parts, number, processor, count)

    def seen(self):
        words = self.tokenizer(words_of([i for i in self.ids if i != IMAGE]))["input_ids"]
        return dict(qformer_input_ids=torch.tensor([words] * len(self.pixels)))

    def inputs(self, more=()):
        return super().inputs(more) | (self.seen() if self.pixels else {})

    def encoded(self, model):
        found = model.get_image_features(self.inputs()["pixel_values"], **self.seen())
        return torch.cat(list(found.pooler_output)).float()


class FramedPrompt(ReadPrompt):
    """A video of four frames, each of which has as many tokens; one a prompt."""

    def show(self, frames, width, height, seed):
        shown = [image(width, height, seed + i) for i in range(frames)]
        self.pixels.append(torch.stack([self.processor(images=[one], return_tensors="pt")["pixel_values"][0]
                                        for one in shown])[None])
        self.place((frames, width, height, seed), VIDEO, self.count * frames)

    def seen(self):
        words = self.tokenizer(words_of([i for i in self.ids if i != VIDEO]))["input_ids"]
        return dict(qformer_input_ids=torch.tensor([words]))

    def encoded(self, model):
        return model.get_video_features(self.inputs()["pixel_values"], **self.seen()).pooler_output[0].float()


# Four frames, upright and lying.
FRAMED = [[19], [5, (4, 70, 121, 1), 4], [(4, 120, 30, 5), 7]]


def prompts(case, out, shown=SQUARES, kind=ReadPrompt):
    processor = BlipImageProcessorPil(size={"height": side_of(case), "width": side_of(case)})
    processor.save_pretrained(out)
    pieces = BertWordPieceTokenizer(vocab={piece: i for i, piece in enumerate(VOCABULARY)})
    names = dict(pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=pieces._tokenizer, **names)
    tokenizer.save_pretrained(out / "qformer_tokenizer")
    return each(kind, shown, processor, case["config"]["num_query_tokens"], tokenizer)


CASES = {}
# Of three layers of queries every other looks at rows.
CASES["instructblip"] = dict(
    config=dict(text_config=TEXT | dict(model_type="llama", num_hidden_layers=2, rope_theta=10000.0),
                image_token_index=IMAGE, num_query_tokens=9,
                qformer_config=dict(hidden_size=48, num_hidden_layers=3, num_attention_heads=3, intermediate_size=80,
                                    vocab_size=len(VOCABULARY), max_position_embeddings=32),
                vision_config=dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                                   image_size=28, patch_size=7)),
    before=texts_alone, prompts=prompts, seed=1)
# Text of OPT; each layer of queries looks at rows.
CASES["instructblip-opt"] = CASES["instructblip"] | dict(
    config=CASES["instructblip"]["config"] | dict(
        text_config=OPT,
        qformer_config=CASES["instructblip"]["config"]["qformer_config"] | dict(
            num_hidden_layers=2, cross_attention_frequency=1, hidden_act="relu"),
        vision_config=CASES["instructblip"]["config"]["vision_config"] | dict(qkv_bias=False)),
    seed=1)
CASES["instructblipvideo"] = dict(
    config={key: value for key, value in CASES["instructblip"]["config"].items() if key != "image_token_index"} | dict(
        video_token_index=VIDEO),
    before=lambda: texts_alone(InstructBlipVideoForConditionalGeneration, (1, 4)),
    prompts=lambda case, out: prompts(case, out, FRAMED, FramedPrompt), seed=1)
