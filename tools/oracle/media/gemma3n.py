# SPDX-License-Identifier: Apache-2.0
"""Gemma 3n, whose tower of pictures is timm's: small encoders of MobileNet V5's kind."""

import copy
import json

import torch
from timm.models._efficientnet_builder import EfficientNetBuilder, decode_arch_def
from transformers import Gemma3nAudioFeatureExtractor
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from make_sound_fixtures import heard_by_magnitude
from media.base import TEXT, VOCAB, Prompt, each, image, letters, write_json

# Pictures, and at most one sound: of several the class lets shorter ones see what fills them up.
SEEN_AND_HEARD = [
    [19],
    [5, (-1, 700, 16000, 1), 4],
    [(0, 70, 121, 1), 11],
    [3, (0, 64, 64, 4), (0, 200, 30, 2), 6, (-1, 16000, 16000, 4), 9],
]


class EndedPrompt(Prompt):
    """Pictures, and sound filled up to as many tokens as all have, between lines."""

    def __init__(self, parts, number, extractor, processor, config):
        self.extractor, self.processor, self.config = extractor, processor, config
        self.mel, self.pixels = None, []
        super().__init__(parts, number)

    def show(self, *part):
        frames, width, height, seed = part
        self.begin(part)
        if frames < 0:
            mel, heard = heard_by_magnitude(self.extractor, width, seed)
            assert heard.all()
            self.mel = torch.tensor(mel, dtype=torch.float32)[None]
            return self.surround("boa", "audio", "eoa", self.config["audio_soft_tokens_per_image"])
        self.pixels.append(self.processor(images=[image(width, height, seed)], return_tensors="pt")["pixel_values"])
        self.surround("boi", "image", "eoi", self.config["vision_soft_tokens_per_image"])

    def surround(self, start, token, end, count):
        start, token, end = (self.config[f"{name}_token_id"] for name in (start, token, end))
        self.add(letters("\n\n") + [start] + [token] * count + [end] + letters("\n\n"))

    def inputs(self, more=()):
        found = self.texts(more)
        if self.mel is not None:
            found |= dict(input_features=self.mel,
                          input_features_mask=torch.ones(self.mel.shape[:2], dtype=torch.bool))
        return found | (dict(pixel_values=torch.cat(self.pixels)) if self.pixels else {})

    def encoded(self, model):
        """Of each thing its rows, what fills them up, and its end."""
        shown = iter(self.pixels)
        return torch.cat([self.heard(model.model) if frames < 0 else self.seen(model.model, next(shown))
                          for frames, *_ in self.media]).float()

    def heard(self, model):
        rows = model.get_audio_features(self.mel, torch.zeros(self.mel.shape[:2], dtype=torch.bool)).pooler_output[0]
        words = [VOCAB - 1] * (self.config["audio_soft_tokens_per_image"] - len(rows)) + [self.config["eoa_token_id"]]
        return torch.cat([rows, model.embed_audio(input_ids=torch.tensor(words))])

    def seen(self, model, pixels):
        end = model.embed_vision(input_ids=torch.tensor([self.config["eoi_token_id"]]))
        return torch.cat([model.get_image_features(pixels).pooler_output[0], end])


def prompts(case, out):
    """Pictures as published files have them, numbers from 0 to 1."""
    config = case["config"]
    side = config["vision_config"]["model_args"]["pretrained_cfg_overlay"]["input_size"][1]
    processor = SiglipImageProcessorPil(size=dict(height=side, width=side), resample=2, do_normalize=False)
    processor.save_pretrained(out)
    extractor = Gemma3nAudioFeatureExtractor(feature_size=config["audio_config"]["input_feat_size"])
    file = out / "preprocessor_config.json"
    write_json(file, json.loads(file.read_text()) | dict(feature_size=extractor.feature_size))
    return each(EndedPrompt, SEEN_AND_HEARD, extractor, processor, config)


def copying_blocks():
    """Lets timm write functions into copies of descriptions of blocks: config.json holds these."""
    built = EfficientNetBuilder.__call__
    EfficientNetBuilder.__call__ = lambda self, channels, blocks: built(self, channels, copy.deepcopy(blocks))


def scale(name, entry):
    """Factors of blocks' results, which begin near nothing: of the first of each stage, to which nothing is added,
    larger ones."""
    if name.endswith("layer_scale.gamma"):
        entry |= dict(mean=1.0 if ".0.layer_scale" in name else 0.25, std=0.1)


def vision(stages, side, tokens, **more):
    """A vision_config of pixels, and of tokens, along a side."""
    args = dict(block_args=decode_arch_def(stages), msfa_output_resolution=tokens, stem_size=16,
                pretrained_cfg_overlay=dict(input_size=[3, side, side]))
    return dict(vocab_size=4, vocab_offset=120, model_args=args) | more


# Stages of blocks, as timm writes them: `er` is an edge residual, `uir` a universal inverted bottleneck, `mqa`
# attention with one head of keys. Of a square of 48 pixels 6 x 6 rows and 3 x 3 stand side by side, of which 3 x 3
# tokens come.
POOLED = [["er_r1_k3_s2_e2_c16", "er_r1_k3_s1_e2_c16"],
          ["uir_r1_a3_k5_s2_e2_c32", "uir_r1_a5_k0_s1_e2_c32", "mqa_r1_k3_h4_v2_s1_d16_c32", "uir_r1_a0_k0_s1_e2_c32"],
          ["uir_r1_a5_k5_s2_e2_c64", "mqa_r1_k3_h2_s1_d24_c64", "uir_r1_a0_k0_s1_e2_c64"]]
# Of a square of 40 pixels 5 x 5 rows, whose halves are odd; blocks whose result is not added.
WHOLE = [["er_r1_k3_s2_e2_c16", "uir_r1_a3_k0_s1_e2_c32"],
         ["uir_r1_a0_k5_s2_e2_c32", "mqa_r1_k5_h2_v2_s1_d16_c48", "uir_r1_a0_k3_s1_e1.3_c48"],
         ["uir_r1_a3_k0_s2_e1_c48", "mqa_r1_k3_h3_s1_d16_c48", "uir_r1_a0_k0_s1_e1.3_c32"]]

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
                vision_config=vision(POOLED, 48, 3), vision_soft_tokens_per_image=9,
                image_token_id=121, eoi_token_id=120, boi_token_id=118, boa_token_id=119, eoa_token_id=124,
                audio_token_id=125,
                audio_soft_tokens_per_image=10),
    before=copying_blocks, prompts=prompts, scale=scale, seed=7)
CASES["gemma3n-wide"] = CASES["gemma3n"] | dict(
    config=CASES["gemma3n"]["config"] | dict(
        audio_soft_tokens_per_image=16, eoa_token_id=126, vision_soft_tokens_per_image=25, eoi_token_id=122,
        vision_config=vision(WHOLE, 40, 5, rms_norm_eps=0.01),
        audio_config=GEMMA3N_AUDIO | dict(input_feat_size=14, conf_num_hidden_layers=1, conf_reduction_factor=2,
                                          conf_conv_kernel_size=3,
                                          conf_residual_weight=0.7, conf_attention_chunk_size=6,
                                          conf_attention_context_left=6,
                                          sscp_conv_group_norm_eps=0.1)),
    seed=7)
