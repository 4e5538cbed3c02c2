# SPDX-License-Identifier: Apache-2.0
"""Music Flamingo: Audio Flamingo 3 whose rows turn by the second at which they are."""

from functools import partial

from transformers import MusicFlamingoForConditionalGeneration

from media.base import END, IMAGE, START, TEXT
from media.sounds import WindowPrompt, prompts

IDS = dict(audio_token_id=IMAGE, audio_bos_token_id=START, audio_eos_token_id=END)
QWEN2 = TEXT | dict(model_type="qwen2", rope_theta=10000.0)


class TimedPrompt(WindowPrompt):
    """The same between two tokens."""

    def place(self, part, token, count):
        self.begin(part)
        self.add([START] + [token] * count + [END])

    def encoded(self, model):
        inputs = self.inputs()
        given = (inputs[name] for name in ("input_features", "input_features_mask", "input_ids"))
        return model.model.get_audio_features(*given).pooler_output.float()


CASES = {}
CASES["musicflamingo"] = dict(
    config=dict(text_config=QWEN2, **IDS,
                rope_parameters=dict(rope_type="default", rope_theta=40.0, partial_rotary_factor=0.2),
                audio_config=dict(model_type="audioflamingo3_encoder", hidden_size=64, num_hidden_layers=2,
                                  num_attention_heads=4, intermediate_size=96, num_mel_bins=32,
                                  max_source_positions=50)),
    model=MusicFlamingoForConditionalGeneration, prompts=partial(prompts, TimedPrompt), seed=2)
# All of a row turns; frames that are longer; no biases.
CASES["musicflamingo-whole"] = dict(
    config=dict(text_config=QWEN2 | dict(num_hidden_layers=2), **IDS, projector_bias=False, audio_frame_step=0.03,
                rope_parameters=dict(rope_type="default", rope_theta=90.0, partial_rotary_factor=0.5),
                audio_config=dict(model_type="audioflamingo3_encoder", hidden_size=32, num_hidden_layers=1,
                                  num_attention_heads=2, intermediate_size=64, num_mel_bins=20,
                                  max_source_positions=25)),
    model=MusicFlamingoForConditionalGeneration, prompts=partial(prompts, TimedPrompt), seed=4)
