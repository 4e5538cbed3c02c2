# SPDX-License-Identifier: Apache-2.0
"""The cases of fun_asr_nano for make_media_model_fixture.py: stacked frames of Kaldi's spectra, attention with memory."""

import importlib
import json

import numpy
import torch
import transformers
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

from make_media_fixtures import sound

# Its package has something that cannot be used in its place where torchaudio is not there.
module = importlib.import_module("transformers.models.fun_asr_nano.feature_extraction_fun_asr_nano")

AUDIO = 120
TEXT = dict(model_type="qwen3", vocab_size=131, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
            num_key_value_heads=2, head_dim=16, max_position_embeddings=256, bos_token_id=1, eos_token_id=2)

CASES = {
    # The first layer reads something wider; the last two have norms behind them.
    "fun_asr_nano": dict(
        config=dict(text_config=TEXT, audio_token_id=AUDIO, tie_word_embeddings=True,
                    audio_config=dict(model_type="fun_asr_nano_encoder", num_mel_bins=16, hidden_size=64, num_attention_heads=4,
                                      intermediate_size=48, num_hidden_layers=3, max_position_embeddings=80, num_timestamp_prediction_layers=1,
                                      fsmn_kernel_size=5),
                    adaptor_config=dict(hidden_size=64, num_attention_heads=4, intermediate_size=16, num_hidden_layers=2,
                                        projector_hidden_size=40)),
        seed=1),
    # As wide as its layers; an even number of places in memory; other numbers of stacked frames.
    "fun_asr_nano-square": dict(
        config=dict(text_config=TEXT | dict(num_hidden_layers=2), audio_token_id=AUDIO, tie_word_embeddings=False,
                    audio_config=dict(model_type="fun_asr_nano_encoder", num_mel_bins=16, hidden_size=64, num_attention_heads=2,
                                      intermediate_size=40, num_hidden_layers=2, max_position_embeddings=80, num_timestamp_prediction_layers=0,
                                      fsmn_kernel_size=4, num_stacked_frames=4, hidden_act="gelu", layer_norm_eps=1e-4),
                    adaptor_config=dict(hidden_size=64, num_attention_heads=2, intermediate_size=16, num_hidden_layers=1, hidden_act="gelu",
                                        projector_hidden_act="silu", projector_hidden_size=48)),
        hearing=dict(num_frames_lfr=4, stride_lfr=3), seed=2),
}


def fbank(waveform, num_mel_bins, frame_length, frame_shift, sample_frequency, window_type):
    """`torchaudio.compliance.kaldi.fbank`, with what it has where its caller is silent, as transformers writes it with numpy for
    extractors that used to need torchaudio; in float64. [1, samples] -> [frames, bins]."""
    assert (frame_length, frame_shift, sample_frequency, window_type) == (25, 10, 16000, "hamming")
    filters = mel_filter_bank(257, num_mel_bins, 20.0, 8000.0, 16000, norm=None, mel_scale="kaldi", triangularize_in_mel_space=True)
    found = spectrogram(waveform[0].numpy().astype(numpy.float64), window_function(400, "hamming", periodic=False), frame_length=400,
                        hop_length=160, fft_length=512, power=2.0, center=False, preemphasis=0.97, mel_filters=filters, log_mel="log",
                        mel_floor=1.192092955078125e-07, remove_dc_offset=True, dtype=numpy.float64)
    return torch.from_numpy(found.T.astype(numpy.float32))


def make(family, out, main):
    """main: the module make_media_model_fixture."""
    case = CASES[family]
    module.torchaudio = type("torchaudio", (), {"compliance": type("c", (), {"kaldi": type("k", (), {"fbank": staticmethod(fbank)})})})
    main.CLASSES["fun_asr_nano"] = transformers.FunAsrNanoForConditionalGeneration
    fresh = main.transformers_checkpoint(case, family, out)
    audio = case["config"]["audio_config"]
    hearing = dict(feature_size=audio["num_mel_bins"], **case.get("hearing", {}))
    extractor = module.FunAsrNanoFeatureExtractor(**hearing)
    (out / "preprocessor_config.json").write_text(json.dumps(hearing, indent=2) + "\n")

    class StackedPrompt(main.Prompt):
        """Each sound by itself, one of each prompt."""

        def __init__(self, parts, number):
            self.heard = {}
            super().__init__(parts, number)

        def show(self, *part):
            found = extractor(sound(part[1], part[3]).astype(numpy.float32) / 32768, sampling_rate=16000)
            self.heard = dict(input_features=found["input_features"], input_features_mask=found["input_features_mask"])
            self.place(part, AUDIO, found["input_features"].shape[1])

        def inputs(self, more=()):
            return self.texts(more) | self.heard

        def encoded(self, model):
            return model.model.get_audio_features(**self.heard).pooler_output.float()

    found = {}
    for i, parts in enumerate(main.ENDED_SOUNDS):
        prompt = StackedPrompt(parts, i)
        found |= {f"{i}/{name}": value.contiguous() for name, value in main.record(fresh, prompt).items()}
    (out / "model.safetensors").unlink(missing_ok=True)
    main.save_reference(out, found, model_type="fun_asr_nano")
