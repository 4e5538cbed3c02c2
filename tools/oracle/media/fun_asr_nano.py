# SPDX-License-Identifier: Apache-2.0
"""Fun-ASR-Nano: frames of Kaldi's spectra side by side, attention with memory, an adaptor."""

import importlib
from types import SimpleNamespace

import numpy
import torch
from transformers import FunAsrNanoForConditionalGeneration
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

from make_media_fixtures import sound
from media.base import IMAGE, TEXT, Prompt, each, write_json
from media.granite_speech import SINGLE_SOUNDS

# Its package has something that cannot be used in its place where torchaudio is not there.
module = importlib.import_module("transformers.models.fun_asr_nano.feature_extraction_fun_asr_nano")


def fbank(waveform, num_mel_bins, frame_length, frame_shift, sample_frequency, window_type):
    """`torchaudio.compliance.kaldi.fbank`, with what it has where its caller is silent, as transformers writes it with
    numpy for extractors that used to need torchaudio; in float64. [1, samples] -> [frames, bins]."""
    assert (frame_length, frame_shift, sample_frequency, window_type) == (25, 10, 16000, "hamming")
    filters = mel_filter_bank(257, num_mel_bins, 20.0, 8000.0, 16000, norm=None, mel_scale="kaldi",
                              triangularize_in_mel_space=True)
    found = spectrogram(waveform[0].numpy().astype(numpy.float64), window_function(400, "hamming", periodic=False),
                        frame_length=400, hop_length=160, fft_length=512, power=2.0, center=False, preemphasis=0.97,
                        mel_filters=filters, log_mel="log", mel_floor=1.192092955078125e-07, remove_dc_offset=True,
                        dtype=numpy.float64)
    return torch.from_numpy(found.T.astype(numpy.float32))


class StackedPrompt(Prompt):
    """One sound of each prompt."""

    def __init__(self, parts, number, extractor):
        self.extractor, self.heard = extractor, {}
        super().__init__(parts, number)

    def show(self, *part):
        wave = sound(part[1], part[3]).astype(numpy.float32) / 32768
        found = self.extractor(wave, sampling_rate=16000)
        self.heard = {name: found[name] for name in ("input_features", "input_features_mask")}
        self.place(part, IMAGE, found["input_features"].shape[1])

    def inputs(self, more=()):
        return self.texts(more) | self.heard

    def encoded(self, model):
        return model.model.get_audio_features(**self.heard).pooler_output.float()


def prompts(case, out):
    module.torchaudio = SimpleNamespace(compliance=SimpleNamespace(kaldi=SimpleNamespace(fbank=fbank)))
    hearing = dict(feature_size=case["config"]["audio_config"]["num_mel_bins"], **case.get("hearing", {}))
    write_json(out / "preprocessor_config.json", hearing)
    return each(StackedPrompt, SINGLE_SOUNDS, module.FunAsrNanoFeatureExtractor(**hearing))


QWEN3 = TEXT | dict(model_type="qwen3", head_dim=16)
CASES = {}
# The first layer reads something wider; the last two have norms behind them.
CASES["fun_asr_nano"] = dict(
    config=dict(text_config=QWEN3, audio_token_id=IMAGE, tie_word_embeddings=True,
                audio_config=dict(model_type="fun_asr_nano_encoder", num_mel_bins=16, hidden_size=64,
                                  num_attention_heads=4, intermediate_size=48, num_hidden_layers=3,
                                  max_position_embeddings=80, num_timestamp_prediction_layers=1, fsmn_kernel_size=5),
                adaptor_config=dict(hidden_size=64, num_attention_heads=4, intermediate_size=16, num_hidden_layers=2,
                                    projector_hidden_size=40)),
    model=FunAsrNanoForConditionalGeneration, prompts=prompts, seed=1)
# As wide as its layers; an even number of places in memory; other numbers of frames side by side.
CASES["fun_asr_nano-square"] = dict(
    config=dict(text_config=QWEN3 | dict(num_hidden_layers=2), audio_token_id=IMAGE, tie_word_embeddings=False,
                audio_config=dict(model_type="fun_asr_nano_encoder", num_mel_bins=16, hidden_size=64,
                                  num_attention_heads=2, intermediate_size=40, num_hidden_layers=2,
                                  max_position_embeddings=80, num_timestamp_prediction_layers=0, fsmn_kernel_size=4,
                                  num_stacked_frames=4, hidden_act="gelu", layer_norm_eps=1e-4),
                adaptor_config=dict(hidden_size=64, num_attention_heads=2, intermediate_size=16, num_hidden_layers=1,
                                    hidden_act="gelu", projector_hidden_act="silu", projector_hidden_size=48)),
    hearing=dict(num_frames_lfr=4, stride_lfr=3),
    model=FunAsrNanoForConditionalGeneration, prompts=prompts, seed=2)
