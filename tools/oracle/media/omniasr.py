# SPDX-License-Identifier: Apache-2.0
"""OmniASR, which hears samples by wav2vec 2.0."""

import numpy
import torch
from transformers import OmniASRFeatureExtractor, OmniASRForConditionalGeneration

from make_media_fixtures import sound
from media.base import IMAGE, TEXT, Prompt, each
from media.granite_speech import SINGLE_SOUNDS


class SamplesPrompt(Prompt):
    """One sound of each prompt: shorter ones of several would be filled up."""

    def __init__(self, parts, number, audio):
        self.audio, self.heard = audio, {}
        super().__init__(parts, number)

    def show(self, *part):
        wave = sound(part[1], part[3]).astype(numpy.float32) / 32768
        out = OmniASRFeatureExtractor()(wave, sampling_rate=16000)
        self.heard = dict(input_values=out["input_values"], padding_mask=out["padding_mask"])
        count = part[1]
        for kernel, stride in zip(self.audio["conv_kernel"], self.audio["conv_stride"]):
            count = (count - kernel) // stride + 1
        self.place(part, IMAGE, count)

    def inputs(self, more=()):
        return self.texts(more) | self.heard

    def encoded(self, model):
        return model.model.get_audio_features(**self.heard).pooler_output.float()


def prompts(case, _out):
    return each(SamplesPrompt, SINGLE_SOUNDS, case["config"]["audio_config"])


def hearing(**more):
    return dict(model_type="omniasr_audio", hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
                conv_dim=[16] * 4, conv_kernel=[10, 3, 3, 2], conv_stride=[5, 4, 4, 4], num_conv_pos_embeddings=8,
                num_conv_pos_embedding_groups=4) | more


CASES = {}
CASES["omniasr"] = dict(
    config=dict(text_config=TEXT | dict(model_type="llama", rope_theta=10000.0), audio_config=hearing(), audio_token_id=IMAGE),
    model=OmniASRForConditionalGeneration, prompts=prompts, seed=1)
# Convolutions of other widths without biases, one group, another activation.
CASES["omniasr-groups"] = dict(
    config=dict(text_config=TEXT | dict(model_type="llama", rope_theta=10000.0, num_hidden_layers=2), audio_token_id=IMAGE,
                audio_config=hearing(conv_dim=[8, 16, 24], conv_kernel=[12, 5, 3], conv_stride=[10, 8, 5], conv_bias=False,
                                     num_conv_pos_embedding_groups=1, num_conv_pos_embeddings=6, hidden_act="relu",
                                     layer_norm_eps=1e-3)),
    model=OmniASRForConditionalGeneration, prompts=prompts, seed=2)
