#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes test/fixtures/media/sounds.json: what transformers makes of sound.

    make_sound_fixtures.py OUT

Sounds are those of make_media_fixtures.sound. For each length and number of bins: how many samples are looked at, silence
among them, how many frames are heard of them, and of some (numbers first) every eighth bin of the log-mel spectrogram by the
extractor's numpy path. Of those that hear magnitudes, `by` says how; `padded` ones
are Granite Speech's, whose frames have a partner.
"""

import json
import pathlib
import sys
import types

import numpy
import torch
from transformers.audio_utils import mel_filter_bank
from transformers.models.granite_speech import feature_extraction_granite_speech as module
from transformers import Gemma3nAudioFeatureExtractor, Gemma4AudioFeatureExtractor, WhisperFeatureExtractor

from make_media_fixtures import sound


def heard(extractor, samples, seed):
    """The log-mel spectrogram [bins, 3000] of a sound, and which of its frames the extractor calls heard [3000].

    The formulas in float64; what the extractor does with torch differs by 5e-5.
    """
    wave = sound(samples, seed).astype(numpy.float32) / 32768
    out = extractor(wave, sampling_rate=16000, padding="max_length", return_attention_mask=True, return_tensors="np")
    padded = numpy.zeros(480000, numpy.float32)
    padded[:len(wave)] = wave[:480000]
    return extractor._np_extract_fbank_features(padded[None], "cpu")[0], out["attention_mask"][0]


def mel_of_wave(extractor, samples, seed, silence):
    """The log-mel spectrogram [bins, frames] of all of a sound and so many samples of silence behind it."""
    wave = numpy.pad(sound(samples, seed).astype(numpy.float32) / 32768, (0, silence))
    return extractor._np_extract_fbank_features(wave[None], "cpu")[0]


def mel_of(samples, bins):
    """Of half a minute."""
    mel, mask = heard(WhisperFeatureExtractor(feature_size=bins), samples, samples % 7)
    frames = int(mask.sum())
    rows = sorted({0, 1, frames // 2, frames - 1, min(frames, 2999), min(frames + 1, 2999)})
    return written(samples, bins, 480000, mel[:, :min(frames + 2, 3000)], rows)


def whole_mel_of(samples, bins, silence):
    """Of a sound as long as it is, or longer."""
    mel = mel_of_wave(WhisperFeatureExtractor(feature_size=bins), samples, samples % 7, silence)
    frames = mel.shape[1]
    return written(samples, bins, samples + silence, mel, [0, frames // 2, frames - 2, frames - 1])


def heard_by_magnitude(extractor, samples, seed):
    """The spectrogram [frames, bins] of a sound, in float64, and which of its frames are heard [frames]."""
    wave = sound(samples, seed).astype(numpy.float64) / 32768
    extractor.window = 0.5 - 0.5 * numpy.cos(2 * numpy.pi * numpy.arange(extractor.frame_length) / extractor.frame_length)
    silence = -samples % 128
    mask = (numpy.arange(samples + silence) < samples).astype(numpy.int64)
    return extractor._extract_spectrogram(numpy.pad(wave, (0, silence)), mask)


class MelOfTorchaudio:
    """`torchaudio.transforms.MelSpectrogram`, with what it has where its caller is silent: [1, samples] -> [1, bins, frames], f64."""

    def __init__(self, sample_rate, n_fft, win_length, hop_length, n_mels):
        self.by = dict(n_fft=n_fft, win_length=win_length, hop_length=hop_length, window=torch.hann_window(win_length, dtype=torch.float64),
                       center=True, pad_mode="reflect", return_complex=True)
        self.filters = torch.tensor(mel_filter_bank(n_fft // 2 + 1, n_mels, 0.0, sample_rate / 2, sample_rate, norm=None, mel_scale="htk"))

    def to(self, _device):
        return self

    def __call__(self, wave):
        powers = torch.stft(wave.double(), **self.by).abs() ** 2
        return self.filters.T @ powers


def pairing_extractor(**hearing):
    """Granite Speech's extractor, for which torchaudio need not be there; in float64."""
    module.requires_backends = lambda *_: None
    module.torchaudio = types.SimpleNamespace(transforms=types.SimpleNamespace(MelSpectrogram=MelOfTorchaudio))
    return module.GraniteSpeechFeatureExtractor(**hearing)


def heard_in_pairs(extractor, samples, seed):
    """What the extractor gives of a sound: pairs of frames [1, rows, 2 * bins] in float64."""
    return extractor(sound(samples, seed).astype(numpy.float32) / 32768)


def pairs_of(samples):
    """Frames that have another beside them, of a spectrogram with as many bins as published."""
    mel = heard_in_pairs(pairing_extractor(), samples, samples % 7)["input_features"][0].reshape(-1, 80).numpy()
    frames = len(mel)
    return written(samples, 80, samples, mel.T, [0, 1, frames // 2, frames - 1]) | dict(padded=True)


def magnitude_of(samples, extractor):
    mel, mask = heard_by_magnitude(extractor, samples, samples % 7)
    frames = int(mask.sum())
    means, deviations = (None if of is None else of.flatten().tolist() for of in (extractor.per_bin_mean, extractor.per_bin_stddev))
    by = dict(bins=extractor.feature_size, window=extractor.frame_length, size=extractor.fft_length, low=extractor.min_frequency,
              high=extractor.max_frequency, preemphasis=extractor.preemphasis, floor=float(extractor.mel_floor),
              **(dict(means=means, deviations=deviations) if means else {}))
    return written(samples, extractor.feature_size, samples, mel.T, [0, 1, frames // 2, frames - 1]) | dict(frames=frames, by=by)


def written(samples, bins, span, mel, rows):
    return {"samples": samples, "seed": samples % 7, "bins": bins, "span": span, "frames": mel.shape[1], "rows": rows,
            "values": [[round(float(x), 8) for x in mel[::8, row]] for row in rows]}


def main():
    (out,) = sys.argv[1:]
    cases = [mel_of(samples, bins) for samples, bins in ((161, 80), (1600, 128), (16001, 80), (35 * 16000, 128))]
    cases += [whole_mel_of(*of) for of in ((8000, 128, 0), (8123, 80, 0), (20011, 80, 27989))]
    cases += [magnitude_of(8123, Gemma4AudioFeatureExtractor()), magnitude_of(8000, Gemma3nAudioFeatureExtractor()),
              # Of which a file says other things.
              magnitude_of(4001, Gemma4AudioFeatureExtractor(feature_size=16, fft_overdrive=True, preemphasis=0.9, min_frequency=90.0,
                                                             per_bin_mean=[0.25 * i for i in range(16)],
                                                             per_bin_stddev=[1 + 0.125 * i for i in range(16)]))]
    cases += [pairs_of(8123), pairs_of(8000)]
    rows = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    pathlib.Path(out).write_text(f"[\n{rows}\n]\n")


if __name__ == "__main__":
    main()
