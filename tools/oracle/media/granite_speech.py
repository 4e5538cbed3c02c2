# SPDX-License-Identifier: Apache-2.0
"""Granite Speech and Granite Speech Plus."""

import json

import torch
from transformers import GraniteSpeechForConditionalGeneration, GraniteSpeechPlusForConditionalGeneration

from make_sound_fixtures import heard_in_pairs, pairing_extractor
from media.base import IMAGE, TEXT, Prompt, each, write_json
from seeded_weights import recipe_weights
from tiny_checkpoint import rounded, save_recipe

# One of each prompt.
SINGLE_SOUNDS = [
    [19],
    [5, (-1, 700, 16000, 1), 4],
    [(-1, 20011, 16000, 3), 11],
    [20, (-1, 16000, 16000, 4), 9],
]


class PairedPrompt(Prompt):
    """A sound as pairs of frames, one of each prompt: of several the class lets shorter ones see what fills them up."""

    # Whether the prompt that is computed has sound.
    hears = False

    def __init__(self, parts, number, extractor):
        self.extractor, self.heard = extractor, {}
        super().__init__(parts, number)

    def show(self, *part):
        found = heard_in_pairs(self.extractor, part[1], part[3])
        self.heard = dict(input_features=found["input_features"].float(),
                          input_features_mask=found["input_features_mask"])
        self.place(part, IMAGE, found["audio_embed_sizes"][0])

    def inputs(self, more=()):
        PairedPrompt.hears = bool(self.heard)
        return self.texts(more) | self.heard

    def encoded(self, model):
        return model.model.get_audio_features(self.heard["input_features"]).pooler_output[0].float()


def prompts(case, out):
    config = case["config"]
    hearing = dict(n_mels=config["encoder_config"]["input_dim"] // 2, projector_window_size=config["window_size"],
                   projector_downsample_rate=config["downsample_rate"])
    write_json(out / "preprocessor_config.json", hearing)
    return each(PairedPrompt, SINGLE_SOUNDS, pairing_extractor(**hearing))


def adapted(load, case, out):
    """Adds an adapter of the text to the recipe and writes what peft writes of it. Returns what loads a model that has
    it, switched by prompts as `generate` of Granite Speech does."""
    config = case["adapter"]
    write_json(out / "adapter_config.json", config)
    recipe, rank, places = json.loads((out / "weights.json").read_text()), config["r"], []
    for layer, of in enumerate(load().model.language_model.layers):
        for target in config["target_modules"]:
            name = f"base_model.model.language_model.model.layers.{layer}.self_attn.{target}.lora_"
            outs, ins = getattr(of.self_attn, target).weight.shape
            recipe["tensors"] |= {
                name + "A.weight": {"shape": [rank, ins], "mean": 0.0, "std": rounded(1 / ins ** 0.5)},
                name + "B.weight": {"shape": [outs, rank], "mean": 0.0, "std": rounded(1 / rank ** 0.5)}}
            places.append((layer, target, name))
    save_recipe(recipe, out)
    tensors = {name: torch.from_numpy(value) for name, value in recipe_weights(recipe).items() if ".lora_" in name}

    def added(of, given, result):
        return result + PairedPrompt.hears * config["lora_alpha"] / rank * (given[0] @ of.down.T @ of.up.T)

    def fresh():
        model = load()
        for layer, target, name in places:
            of = getattr(model.model.language_model.layers[layer].self_attn, target)
            of.down, of.up = (torch.nn.Parameter(tensors[name + end].clone()) for end in ("A.weight", "B.weight"))
            of.register_forward_hook(added)
        return model

    return fresh


CASES = {}
# Blocks and windows at whose ends a sound's rows are fewer; queries that see rows in every other layer; an odd number
# of taps.
GRANITE = TEXT | dict(model_type="granite", num_hidden_layers=2, rope_theta=10000.0, embedding_multiplier=3.0,
                      attention_multiplier=0.2,
                      residual_multiplier=0.7, logits_scaling=4.0, tie_word_embeddings=True)
CASES["granite_speech"] = dict(
    config=dict(text_config=GRANITE, audio_token_index=IMAGE, has_lora_adapter=False, window_size=6, downsample_rate=3,
                encoder_config=dict(input_dim=32, num_layers=2, hidden_dim=32, num_heads=4, output_dim=9,
                                    context_size=8,
                                    max_pos_emb=11, conv_kernel_size=5, feedforward_mult=2),
                projector_config=dict(model_type="blip_2_qformer", hidden_size=32, num_hidden_layers=2,
                                      num_attention_heads=2,
                                      intermediate_size=48, encoder_hidden_size=32)),
    model=GraniteSpeechForConditionalGeneration, prompts=prompts, seed=1)
# Queries that see what the first layer reads and gives, too; heads that are wider than rows; an even number of taps;
# not tied; an adapter.
CASES["granite_speech_plus"] = dict(
    config=dict(text_config=GRANITE | dict(tie_word_embeddings=False, attention_bias=True, mlp_bias=True),
                tie_word_embeddings=False,
                audio_token_index=IMAGE, has_lora_adapter=True, window_size=5, downsample_rate=5,
                encoder_config=dict(model_type="granite_speech_plus_encoder", input_dim=20, num_layers=2, hidden_dim=24,
                                    num_heads=3, dim_head=16, output_dim=7, context_size=12, max_pos_emb=12,
                                    conv_kernel_size=4, conv_expansion_factor=1, cat_hidden_layers=[1, 0]),
                projector_config=dict(model_type="blip_2_qformer", hidden_size=32, num_hidden_layers=1,
                                      num_attention_heads=4,
                                      intermediate_size=40, encoder_hidden_size=72, hidden_act="relu",
                                      cross_attention_frequency=1,
                                      layer_norm_eps=1e-3)),
    adapter=dict(peft_type="LORA", r=4, lora_alpha=6, target_modules=["v_proj", "q_proj"], bias="none"),
    model=GraniteSpeechPlusForConditionalGeneration, prompts=prompts, loaded=adapted, seed=1)
