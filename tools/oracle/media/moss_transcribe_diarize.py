# SPDX-License-Identifier: Apache-2.0
"""MOSS-Transcribe-Diarize: rows of Whisper's encoder, between which seconds are written."""

import torch
from transformers import MossTranscribeDiarizeForConditionalGeneration, MossTranscribeDiarizeProcessor

from media.base import IMAGE, TEXT, each, letters, write_json
from media.sounds import SOUNDS, WindowPrompt, extractor_of


class MarkedPrompt(WindowPrompt):
    """Sound in windows, behind some of whose tokens stands the second that it is."""

    def __init__(self, parts, number, counter, *more):
        self.counter, self.spans = counter, []
        super().__init__(parts, number, *more)

    def counts(self):
        lengths = torch.tensor([int(mask.sum()) for mask in self.masks])
        alone = torch.arange(len(lengths))
        return self.counter._get_audio_token_length(lengths, alone).tolist() if len(lengths) else []

    def place(self, part, token, count):
        self.begin(part)
        first = len(self.ids)
        text = self.counter.replace_audio_token({"num_audio_tokens": [count]}, 0)
        self.add([token if letter == "." else letters(letter)[0] for letter in text])
        self.spans.append((first, len(self.ids)))

    def inputs(self, more=()):
        found = super().inputs(more)
        return found | dict(padding_mask=torch.ones(1, 1)) if self.masks else found

    def encoded(self, model):
        """Of all tokens of sounds, seconds included."""
        inputs = self.inputs()
        ids = inputs["input_ids"][0]
        rows = model.get_input_embeddings()(ids)
        given = (inputs[name] for name in ("input_features", "input_features_mask", "padding_mask"))
        rows[ids == IMAGE] = model.model.get_audio_features(*given).pooler_output
        return torch.cat([rows[start:end] for start, end in self.spans]).float()


def prompts(case, out):
    audio, said = case["config"]["audio_config"], case.get("processor", {})
    if said:
        extractor = dict(feature_size=audio["num_mel_bins"])
        write_json(out / "processor_config.json", said | dict(feature_extractor=extractor))
    # What says how many tokens a sound has, without a tokenizer.
    counter = object.__new__(MossTranscribeDiarizeProcessor)
    counter.audio_token, counter.audio_tokens_per_second = ".", said.get("audio_tokens_per_second", 12.5)
    counter.audio_merge_size = said.get("audio_merge_size", 4)
    counter.time_marker_every_seconds = said.get("time_marker_every_seconds", 2)
    return each(MarkedPrompt, SOUNDS, counter, extractor_of(case), audio)


QWEN3 = TEXT | dict(model_type="qwen3", head_dim=16)
CASES = {}
CASES["moss_transcribe_diarize"] = dict(
    config=dict(text_config=QWEN3, audio_token_id=IMAGE, tie_word_embeddings=True,
                audio_config=dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96,
                                  num_mel_bins=16, max_source_positions=52)),
    model=MossTranscribeDiarizeForConditionalGeneration, prompts=prompts, seed=1)
# Two rows a token; a second each; no biases.
CASES["moss_transcribe_diarize-pairs"] = dict(
    config=dict(text_config=QWEN3 | dict(num_hidden_layers=2), audio_token_id=IMAGE, tie_word_embeddings=False,
                audio_merge_size=2, projector_bias=False, projector_hidden_act="gelu",
                audio_config=dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
                                  num_mel_bins=12, max_source_positions=100)),
    processor=dict(audio_tokens_per_second=25.0, audio_merge_size=2, time_marker_every_seconds=1),
    model=MossTranscribeDiarizeForConditionalGeneration, prompts=prompts, seed=2)
