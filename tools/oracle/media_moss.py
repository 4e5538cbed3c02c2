# SPDX-License-Identifier: Apache-2.0
"""The cases of moss_transcribe_diarize for make_media_model_fixture.py: Whisper's rows with seconds written between them."""

import json

import torch
import transformers

from make_media_fixtures import sound

AUDIO = 120
TEXT = dict(model_type="qwen3", vocab_size=131, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
            num_key_value_heads=2, head_dim=16, max_position_embeddings=256, bos_token_id=1, eos_token_id=2)

CASES = {
    "moss_transcribe_diarize": dict(
        config=dict(text_config=TEXT, audio_token_id=AUDIO, tie_word_embeddings=True,
                    audio_config=dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96, num_mel_bins=16,
                                      max_source_positions=52)),
        seed=1),
    # Two rows a token; a second each; no biases.
    "moss_transcribe_diarize-pairs": dict(
        config=dict(text_config=TEXT | dict(num_hidden_layers=2), audio_token_id=AUDIO, tie_word_embeddings=False, audio_merge_size=2,
                    projector_bias=False, projector_hidden_act="gelu",
                    audio_config=dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, num_mel_bins=12,
                                      max_source_positions=100)),
        processor=dict(audio_tokens_per_second=25.0, audio_merge_size=2, time_marker_every_seconds=1), seed=2),
}


def make(family, out, main):
    """main: the module make_media_model_fixture."""
    case = CASES[family]
    main.CLASSES["moss_transcribe_diarize"] = transformers.MossTranscribeDiarizeForConditionalGeneration
    fresh = main.transformers_checkpoint(case, family, out)
    audio, said = case["config"]["audio_config"], case.get("processor", {})
    extractor = transformers.WhisperFeatureExtractor(feature_size=audio["num_mel_bins"])
    if said:
        (out / "processor_config.json").write_text(json.dumps(said | dict(feature_extractor=dict(feature_size=audio["num_mel_bins"])), indent=2) + "\n")
    counter = object.__new__(transformers.MossTranscribeDiarizeProcessor)
    counter.audio_token, counter.audio_tokens_per_second = ".", said.get("audio_tokens_per_second", 12.5)
    counter.audio_merge_size, counter.time_marker_every_seconds = said.get("audio_merge_size", 4), said.get("time_marker_every_seconds", 2)

    class MarkedPrompt(main.WindowPrompt):
        def counts(self):
            lengths = torch.tensor([int(mask.sum()) for mask in self.masks])
            return counter._get_audio_token_length(lengths, torch.arange(len(lengths))).tolist() if len(lengths) else []

        def place(self, part, token, count):
            self.media.append([*part, len(self.ids)])
            text = counter.replace_audio_token({"num_audio_tokens": [count]}, 0)
            self.add([token if letter == "." else main.letters(letter)[0] for letter in text])
            self.spans.append((self.media[-1][-1], len(self.ids)))

        def __init__(self, *given):
            self.spans = []
            super().__init__(*given)

        def inputs(self, more=()):
            found = super().inputs(more)
            return found | dict(padding_mask=torch.ones(1, 1)) if self.masks else found

        def encoded(self, model):
            """Of all tokens of sounds, seconds included."""
            inputs = self.inputs()
            ids = inputs["input_ids"][0]
            rows = model.get_input_embeddings()(ids)
            rows[ids == AUDIO] = model.model.get_audio_features(inputs["input_features"], inputs["input_features_mask"], inputs["padding_mask"]).pooler_output
            return torch.cat([rows[start:end] for start, end in self.spans]).float()

    found = {}
    for i, parts in enumerate(main.SOUNDS):
        prompt = MarkedPrompt(parts, i, extractor, audio)
        found |= {f"{i}/{name}": value.contiguous() for name, value in main.record(fresh, prompt).items()}
    (out / "model.safetensors").unlink(missing_ok=True)
    main.save_reference(out, found, model_type="moss_transcribe_diarize")
