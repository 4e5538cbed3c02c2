# SPDX-License-Identifier: Apache-2.0
"""The cases of musicflamingo for make_media_model_fixture.py: Audio Flamingo 3 whose rows turn by times."""

import json

import torch
import transformers

IMAGE, START, END = 120, 122, 123
TEXT = dict(model_type="qwen2", vocab_size=131, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=256, bos_token_id=1, eos_token_id=2, rope_theta=10000.0)
IDS = dict(audio_token_id=IMAGE, audio_bos_token_id=START, audio_eos_token_id=END)

CASES = {
    "musicflamingo": dict(
        config=dict(text_config=TEXT, **IDS, rope_parameters=dict(rope_type="default", rope_theta=40.0, partial_rotary_factor=0.2),
                    audio_config=dict(model_type="audioflamingo3_encoder", hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
                                      intermediate_size=96, num_mel_bins=32, max_source_positions=50)),
        seed=2),
    # All of a row turns; frames that are longer; no biases.
    "musicflamingo-whole": dict(
        config=dict(text_config=TEXT | dict(num_hidden_layers=2), **IDS, projector_bias=False, audio_frame_step=0.03,
                    rope_parameters=dict(rope_type="default", rope_theta=90.0, partial_rotary_factor=0.5),
                    audio_config=dict(model_type="audioflamingo3_encoder", hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
                                      intermediate_size=64, num_mel_bins=20, max_source_positions=25)),
        seed=4),
}


def make(family, out, main):
    """main: the module make_media_model_fixture."""
    case = CASES[family]
    main.CLASSES["musicflamingo"] = transformers.MusicFlamingoForConditionalGeneration
    fresh = main.transformers_checkpoint(case, family, out)
    audio = case["config"]["audio_config"]
    extractor = transformers.WhisperFeatureExtractor(feature_size=audio["num_mel_bins"])

    class TimedPrompt(main.WindowPrompt):
        """The same between two tokens."""

        def place(self, part, token, count):
            self.media.append([*part, len(self.ids)])
            self.add([START] + [token] * count + [END])

        def encoded(self, model):
            inputs = self.inputs()
            return model.model.get_audio_features(inputs["input_features"], inputs["input_features_mask"], inputs["input_ids"]).pooler_output.float()

    found = {}
    for i, parts in enumerate(main.SOUNDS):
        prompt = TimedPrompt(parts, i, extractor, audio)
        found |= {f"{i}/{name}": value.contiguous() for name, value in main.record(fresh, prompt).items()}
    (out / "model.safetensors").unlink(missing_ok=True)
    main.save_reference(out, found, model_type="musicflamingo")
