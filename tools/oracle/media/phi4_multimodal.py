# SPDX-License-Identifier: Apache-2.0
"""Phi-4-multimodal, as transformers writes it and as it is published (phi4mm).

The published form has adapters of two kinds beside each product of the text, which transformers adds by peft; here
hooks add them to its products, switched by what a prompt shows, as the published code switches them.
"""

import json
import re
from types import SimpleNamespace

import numpy
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as tvF
from transformers import Phi4MultimodalConfig, Phi4MultimodalFeatureExtractor, Phi4MultimodalForCausalLM
from transformers.models.phi4_multimodal import image_processing_phi4_multimodal as images

from make_media_fixtures import sound
from media.base import IMAGE, TEXT, Prompt, each, image, write_json
from media.checkpoint import recipe_of
from seeded_weights import recipe_weights
from tiny_checkpoint import put, rounded, save_recipe, saved, write_recipe

SOUND = 121
SIDE, PATCH = 28, 7
PHI = TEXT | dict(pad_token_id=0)
VISION = dict(hidden_size=48, intermediate_size=56, num_hidden_layers=3, num_attention_heads=3, image_size=SIDE,
              crop_size=SIDE, patch_size=PATCH, image_token_id=IMAGE)
AUDIO = dict(hidden_size=32, intermediate_size=40, num_blocks=2, num_attention_heads=2, ext_pw_out_channel=32,
             depthwise_separable_out_channel=32, nemo_conv_channels=12, audio_token_id=SOUND)

# One sound of each prompt at most: of several the class lets shorter ones see what fills them up.
PROMPTS = [
    [19],
    [5, (0, 70, 121, 1), 4],
    [20, (-1, 9011, 16000, 3), 9],
    [(0, 28, 28, 2), 7, (0, 60, 30, 3), 3, (-1, 5000, 16000, 4), 5],
]

EXTEND = "model.embed_tokens_extend."
# transformers' converter says the same of published names, from right to left.
PUBLISHED = [
    (r"image_embed\.img_projection_up\.", "image_embed.img_projection.0."),
    (r"image_embed\.img_projection_down\.", "image_embed.img_projection.2."),
    (r"image_embed\.global_img_feature_extensor", "image_embed.glb_GN"),
    (r"image_embed\.sub_img_feature_extensor", "image_embed.sub_GN"),
    (r"audio_embed\.up_proj_for_speech\.", "audio_embed.audio_projection.speech.0."),
    (r"audio_embed\.down_proj_for_speech\.", "audio_embed.audio_projection.speech.2."),
    (r"audio_embed\.up_proj_for_vision_speech\.", "audio_embed.audio_projection.vision.0."),
    (r"audio_embed\.down_proj_for_vision_speech\.", "audio_embed.audio_projection.vision.2."),
    (r"(encoders\.\d+\.feed_forward_(?:in|out))\.gate_up_proj\.", r"\1.net.0.linear."),
    (r"(encoders\.\d+\.feed_forward_(?:in|out))\.down_proj\.", r"\1.net.2."),
    (r"(encoders\.\d+\.self_attn)\.([qkv])_proj\.", r"\1.linear_\2."),
    (r"(encoders\.\d+\.self_attn)\.o_proj\.", r"\1.linear_out."),
    (r"^(model\.layers\.\d+\.\w+\.\w+_proj)\.weight$", r"\1.base_layer.weight"),
]


def published(name):
    for own, other in PUBLISHED:
        name = re.sub(own, other, name)
    return name


def by_pillow(picture, size):
    """Resized as Pillow does it, where the processor has torchvision."""
    shown = Image.fromarray(picture.permute(1, 2, 0).numpy()).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return torch.from_numpy(numpy.array(shown)).permute(2, 0, 1)


class Processor(images.Phi4MultimodalImageProcessor):
    """Counts tokens for squares of any size, not of 16 by 16 tokens alone."""

    def _preprocess(self, shown, size, **more):
        found = super()._preprocess(shown, size=size, **more)
        base = size.height // more["patch_size"] // 2
        found["num_img_tokens"] = [count - 256 - 16 + base * base + base for count in found["num_img_tokens"]]
        return found


class PhiPrompt(Prompt):
    """Pictures, and one sound at most."""

    # What the prompt that is computed shows.
    shows = None

    def __init__(self, parts, number, processor, extractor):
        self.processor, self.extractor, self.pictures, self.sound = processor, extractor, [], {}
        super().__init__(parts, number)

    def show(self, *part):
        kind, width, height, seed = part
        if kind < 0:
            wave = sound(width, seed).astype("float32") / 32768
            found = self.extractor(wave, sampling_rate=16000, return_tensors="pt")
            self.sound = {name: found[name] for name in ("audio_input_features", "audio_embed_sizes")}
            return self.place(part, SOUND, int(found["audio_embed_sizes"][0]))
        self.pictures.append(image(width, height, seed))
        count = self.processor(images=[self.pictures[-1]], return_tensors="pt")["num_img_tokens"][0]
        self.place(part, IMAGE, int(count))

    def inputs(self, more=()):
        PhiPrompt.shows = "vision" if self.pictures else "speech" if self.sound else None
        seen = {}
        if self.pictures:
            seen = dict(self.processor(images=self.pictures, return_tensors="pt"))
            seen.pop("num_img_tokens")
        return self.texts(more) | self.sound | seen

    def encoded(self, model):
        """Of all that is shown, in its order."""
        inputs = self.inputs()
        ids, kept = inputs["input_ids"], []
        handle = model.model.embed_tokens_extend.register_forward_hook(lambda _, __, out: kept.append(out))
        model(**inputs)
        handle.remove()
        return kept[0][0][(ids[0] == IMAGE) | (ids[0] == SOUND)].float()


def flat_config(config, case):
    """As the published config.json has it: what reads sound under other names, what sees not at all, but for its sizes
    here."""
    left_out = ("audio_config", "rope_parameters", "transformers_version", "architectures", "dtype", "vision_config")
    written = json.loads(config.to_json_string())
    rope, audio = case["config"]["rope_parameters"], config.audio_config
    raw = {key: value for key, value in written.items() if key not in left_out} | dict(
        model_type="phi4mm", rope_theta=rope["rope_theta"], partial_rotary_factor=rope["partial_rotary_factor"],
        rope_scaling=None, attention_bias=False, mlp_bias=False, lm_head_bias=False, full_attn_mod=1,
        interpolate_factor=1, torch_dtype="float32", vision_config=case["config"]["vision_config"])
    pattern = r"layers.*((self_attn\.(qkv_proj|o_proj))|(mlp\.(gate_up|down)_proj))"
    raw |= {kind: of | dict(dp=0.0, layer=pattern) for kind, of in case["lora"].items()}
    raw["embd_layer"] = dict(
        embedding_cls="image_audio",
        audio_embd_layer=dict(compression_rate=audio.time_reduction, downsample_rate=1, embedding_cls="audio",
                              enable_gradient_checkpointing=True, projection_cls="mlp", use_conv_downsample=False,
                              use_qformer=False),
        image_embd_layer=dict(crop_size=SIDE, embedding_cls="tune_image", enable_gradient_checkpointing=True,
                              hd_transform_order="sub_glb", image_token_compression_cls="avg_pool_2d",
                              projection_cls="mlp", use_hd_transform=True, with_learnable_separator=True))
    raw["audio_processor"] = dict(name="cascades", config=dict(
        activation=audio.activation, activation_checkpointing=dict(interval=1, module="transformer", offload=False),
        attention_dim=audio.hidden_size, attention_heads=audio.num_attention_heads, batch_norm=False, bias_in_glu=True,
        causal=True, chunk_size=-1, cnn_layer_norm=True, conv_activation=audio.conv_activation,
        conv_glu_type=audio.conv_glu_type, depthwise_multiplier=1,
        depthwise_seperable_out_channel=audio.depthwise_separable_out_channel, dropout_rate=0.0,
        encoder_embedding_config=dict(input_size=audio.input_size), ext_pw_kernel_size=1,
        ext_pw_out_channel=audio.ext_pw_out_channel, input_layer="nemo_conv", input_size=audio.input_size,
        kernel_size=audio.kernel_size, left_chunk=18, linear_units=audio.intermediate_size,
        nemo_conv_settings=dict(conv_channels=audio.nemo_conv_channels), num_blocks=audio.num_blocks,
        relative_attention_bias_args=dict(t5_bias_max_distance=audio.bias_max_distance, type="t5"),
        time_reduction=audio.time_reduction, nemo_activation=audio.nemo_activation, audio_token_id=SOUND))
    return raw


# Ends of names of weights that are none of a product, with their means and deviations.
SCALES = {"global_mean": (7.0, 1.0), "global_invstd": (0.4, 0.05), "bias_values.weight": (0.0, 1.0), ".b1": (0.0, 0.3),
          ".b2": (0.0, 0.3), "_extensor": (0.0, 1.0), "_GN": (0.0, 1.0), "probe": (0.0, 1.0)}


def checkpoint(case, _family, out):
    """Writes config.json and the recipe. Returns what loads the model."""
    config = Phi4MultimodalConfig(**case["config"])
    torch.manual_seed(0)
    made = Phi4MultimodalForCausalLM._from_config(config, attn_implementation="eager").float().eval()
    names = published if "lora" in case else lambda name: name
    tensors = {names(name): tensor for name, tensor in saved(made, out).items()}
    own = {names(name): name for name in made.state_dict()}
    (out / "generation_config.json").unlink(missing_ok=True)
    head = next((name for name in tensors if name.endswith("lm_head.weight")), None)
    products = {name: tensor for name, tensor in tensors.items() if not name.endswith(("b1", "b2"))}
    recipe = recipe_of(products, made, case.get("seed", 7), head is None)
    for name, tensor in tensors.items():
        for end, (mean, std) in SCALES.items():
            if name.endswith(end):
                recipe["tensors"][name] = dict(shape=list(tensor.shape), mean=mean, std=std)
    raw = json.loads((out / "config.json").read_text())
    model_class = Phi4MultimodalForCausalLM
    make = lambda found: put(found, model_class, out, config, "float32", lambda name: own.get(name, name))
    write_recipe(recipe, out, make, head, None if head else "model.norm.weight")
    by = dict(config=config, dtype=torch.float32, attn_implementation="eager")
    load = lambda: model_class.from_pretrained(out, **by).eval()
    if "lora" in case:
        raw = flat_config(config, case)
        load = adapted(load, case["lora"], out)
    write_json(out / "config.json", raw)
    return load


PROJECTIONS = ("self_attn.qkv_proj", "self_attn.o_proj", "mlp.gate_up_proj", "mlp.down_proj")


def adapted(load, lora, out):
    """Adds adapters of both kinds to the recipe. Returns what loads a model that has them."""
    recipe, places = json.loads((out / "weights.json").read_text()), []
    for layer, of in enumerate(load().model.layers):
        for projection in PROJECTIONS:
            outs, ins = of.get_submodule(projection).weight.shape
            for section, how in lora.items():
                kind, rank = section.removesuffix("_lora"), how["r"]
                names = [f"model.layers.{layer}.{projection}.lora_{half}.{kind}.weight" for half in "AB"]
                for name, shape in zip(names, ([rank, ins], [outs, rank])):
                    std = rounded(0.5 / shape[1] ** 0.5)
                    recipe["tensors"][name] = dict(shape=shape, mean=0.0, std=std)
                places.append((layer, projection, kind, how["lora_alpha"] / rank, names))
    save_recipe(recipe, out)
    tensors = {name: torch.from_numpy(value) for name, value in recipe_weights(recipe).items() if ".lora_" in name}

    def added(kind, scale):
        def hook(of, given, result):
            if PhiPrompt.shows != kind:
                return None
            return result + scale * (given[0] @ getattr(of, f"{kind}_down").T @ getattr(of, f"{kind}_up").T)

        return hook

    def fresh():
        model = load()
        for layer, projection, kind, scale, names in places:
            of = model.model.layers[layer].get_submodule(projection)
            for name, end in zip(names, ("down", "up")):
                setattr(of, f"{kind}_{end}", torch.nn.Parameter(tensors[name].clone()))
            of.register_forward_hook(added(kind, scale))
        return model

    return fresh


def long_sound(model, case):
    """Of a sound that is longer than a stretch of 500 rows, whose spectrogram is made up: some rows that become
    tokens."""
    frames, bins = 4 * 1012 - 2, case["config"]["audio_config"]["input_size"]
    index = numpy.arange(frames * bins, dtype=numpy.uint64)
    mel = ((index * numpy.uint64(2654435761)) % numpy.uint64(2**32)) >> numpy.uint64(22)
    heard = torch.from_numpy(mel.reshape(1, frames, bins).astype("float32") / 64)
    embedder = model.model.embed_tokens_extend.audio_embed
    with torch.no_grad():
        rows = embedder.up_proj_for_speech(embedder.encoder(heard, None))
        rows = embedder.down_proj_for_speech(torch.nn.functional.gelu(rows))[0]
    kept = torch.tensor([0, 1, 499, 500, 501, 999, 1000, len(rows) - 1])
    return {"long/encoded_rows": kept, "long/encoded": rows[kept].contiguous()}


def prompts(case, out):
    images.tvF = SimpleNamespace(resize=by_pillow, pad=tvF.pad)
    audio = case["config"]["audio_config"]
    processor = Processor(size=dict(height=SIDE, width=SIDE), patch_size=PATCH, **case["pictures"])
    hearing = dict(feature_size=audio["input_size"], audio_compression_rate=audio.get("time_reduction", 8))
    processor.save_pretrained(out)
    file = out / "preprocessor_config.json"
    write_json(file, json.loads(file.read_text()) | hearing)
    return each(PhiPrompt, PROMPTS, processor, Phi4MultimodalFeatureExtractor(**hearing))


CASES = {}
# Three quarters of a head turn, by stretched frequencies; distances whichever comes first; three convolutions.
CASES["phi4_multimodal"] = dict(
    config=PHI | dict(
        tie_word_embeddings=False, original_max_position_embeddings=128,
        rope_parameters=dict(rope_type="longrope", rope_theta=10000.0, partial_rotary_factor=0.75,
                             original_max_position_embeddings=128, short_factor=[1.0, 1.1, 1.2, 1.3, 1.5, 2.0],
                             long_factor=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        vision_config=VISION,
        audio_config=AUDIO | dict(input_size=20, bias_max_distance=40, bias_symmetric=True)),
    checkpoint=checkpoint, prompts=prompts, pictures=dict(dynamic_hd=6))
# Half of a head turns; windows; distances beyond the farthest; two convolutions; the last layer's rows.
CASES["phi4_multimodal-published"] = dict(
    config=PHI | dict(
        tie_word_embeddings=True, num_key_value_heads=4, sliding_window=60, num_hidden_layers=2,
        rope_parameters=dict(rope_type="default", rope_theta=500.0, partial_rotary_factor=0.5),
        vision_config=VISION | dict(feature_layer=-1, num_hidden_layers=2),
        audio_config=AUDIO | dict(input_size=13, time_reduction=4, kernel_size=4, bias_max_distance=5,
                                  activation="relu", conv_activation="gelu", nemo_activation="silu")),
    checkpoint=checkpoint, prompts=prompts, pictures=dict(dynamic_hd=3), more=long_sound,
    lora=dict(vision_lora=dict(r=4, lora_alpha=6), speech_lora=dict(r=3, lora_alpha=5)), seed=1)
