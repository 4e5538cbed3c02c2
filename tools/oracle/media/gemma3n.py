# SPDX-License-Identifier: Apache-2.0
"""Gemma 3n, which hears here, and does not see."""

import torch
from transformers import AutoModel, Gemma3nAudioFeatureExtractor
from transformers.models.gemma3n import configuration_gemma3n, modeling_gemma3n

from make_sound_fixtures import heard_by_magnitude
from media.base import TEXT, VOCAB, Prompt, each, letters, write_json
from media.granite_speech import SINGLE_SOUNDS


class EndedPrompt(Prompt):
    """Sound filled up to as many tokens as all have, between lines."""

    def __init__(self, parts, number, extractor, config):
        self.extractor, self.config, self.mel = extractor, config, None
        super().__init__(parts, number)

    def show(self, *part):
        mel, heard = heard_by_magnitude(self.extractor, part[1], part[3])
        assert heard.all()
        self.mel = torch.tensor(mel, dtype=torch.float32)[None]
        self.begin(part)
        self.add(letters("\n\n") + [self.config["boa_token_id"]])
        self.add([self.config["audio_token_id"]] * self.config["audio_soft_tokens_per_image"])
        self.add([self.config["eoa_token_id"]] + letters("\n\n"))

    def inputs(self, more=()):
        heard = {} if self.mel is None else dict(input_features=self.mel,
                                                 input_features_mask=torch.ones(self.mel.shape[:2], dtype=torch.bool))
        return self.texts(more) | heard

    def encoded(self, model):
        """With what fills it up and its end."""
        rows = model.model.get_audio_features(self.mel, torch.zeros(self.mel.shape[:2],
                                                                    dtype=torch.bool)).pooler_output[0]
        words = [VOCAB - 1] * (self.config["audio_soft_tokens_per_image"] - len(rows)) + [self.config["eoa_token_id"]]
        return torch.cat([rows, model.model.embed_audio(input_ids=torch.tensor(words))]).float()


def prompts(case, out):
    extractor = Gemma3nAudioFeatureExtractor(feature_size=case["config"]["audio_config"]["input_feat_size"])
    write_json(out / "preprocessor_config.json", dict(feature_size=extractor.feature_size))
    return each(EndedPrompt, SINGLE_SOUNDS, extractor, case["config"])


def without_eyes():
    """Lets Gemma 3n be made without what sees, which is timm's."""
    class Blind(AutoModel):
        @classmethod
        def from_config(cls, config, **kwargs):
            if config.model_type == "gemma3n_vision":
                return torch.nn.Identity()
            return super().from_config(config, **kwargs)

    modeling_gemma3n.AutoModel = Blind
    configuration_gemma3n.Gemma3nVisionConfig.from_dict = classmethod(lambda cls, raw, **kwargs: cls(**raw))


CASES = {}
# As many tokens of a sound whatever its length; the last of all tokens fills it up. Of ids from 120 on embeddings are
# those of what sees and hears.
GEMMA3N_TEXT = TEXT | dict(head_dim=16, sliding_window=12, pad_token_id=0, vocab_size_per_layer_input=120,
                           hidden_size_per_layer_input=16,
                           num_kv_shared_layers=1,
                           layer_types=["sliding_attention", "full_attention", "full_attention"],
                           altup_num_inputs=2, laurel_rank=8, activation_sparsity_pattern=[0.0, 0.5, 0.0])
GEMMA3N_AUDIO = dict(vocab_size=7, vocab_offset=124, input_feat_size=16, hidden_size=32, conf_num_attention_heads=2,
                     conf_num_hidden_layers=2, sscp_conv_channel_size=[8, 12], conf_attention_chunk_size=3,
                     conf_attention_context_left=4,
                     conf_attention_logit_cap=5.0)
CASES["gemma3n"] = dict(
    config=dict(text_config=GEMMA3N_TEXT, audio_config=GEMMA3N_AUDIO,
                vision_config=dict(hidden_size=16, vocab_size=4, vocab_offset=120),
                image_token_id=121, eoi_token_id=120, boi_token_id=118, boa_token_id=119, eoa_token_id=124,
                audio_token_id=125,
                audio_soft_tokens_per_image=10),
    before=without_eyes, prompts=prompts, seed=1)
CASES["gemma3n-wide"] = CASES["gemma3n"] | dict(
    config=CASES["gemma3n"]["config"] | dict(
        audio_soft_tokens_per_image=16, eoa_token_id=126,
        audio_config=GEMMA3N_AUDIO | dict(input_feat_size=14, conf_num_hidden_layers=1, conf_reduction_factor=2,
                                          conf_conv_kernel_size=3,
                                          conf_residual_weight=0.7, conf_attention_chunk_size=6,
                                          conf_attention_context_left=6,
                                          sscp_conv_group_norm_eps=0.1)),
    seed=1)
