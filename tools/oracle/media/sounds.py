# SPDX-License-Identifier: Apache-2.0
"""Models that hear alone what Whisper's extractor gives: Qwen2-Audio, Voxtral, GLM-ASR, Audio Flamingo 3, Qwen3-ASR."""

from functools import partial

import numpy
import torch
from torch.nn.functional import pad
from transformers import (AudioFlamingo3ForConditionalGeneration, GlmAsrForConditionalGeneration,
                          Qwen2AudioForConditionalGeneration, Qwen3ASRForConditionalGeneration,
                          VoxtralForConditionalGeneration, WhisperFeatureExtractor)

from make_media_fixtures import sound
from make_sound_fixtures import heard, mel_of_wave
from media.base import IMAGE, TEXT, Prompt, each

# Samples and seeds: as short as can be, a tenth of a second, odd lengths.
SOUNDS = [
    [19],
    [5, (-1, 1121, 16000, 1), 4],
    [(-1, 1600, 16000, 2), 7, (-1, 20011, 16000, 3), 11],
    [3, (-1, 3 * 16000, 16000, 4), 2],
]


def extractor_of(case):
    return WhisperFeatureExtractor(feature_size=case["config"]["audio_config"]["num_mel_bins"])


def prompts(kind, case, _out):
    return each(kind, SOUNDS, extractor_of(case), case["config"]["audio_config"])


def twice_halved(frames):
    """Rows of two convolutions, of which the second takes every other place, and of the mean of two."""
    return ((frames - 1) // 2 + 1 - 2) // 2 + 1


def thrice_halved(frames):
    """Rows of three convolutions, each over every other place."""
    return -(-frames // 8)


class SoundPrompt(Prompt):
    """Sound in half a minute, with silence behind it."""

    def __init__(self, parts, number, extractor, audio):
        self.extractor, self.audio, self.features, self.masks = extractor, audio, [], []
        super().__init__(parts, number)

    def show(self, kind, samples, rate, seed):
        mel, mask = heard(self.extractor, samples, seed)
        self.features.append(torch.tensor(mel))
        self.masks.append(torch.tensor(mask))
        self.place((kind, samples, rate, seed), IMAGE, self.counts()[-1])

    def counts(self):
        """Tokens of each sound."""
        return [twice_halved(int(mask.sum())) for mask in self.masks]

    def inputs(self, more=()):
        if not self.masks:
            return self.texts(more)
        return self.texts(more) | dict(input_features=torch.stack(self.features),
                                       feature_attention_mask=torch.stack(self.masks))

    def encoded(self, model):
        seen = []
        hook = model.model.multi_modal_projector.register_forward_hook(lambda _, __, out: seen.append(out))
        model(**self.inputs(), use_cache=False)
        hook.remove()
        return torch.cat([rows[:count] for rows, count in zip(seen[0], self.counts())]).float()


class StretchPrompt(Prompt):
    """Sound in stretches of as many frames as Voxtral's encoder reads."""

    def __init__(self, parts, number, extractor, audio):
        self.extractor, self.features = extractor, []
        self.frames = 2 * audio["max_source_positions"]
        self.count = audio["max_source_positions"] * audio["hidden_size"] // audio["intermediate_size"]
        super().__init__(parts, number)

    def show(self, kind, samples, rate, seed):
        mel = torch.tensor(mel_of_wave(self.extractor, samples, seed, -samples % (160 * self.frames)))
        stretches = mel.reshape(len(mel), -1, self.frames).transpose(0, 1)
        self.features.append(stretches)
        self.place((kind, samples, rate, seed), IMAGE, self.count * len(stretches))

    def inputs(self, more=()):
        return self.texts(more) | (dict(input_features=torch.cat(self.features)) if self.features else {})

    def encoded(self, model):
        return model.model.get_audio_features(torch.cat(self.features)).pooler_output.float()


class WindowPrompt(SoundPrompt):
    """Sound in windows of as many frames as the encoder reads, each with a spectrogram of its own."""

    def __init__(self, parts, number, extractor, audio):
        self.frames = 2 * (audio.get("max_source_positions") or audio["max_position_embeddings"])
        super().__init__(parts, number, extractor, audio)

    def show(self, kind, samples, rate, seed):
        wave = sound(samples, seed).astype(numpy.float32) / 32768
        before = len(self.masks)
        for start in range(0, samples, 160 * self.frames):
            part = wave[start:start + 160 * self.frames]
            padded = numpy.pad(part, (0, 160 * self.frames - len(part)))
            self.features.append(torch.tensor(self.extractor._np_extract_fbank_features(padded[None], "cpu")[0]))
            self.masks.append((torch.arange(self.frames) < -(-len(part) // 160)).long())
        self.place((kind, samples, rate, seed), IMAGE, sum(self.counts()[before:]))

    def inputs(self, more=()):
        found = super().inputs(more)
        if self.masks:
            found["input_features_mask"] = found.pop("feature_attention_mask")
        return found

    def encoded(self, model):
        inputs = self.inputs()
        rows = model.model.get_audio_features(inputs["input_features"], inputs["input_features_mask"])
        return rows.pooler_output.float()


class GroupPrompt(WindowPrompt):
    """The same, four rows a token."""

    def counts(self):
        return [((int(mask.sum()) - 1) // 2 + 1) // 4 for mask in self.masks]


class ChunkPrompt(Prompt):
    """Sound as Qwen3-ASR's extractor gives it, each by itself."""

    def __init__(self, parts, number, extractor, audio):
        self.extractor, self.stretch, self.sounds = extractor, 2 * audio["n_window"], []
        super().__init__(parts, number)

    def show(self, kind, samples, rate, seed):
        mel = torch.tensor(mel_of_wave(self.extractor, samples, seed, max(0, 8000 - samples)))
        frames = mel.shape[1]
        self.sounds.append(mel)
        count = frames // self.stretch * 13 + thrice_halved(frames % self.stretch)
        self.place((kind, samples, rate, seed), IMAGE, count)

    def inputs(self, more=()):
        return self.texts(more) | (self.heard() if self.sounds else {})

    def heard(self):
        longest = max(mel.shape[1] for mel in self.sounds)
        width = -(-longest // self.stretch) * self.stretch
        masks = [[int(i < mel.shape[1]) for i in range(width)] for mel in self.sounds]
        return dict(input_features=torch.stack([pad(mel, (0, width - mel.shape[1])) for mel in self.sounds]),
                    input_features_mask=torch.tensor(masks))

    def encoded(self, model):
        return model.model.get_audio_features(**self.heard()).pooler_output.float()


CASES = {}
CASES["qwen2_audio"] = dict(
    config=dict(text_config=TEXT | dict(model_type="qwen2", rope_theta=10000.0), audio_token_index=IMAGE,
                audio_config=dict(d_model=64, encoder_layers=2, encoder_attention_heads=4, encoder_ffn_dim=96,
                                  num_mel_bins=32)),
    model=Qwen2AudioForConditionalGeneration, prompts=partial(prompts, SoundPrompt), seed=2)

# Stretches of 48 frames, of which four rows become a token; of 28, of which two do.
CASES["voxtral"] = dict(
    config=dict(text_config=TEXT | dict(model_type="llama", head_dim=16, rope_theta=10000.0), audio_token_id=IMAGE,
                audio_config=dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
                                  num_mel_bins=32, max_source_positions=24)),
    model=VoxtralForConditionalGeneration, prompts=partial(prompts, StretchPrompt), seed=4)
CASES["voxtral-pairs"] = dict(
    config=CASES["voxtral"]["config"] | dict(
        text_config=CASES["voxtral"]["config"]["text_config"] | dict(num_hidden_layers=2, attention_bias=True,
                                                                     mlp_bias=True),
        audio_config=dict(hidden_size=64, num_hidden_layers=1, num_attention_heads=2, intermediate_size=128,
                          num_mel_bins=20, max_source_positions=14)),
    model=VoxtralForConditionalGeneration, prompts=partial(prompts, StretchPrompt), seed=2)

# Whisper's encoder with heads half of which turn; four rows a token.
CASES["glmasr"] = dict(
    config=dict(text_config=TEXT | dict(model_type="llama", head_dim=16, rope_theta=10000.0), audio_token_id=IMAGE,
                audio_config=dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=128,
                                  num_mel_bins=32, max_position_embeddings=48)),
    model=GlmAsrForConditionalGeneration, prompts=partial(prompts, GroupPrompt), seed=2)
# Heads of keys that queries share, a quarter of which turns, by another base; not tied.
CASES["glmasr-shared"] = dict(
    config=CASES["glmasr"]["config"] | dict(
        tie_word_embeddings=False, projector_hidden_act="relu",
        text_config=TEXT | dict(model_type="llama", head_dim=16, rope_theta=10000.0, num_hidden_layers=2),
        audio_config=dict(hidden_size=64, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2,
                          intermediate_size=256, num_mel_bins=20, max_position_embeddings=64, hidden_act="silu",
                          rope_parameters=dict(rope_type="default", rope_theta=500.0, partial_rotary_factor=0.25))),
    model=GlmAsrForConditionalGeneration, prompts=partial(prompts, GroupPrompt), seed=2)

# Stretches of a second, two of which see each other; the last holds fewer frames. Tied, as files of transformers have
# it.
CASES["qwen3_asr"] = dict(
    config=dict(text_config=TEXT | dict(model_type="qwen3", head_dim=16, rope_theta=10000.0), audio_token_id=IMAGE,
                tie_word_embeddings=True,
                eos_token_id=2, pad_token_id=0,
                audio_config=dict(d_model=64, encoder_layers=2, encoder_attention_heads=4, encoder_ffn_dim=96,
                                  num_mel_bins=12,
                                  downsample_hidden_size=16, output_dim=64, n_window=50, n_window_infer=200)),
    model=Qwen3ASRForConditionalGeneration, prompts=partial(prompts, ChunkPrompt), seed=1)
# With the names and the config.json of published files, of which 5.24 reads neither.
CASES["qwen3_asr-thinker"] = dict(
    config=CASES["qwen3_asr"]["config"] | dict(
        tie_word_embeddings=False,
        audio_config=dict(d_model=32, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=48, num_mel_bins=9,
                          downsample_hidden_size=8, output_dim=64, n_window=52, n_window_infer=150)),
    thinker=[("thinker.model.", "model.language_model."),
             ("thinker.audio_tower.proj", "model.multi_modal_projector.linear_"),
             ("thinker.audio_tower.", "model.audio_tower."), ("thinker.", "")],
    model=Qwen3ASRForConditionalGeneration, prompts=partial(prompts, ChunkPrompt), seed=1)

# Stretches of a second, each with a spectrogram of its own; of half a second.
CASES["audioflamingo3"] = dict(
    config=dict(text_config=TEXT | dict(model_type="qwen2", rope_theta=10000.0), audio_token_id=IMAGE,
                audio_config=dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96,
                                  num_mel_bins=32, max_source_positions=50)),
    model=AudioFlamingo3ForConditionalGeneration, prompts=partial(prompts, WindowPrompt), seed=2)
CASES["audioflamingo3-plain"] = dict(
    config=CASES["audioflamingo3"]["config"] | dict(
        projector_bias=False, text_config=TEXT | dict(model_type="qwen2", rope_theta=10000.0, num_hidden_layers=2),
        audio_config=dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
                          num_mel_bins=20, max_source_positions=25)),
    model=AudioFlamingo3ForConditionalGeneration, prompts=partial(prompts, WindowPrompt), seed=4)
