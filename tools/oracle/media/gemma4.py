# SPDX-License-Identifier: Apache-2.0
"""Gemma 4 and Gemma 4 Unified."""

import json

import numpy
import torch
from transformers import Gemma4AudioFeatureExtractor, Gemma4UnifiedAudioFeatureExtractor
from transformers.models.gemma4.image_processing_pil_gemma4 import Gemma4ImageProcessorPil
from transformers.models.gemma4_unified import modeling_gemma4_unified as unified
from transformers.models.gemma4_unified.image_processing_gemma4_unified import pad_along_first_dim, patches_merge

from make_media_fixtures import sound
from make_sound_fixtures import heard_by_magnitude
from media.base import (BELOW, BESIDE, END, IMAGE, START, TEXT, VIDEO, VIDEO_START, VOCAB, Prompt, each, image, letters,
                        write_frames, write_json)

# Sounds: as short as can be, a tenth of a second, longer than rows look back.
FITTED_HEARD = [
    [19],
    [5, (0, 70, 121, 1), 4, (-1, 321, 16000, 1), 3],
    [(0, 120, 3, 2), (-1, 1600, 16000, 2), 7, (-1, 20011, 16000, 3), 3],
    [3, (3, 3, 53, 4), 5],
]


class FittedPrompt(Prompt):
    """As many patches of each picture as there may be; frames as pictures, of two a second, each behind its time."""

    def __init__(self, parts, number, processor):
        self.processor, self.outs = processor, {IMAGE: [], VIDEO: []}
        super().__init__(parts, number)

    def show(self, *part):
        frames, width, height, seed = part
        self.begin(part)
        token = VIDEO if frames else IMAGE
        outs = [self.processor(images=[image(width, height, seed + i)], return_tensors="pt")
                for i in range(max(frames, 1))]
        self.outs[token].append(outs)
        for i, out in enumerate(outs):
            if frames:
                self.add(letters(" " * (i > 0) + f"00:{i // 2:02d} "))
            self.add([START] + [token] * int(out["num_soft_tokens_per_image"][0]) + [END])

    def shown(self, token, name):
        return torch.cat([out[name] for outs in self.outs[token] for out in outs])

    def inputs(self, more=()):
        found = self.texts(more)
        ids = found["input_ids"]
        found["mm_token_type_ids"] = (ids == IMAGE) + 2 * (ids == VIDEO)
        if self.outs[IMAGE]:
            found |= {name: self.shown(IMAGE, name) for name in ("pixel_values", "image_position_ids")}
        if self.outs[VIDEO]:
            found |= dict(pixel_values_videos=self.shown(VIDEO, "pixel_values"),
                          video_position_ids=self.shown(VIDEO, "image_position_ids"),
                          num_frames_per_video=torch.tensor([len(outs) for outs in self.outs[VIDEO]]))
        return found

    def encoded(self, model):
        rows = {token: [] for token in self.outs}
        if self.outs[IMAGE]:
            rows[IMAGE] = list(model.model.get_image_features(
                self.shown(IMAGE, "pixel_values"), self.shown(IMAGE, "image_position_ids")).pooler_output)
        if self.outs[VIDEO]:
            counts = torch.tensor([len(outs) for outs in self.outs[VIDEO]])
            rows[VIDEO] = list(model.model.get_video_features(
                self.shown(VIDEO, "pixel_values"), self.shown(VIDEO, "image_position_ids"), counts).pooler_output)
        return torch.cat([rows[VIDEO if frames else IMAGE].pop(0) for frames, *_ in self.media]).float()


class FittedHeardPrompt(FittedPrompt):
    """The same with sounds, whose spectrograms are computed in float64."""

    def __init__(self, parts, number, processor, extractor):
        self.extractor, self.sounds = extractor, []
        super().__init__(parts, number, processor)

    def show(self, *part):
        if part[0] >= 0:
            return super().show(*part)
        mel, heard = heard_by_magnitude(self.extractor, part[1], part[3])
        self.sounds.append((torch.tensor(mel * heard[:, None], dtype=torch.float32), torch.tensor(heard)))
        self.begin(part)
        self.add([BESIDE] + [VIDEO_START] * int(heard[::2][::2].sum()) + [BELOW])

    def heard(self):
        """Each filled up behind its end, where nobody looks."""
        longest = max(len(mask) for _, mask in self.sounds)
        fill = lambda of: torch.cat([of, of.new_zeros(longest - len(of), *of.shape[1:])])
        return {name: torch.stack([fill(one[index]) for one in self.sounds])
                for index, name in enumerate(("input_features", "input_features_mask"))}

    def inputs(self, more=()):
        return super().inputs(more) | (self.heard() if self.sounds else {})

    def encoded(self, model):
        seen, silent = [part for part in self.media if part[0] >= 0], self.media
        self.media = seen
        rows = super().encoded(model) if seen else torch.zeros(0)
        self.media = silent
        counts = [int(token) for token in self.counts()]
        rows = list(rows.split([count for count, part in zip(counts, silent) if part[0] >= 0])) if seen else []
        out = model.model.get_audio_features(**self.heard()) if self.sounds else None
        heard = [of[mask] for of, mask in zip(out.pooler_output, out.attention_mask)] if out else []
        return torch.cat([(heard if part[0] < 0 else rows).pop(0) for part in silent]).float()

    def counts(self):
        """Rows of each thing."""
        found, ends = [], [part[4] for part in self.media[1:]] + [len(self.ids)]
        for part, end in zip(self.media, ends):
            token = VIDEO_START if part[0] < 0 else VIDEO if part[0] else IMAGE
            found.append(sum(each == token for each in self.ids[part[4]:end]))
        return found


class MergedPrompt(FittedHeardPrompt):
    """Blocks of patches as larger patches; sounds as they are, samples side by side."""

    def show(self, *part):
        if part[0] >= 0:
            return super().show(*part)
        wave = sound(part[1], part[3]).astype(numpy.float32) / 32768
        values, mask = self.extractor._extract_waveform_features(wave)
        self.sounds.append((torch.tensor(values), torch.tensor(mask)))
        self.begin(part)
        self.add([BESIDE] + [VIDEO_START] * len(mask) + [BELOW])

    def shown(self, token, name):
        found = []
        for out in (out for outs in self.outs[token] for out in outs):
            places = out["image_position_ids"][0]
            known = (places >= 0).all(-1)
            count = int(out["num_soft_tokens_per_image"][0])
            merged = patches_merge(out["pixel_values"][0][known][None], places[known][None], count)
            filled = pad_along_first_dim(*(of[0] for of in merged), 70)
            found.append(dict(zip(("pixel_values", "image_position_ids"), filled)))
        return torch.stack([one[name] for one in found])


def prompts(case, out, kind=FittedHeardPrompt):
    vision, audio = case["config"]["vision_config"], case["config"]["audio_config"]
    processor = Gemma4ImageProcessorPil(patch_size=vision["patch_size"], max_soft_tokens=70,
                                        pooling_kernel_size=vision.get("pooling_kernel_size", 3))
    write_frames(out, dict(patch_size=vision["patch_size"], max_soft_tokens=70, do_normalize=True,
                           **{key: vision[key] for key in ("pooling_kernel_size",) if key in vision}))
    if kind is MergedPrompt:
        hearing = dict(feature_size=audio["audio_embed_dim"], audio_samples_per_token=audio["audio_embed_dim"])
        extractor = Gemma4UnifiedAudioFeatureExtractor(**hearing)
    else:
        hearing = dict(feature_size=audio["subsampling_conv_channels"][0])
        extractor = Gemma4AudioFeatureExtractor(**hearing)
    processor.save_pretrained(out)
    file = out / "preprocessor_config.json"
    write_json(file, json.loads(file.read_text()) | hearing)
    return each(kind, FITTED_HEARD, processor, extractor)


def merged_prompts(case, out):
    return prompts(case, out, MergedPrompt)


def masks_of_generate():
    """Lets steps of Gemma 4 Unified see pictures in layers with a window alone, as `generate` does; by itself a step of
    5.24 does it in all."""
    usual = unified.create_masks_for_generate
    unified.create_masks_for_generate = lambda **given: (
        unified.create_masks_for_vision_model if "block_sequence_ids" in given else usual)(**given)


CASES = {}
# Heads, products and their bounds of their own; rows of a picture have the row of padding among the vectors for layers.
GEMMA4_TEXT = TEXT | dict(head_dim=16, global_head_dim=32, sliding_window=12, pad_token_id=0,
                          vocab_size_per_layer_input=VOCAB, hidden_size_per_layer_input=16, num_kv_shared_layers=1,
                          layer_types=["sliding_attention", "full_attention", "full_attention"])
GEMMA4_VISION = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                     num_key_value_heads=2, head_dim=16, patch_size=4, position_embedding_size=256,
                     use_clipped_linears=True)
# Rows of sound look back as far as a chunk; as many bins as the first convolution has channels, of which the class
# counts on.
GEMMA4_AUDIO = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, subsampling_conv_channels=[16, 8],
                    attention_chunk_size=4,
                    attention_context_left=5, output_proj_dims=48, attention_logit_cap=5.0)
CASES["gemma4"] = dict(
    config=dict(text_config=GEMMA4_TEXT, vision_config=GEMMA4_VISION, audio_config=GEMMA4_AUDIO, image_token_id=IMAGE,
                video_token_id=VIDEO,
                audio_token_id=VIDEO_START, boi_token_id=START, eoi_token_id=END, boa_token_id=BESIDE,
                eoa_token_index=BELOW),
    prompts=prompts, seed=1)
# Tokens of a picture see each other in the first and the third layer, within a window that is shorter than a picture.
CASES["gemma4-whole"] = dict(
    config=CASES["gemma4"]["config"] | dict(
        text_config=GEMMA4_TEXT | dict(num_hidden_layers=4, num_kv_shared_layers=0, hidden_size_per_layer_input=0,
                                       use_bidirectional_attention="vision", attention_k_eq_v=True,
                                       layer_types=["sliding_attention", "full_attention"] * 2),
        vision_config=GEMMA4_VISION | dict(use_clipped_linears=False, standardize=True, num_key_value_heads=4),
        audio_config=GEMMA4_AUDIO | dict(use_clipped_linears=False, num_hidden_layers=1, conv_kernel_size=3,
                                         residual_weight=0.7,
                                         attention_context_left=4, hidden_act="gelu")),
    prompts=prompts, seed=1)
# Blocks of patches and samples become tokens as they are.
UNIFIED_TEXT = TEXT | dict(head_dim=16, global_head_dim=32, sliding_window=12, pad_token_id=0, num_kv_shared_layers=1,
                           use_double_wide_mlp=True,
                           layer_types=["sliding_attention", "full_attention", "full_attention"])
CASES["gemma4_unified"] = dict(
    config=CASES["gemma4"]["config"] | dict(
        text_config=UNIFIED_TEXT, audio_config=dict(audio_embed_dim=640),
        vision_config=dict(patch_size=4, pooling_kernel_size=3, mm_embed_dim=48, mm_posemb_size=80,
                           output_proj_dims=48)),
    before=masks_of_generate, prompts=merged_prompts, seed=1)
# Tokens of a picture do not see each other; blocks of four patches, other numbers of samples.
CASES["gemma4_unified-causal"] = CASES["gemma4_unified"] | dict(
    config=CASES["gemma4_unified"]["config"] | dict(
        text_config=UNIFIED_TEXT | dict(use_bidirectional_attention=None, num_kv_shared_layers=0,
                                        use_double_wide_mlp=False,
                                        attention_k_eq_v=True, num_global_key_value_heads=1,
                                        final_logit_softcapping=5.0),
        audio_config=dict(audio_embed_dim=320, rms_norm_eps=0.01),
        vision_config=dict(patch_size=4, pooling_kernel_size=2, mm_embed_dim=64, mm_posemb_size=70,
                           output_proj_dims=64)),
    seed=2)
