# SPDX-License-Identifier: Apache-2.0
"""Voxtral Realtime, which adds what it hears to each word that it writes.

Sounds stand between silence as mistral-common 1.13 pads them; that package is not needed here.
"""

import numpy
import torch
from transformers import VoxtralRealtimeFeatureExtractor, VoxtralRealtimeForConditionalGeneration
from transformers.audio_utils import spectrogram, window_function

from make_media_fixtures import sound
from media.base import TEXT, Prompt, each

# [STREAMING_PAD], the id of BOS, tokens of silence before a sound, and behind it for its last word.
PAD, BOS, BEFORE, BEHIND = 121, 1, 32, 10
HOP = 160


def heard(extractor, wave):
    """What the extractor gives of a sound, but in float64: [bins, frames]."""
    found = spectrogram(wave.astype(numpy.float64), window_function(400, "hann"), frame_length=400, hop_length=HOP,
                        power=2.0, mel_filters=extractor.mel_filters, log_mel="log10", dtype=numpy.float64)[:, :-1]
    mel = (numpy.maximum(found, extractor.global_log_mel_max - 8.0) + 4.0) / 4.0
    assert numpy.abs(mel - extractor(wave, sampling_rate=16000)["input_features"][0].numpy()).max() < 2e-4
    return torch.tensor(mel.astype(numpy.float32))


class StreamPrompt(Prompt):
    """One sound, nothing else: BOS and silence, to each of which a row is added, and to what is written."""

    def __init__(self, parts, number, config):
        self.bins, self.delay = config["audio_config"]["num_mel_bins"], config["default_num_delay_tokens"]
        self.frames = 2 * config["downsample_factor"]
        super().__init__(parts, number)

    def show(self, *part):
        wave = sound(part[1], part[3]).astype(numpy.float32) / 32768
        size = self.frames * HOP
        padded = numpy.pad(wave, (BEFORE * size, -len(wave) % size + (self.delay + 1 + BEHIND) * size))
        self.mel = heard(VoxtralRealtimeFeatureExtractor(feature_size=self.bins), padded)
        self.begin(part)
        self.add([BOS] + [PAD] * (BEFORE + self.delay))

    def inputs(self, more=()):
        # Rows of later frames change none before them.
        texts = self.texts(more)
        return texts | dict(input_features=self.mel[None, :, :self.frames * texts["input_ids"].shape[1]])

    def encoded(self, model):
        return model.model.get_audio_features(input_features=self.mel[None]).pooler_output[0].float()


def prompts(case, _out):
    sounds = [[(-1, samples, 16000, seed)] for samples, seed in ((1121, 1), (16000, 2), (20011, 3))]
    return each(StreamPrompt, sounds, case["config"])


def hears_silence():
    """Lets the class read texts alone, by which weights are scaled, as if nothing were heard beside them."""
    forward = VoxtralRealtimeForConditionalGeneration.forward

    def beside_silence(model, input_ids=None, input_features=None, **more):
        if input_features is None:
            config = model.config
            shape = (len(input_ids), config.audio_config.num_mel_bins, input_ids.shape[1] * config.audio_length_per_tok)
            input_features = torch.zeros(shape)
        return forward(model, input_ids=input_ids, input_features=input_features, **more)

    VoxtralRealtimeForConditionalGeneration.forward = beside_silence


def text(**more):
    return TEXT | dict(model_type="voxtral_realtime_text", head_dim=16, rms_norm_eps=1e-5,
                       rope_parameters=dict(rope_type="default", rope_theta=1e6)) | more


def hearing(**more):
    return dict(model_type="voxtral_realtime_encoder", num_mel_bins=32, hidden_size=32, intermediate_size=48,
                num_hidden_layers=2, num_attention_heads=3, head_dim=16, sliding_window=20,
                rope_parameters=dict(rope_type="default", rope_theta=1e6)) | more


CASES = {}
# Heads that are together wider than rows, a window in the text that prompts leave.
CASES["voxtral_realtime"] = dict(
    config=dict(text_config=text(sliding_window=24, tie_word_embeddings=True), audio_config=hearing(),
                default_num_delay_tokens=6, audio_length_per_tok=8, downsample_factor=4, tie_word_embeddings=True),
    model=VoxtralRealtimeForConditionalGeneration, before=hears_silence, prompts=prompts, seed=1)
# No window in the text, another delay, tokens half as long, a head of its own.
CASES["voxtral_realtime-pairs"] = dict(
    config=dict(text_config=text(sliding_window=None, num_hidden_layers=2), tie_word_embeddings=False,
                audio_config=hearing(sliding_window=7, hidden_act="gelu", num_attention_heads=2, rope_parameters=None),
                default_num_delay_tokens=2, audio_length_per_tok=4, downsample_factor=2),
    model=VoxtralRealtimeForConditionalGeneration, before=hears_silence, prompts=prompts, seed=2)
