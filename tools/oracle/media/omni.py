# SPDX-License-Identifier: Apache-2.0
"""Qwen2.5-Omni and Qwen3-Omni: what thinkers see and hear."""

from functools import partial

import numpy
import torch
from torch.nn.functional import pad
from transformers import Qwen2_5OmniThinkerForConditionalGeneration, Qwen3OmniMoeThinkerForConditionalGeneration

from make_sound_fixtures import heard, mel_of_wave
from media import qwen_vl, sounds
from media.base import END, IMAGE, START, TEXT, VIDEO, each
from media.patches import MROPE, PatchPrompt
from media.sounds import extractor_of, thrice_halved, twice_halved

AUDIO, AUDIO_START, AUDIO_END = 117, 116, 115

# Pictures, frames and sound in any order; of one sound an odd number of frames.
OMNI = [
    [19],
    [5, (0, 70, 121, 1), 4, (-1, 1121, 16000, 1)],
    [(-1, 1600, 16000, 2), 7, (0, 64, 64, 4), 3, (-1, 19851, 16000, 3), 6],
    [3, (3, 84, 56, 5), 2, (-1, 3 * 16000, 16000, 4), 4],
]


class OmniPrompt(PatchPrompt):
    """Pictures and frames as Qwen2.5-VL's, and sound."""

    def __init__(self, parts, number, processor, case, extractor):
        self.extractor, self.sounds = extractor, []
        super().__init__(parts, number, processor, case)

    def show(self, *part):
        if part[0] >= 0:
            return super().show(*part)
        mel, mask = self.hear(part[1], part[3])
        self.sounds.append((torch.tensor(mel), torch.tensor(mask)))
        self.add([AUDIO_START])
        self.place(part, AUDIO, self.count(int(mask.sum())))
        self.add([AUDIO_END])

    def hear(self, samples, seed):
        return heard(self.extractor, samples, seed)

    def count(self, frames):
        """Tokens of a sound."""
        return twice_halved(frames)

    def inputs(self, more=()):
        found = super().inputs(more)
        found.pop("mm_token_type_ids")
        found["attention_mask"] = torch.ones_like(found["input_ids"])
        if self.sounds:
            longest = max(len(mask) for _, mask in self.sounds)
            padded = [[pad(of, (0, longest - of.shape[-1])) for of in sound] for sound in self.sounds]
            found["input_features"], found["feature_attention_mask"] = (torch.stack(of) for of in zip(*padded))
        if self.grids[2]:
            # Two frames of two a second.
            found["video_second_per_grid"] = torch.tensor([1.0] * len(self.grids[2]))
        return found

    def positions(self, model):
        inputs = self.inputs()
        lengths = torch.tensor([int(mask.sum()) for _, mask in self.sounds])
        found, _ = model.model.get_rope_index(
            inputs["input_ids"], inputs.get("image_grid_thw"), inputs.get("video_grid_thw"), inputs["attention_mask"],
            False, lengths, inputs.get("video_second_per_grid"))
        return found[:, 0].long()

    def seen(self, out):
        return list(out.pooler_output)

    def encoded(self, model):
        inputs = self.inputs()
        rows = {"image": [], "video": [], "audio": []}
        if "pixel_values" in inputs:
            rows["image"] = self.seen(model.model.get_image_features(inputs["pixel_values"], inputs["image_grid_thw"]))
        if "pixel_values_videos" in inputs:
            pixels, grids = inputs["pixel_values_videos"], inputs["video_grid_thw"]
            rows["video"] = self.seen(model.model.get_video_features(pixels, grids))
        if self.sounds:
            of = model.model.get_audio_features(inputs["input_features"], inputs["feature_attention_mask"])
            rows["audio"] = list(of.last_hidden_state.split([self.count(int(mask.sum())) for _, mask in self.sounds]))
        found = [rows["audio" if part[0] < 0 else "video" if part[0] else "image"].pop(0) for part in self.media]
        # Sound has no vectors for layers of text, as if these were zeros.
        width = max(of.shape[1] for of in found)
        return torch.cat([pad(of, (0, width - of.shape[1])) for of in found]).float()


class StretchedOmniPrompt(OmniPrompt):
    """Sound in stretches, as Qwen3-ASR's; vectors for layers of text behind each row of what is seen."""

    def __init__(self, parts, number, processor, case, extractor):
        self.stretch = 2 * case["config"]["audio_config"]["n_window"]
        super().__init__(parts, number, processor, case, extractor)

    def hear(self, samples, seed):
        """Each by itself: of several, 5.24 fills the shorter ones up, and counts a frame more."""
        mel = mel_of_wave(self.extractor, samples, seed, 0)
        return mel, numpy.ones(mel.shape[1], numpy.int64)

    def count(self, frames):
        return frames // self.stretch * 13 + thrice_halved(frames % self.stretch)

    def seen(self, out):
        return [torch.cat([rows, *more], 1) for rows, *more in zip(out.pooler_output, *out.deepstack_features)]


def prompts(kind, case, out):
    processor = qwen_vl.processor_of(case)
    processor.save_pretrained(out)
    return each(kind, OMNI, processor, case, extractor_of(case))


CASES = {}
OMNI_TOWER = qwen_vl.CASES["qwen2_5_vl"]["config"]["vision_config"] | {}
del OMNI_TOWER["tokens_per_second"]
# Sound in windows of 40 frames beside pictures and frames; with the names and the config.json of published files.
CASES["qwen2_5_omni"] = dict(
    config=dict(text_config=TEXT | MROPE, tie_word_embeddings=False, image_token_index=IMAGE, video_token_index=VIDEO,
                audio_token_index=AUDIO, vision_start_token_id=START, vision_end_token_id=END,
                audio_start_token_id=AUDIO_START,
                audio_end_token_id=AUDIO_END, position_id_per_seconds=2, vision_config=OMNI_TOWER,
                audio_config=dict(d_model=64, encoder_layers=2, encoder_attention_heads=4, encoder_ffn_dim=96,
                                  num_mel_bins=32,
                                  output_dim=64, n_window=20)),
    model=Qwen2_5OmniThinkerForConditionalGeneration, config_of="qwen2_5_omni_thinker",
    prompts=partial(prompts, OmniPrompt), thinker=[("thinker.", "")],
    # With which nothing is generated that begins a picture or a sound.
    seed=2, merge=2, patch=14)
# The thinker alone, whose text is tied; wider windows.
CASES["qwen2_5_omni-alone"] = CASES["qwen2_5_omni"] | dict(
    config=CASES["qwen2_5_omni"]["config"] | dict(
        tie_word_embeddings=True, text_config=TEXT | MROPE | dict(num_hidden_layers=2, rms_norm_eps=1e-5),
        vision_config=OMNI_TOWER | dict(depth=2, fullatt_block_indexes=[0]),
        audio_config=dict(d_model=32, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=64, num_mel_bins=20,
                          output_dim=64, n_window=50)),
    seed=1)
del CASES["qwen2_5_omni-alone"]["thinker"]

# Sound as Qwen3-ASR's, pictures and experts as Qwen3-VL's, times of frames as Qwen2.5-VL's; names and config.json of
# published files.
CASES["qwen3_omni_moe"] = dict(
    config=dict(text_config=qwen_vl.CASES["qwen3_vl_moe"]["config"]["text_config"] | dict(num_hidden_layers=2,
                                                                                          num_experts=4),
                tie_word_embeddings=False, image_token_id=IMAGE,
                video_token_id=VIDEO, audio_token_id=AUDIO, vision_start_token_id=START,
                audio_start_token_id=AUDIO_START,
                position_id_per_seconds=2,
                vision_config=qwen_vl.CASES["qwen3_vl"]["config"]["vision_config"] | dict(depth=2),
                audio_config=sounds.CASES["qwen3_asr"]["config"]["audio_config"]),
    model=Qwen3OmniMoeThinkerForConditionalGeneration, config_of="qwen3_omni_moe_thinker",
    prompts=partial(prompts, StretchedOmniPrompt), thinker=[("thinker.", "")], seed=1, merge=2, patch=16,
    processor=dict(image_mean=[0.5] * 3, image_std=[0.5] * 3))
# The thinker alone; each token has all experts, whose weights do not sum to one.
CASES["qwen3_omni_moe-alone"] = CASES["qwen3_omni_moe"] | dict(
    config=CASES["qwen3_omni_moe"]["config"] | dict(
        tie_word_embeddings=True,
        text_config=qwen_vl.CASES["qwen3_vl"]["config"]["text_config"] | dict(
            num_hidden_layers=2, num_experts=4, num_experts_per_tok=4, moe_intermediate_size=32, norm_topk_prob=False,
            tie_word_embeddings=True),
        vision_config=qwen_vl.CASES["qwen3_vl"]["config"]["vision_config"] | dict(depth=1,
                                                                                  deepstack_visual_indexes=[0]),
        audio_config=sounds.CASES["qwen3_asr-thinker"]["config"]["audio_config"]),
    seed=1)
del CASES["qwen3_omni_moe-alone"]["thinker"]
