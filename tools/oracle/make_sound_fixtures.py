#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes test/fixtures/media/sounds.json: what transformers makes of sound.

    make_sound_fixtures.py OUT

Sounds are those of make_media_fixtures.sound. For each length and number of bins: frames that the extractor calls heard,
and of some frames (numbers first) every eighth bin of the log-mel spectrogram by its numpy path.
"""

import json
import pathlib
import sys

import numpy
from transformers import WhisperFeatureExtractor

from make_media_fixtures import sound


def mel_of(samples, bins):
    extractor = WhisperFeatureExtractor(feature_size=bins)
    wave = sound(samples, samples % 7).astype(numpy.float32) / 32768
    mask = extractor(wave, sampling_rate=16000, padding="max_length", return_attention_mask=True, return_tensors="np")
    padded = numpy.zeros(480000, numpy.float32)
    padded[:len(wave)] = wave[:480000]
    mel = extractor._np_extract_fbank_features(padded[None], "cpu")[0]
    frames = int(mask["attention_mask"].sum())
    rows = sorted({0, 1, frames // 2, frames - 1, min(frames, 2999), min(frames + 1, 2999)})
    return {"samples": samples, "seed": samples % 7, "bins": bins, "frames": frames, "rows": rows,
            "values": [[round(float(x), 8) for x in mel[::8, row]] for row in rows]}


def main():
    (out,) = sys.argv[1:]
    cases = [mel_of(samples, bins) for samples, bins in ((161, 80), (1600, 128), (16001, 80), (35 * 16000, 128))]
    rows = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    pathlib.Path(out).write_text(f"[\n{rows}\n]\n")


if __name__ == "__main__":
    main()
