# SPDX-License-Identifier: Apache-2.0
"""Models that see or hear and whose classes come as code beside the checkpoint: which tensors their checkpoints hold, and
where each stands in a class of transformers that computes the same. Names and packings are facts of the published code.
"""

from dataclasses import dataclass, field

from transformers import CONFIG_MAPPING, AutoModelForImageTextToText

from remote_families import FAMILIES, StandIn, common, llama_names, rows, whole


@dataclass
class MediaStandIn:
    """config: of the class in transformers. tensors: by name on disk its shape and what it is there, as in StandIn."""
    config: dict
    head: str
    tensors: dict = field(default_factory=dict)

    def add(self, name, shape, there):
        self.tensors[name] = (shape, there if isinstance(there, dict) else {there: whole})

    def empty(self):
        config = CONFIG_MAPPING[self.config["model_type"]](**self.config)
        return AutoModelForImageTextToText.from_config(config, attn_implementation="eager").float().eval()

    def model(self, weights):
        """The model of transformers with these weights (by their names on disk)."""
        model = self.empty()
        model.load_state_dict({target: change(weights[name]) for name, (_, there) in self.tensors.items()
                               for target, change in there.items()})
        return model


def qwen2(raw):
    return llama_names(raw, StandIn(common(raw, model_type="qwen2")), ("q_proj", "k_proj", "v_proj"))


def internvl_chat(raw):
    vision = raw["vision_config"]
    text = (FAMILIES | {"qwen2": qwen2})[raw["llm_config"]["model_type"]](raw["llm_config"])
    same = ("hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers", "patch_size", "image_size",
            "norm_type", "layer_norm_eps", "hidden_act")
    out = MediaStandIn(dict(model_type="internvl", text_config=text.config, tie_word_embeddings=False, image_token_id=120,
                            downsample_ratio=raw["downsample_ratio"], vision_feature_layer=raw["select_layer"],
                            vision_config={key: vision[key] for key in same} |
                            dict(attention_bias=vision["qkv_bias"], use_qk_norm=vision["qk_normalization"])),
                       f"language_model.{text.head}")
    for name, (shape, there) in text.tensors.items():
        out.add(f"language_model.{name}", shape, {("" if to == "lm_head.weight" else "model.language_model.") +
                                                  to.removeprefix("model."): change for to, change in there.items()})
    hidden, inner, patch = (vision[key] for key in ("hidden_size", "intermediate_size", "patch_size"))
    places = (vision["image_size"] // patch) ** 2 + 1
    at, to = "vision_model.embeddings.", "model.vision_tower.embeddings."
    out.add(f"{at}class_embedding", [1, 1, hidden], f"{to}cls_token")
    out.add(f"{at}position_embedding", [1, places, hidden], f"{to}position_embeddings")
    out.add(f"{at}patch_embedding.weight", [hidden, 3, patch, patch], f"{to}patch_embeddings.projection.weight")
    out.add(f"{at}patch_embedding.bias", [hidden], f"{to}patch_embeddings.projection.bias")
    both = ("weight", "bias")
    norms = both if vision["norm_type"] == "layer_norm" else ("weight",)
    for i in range(vision["num_hidden_layers"]):
        at, to = f"vision_model.encoder.layers.{i}.", f"model.vision_tower.encoder.layer.{i}."
        for kind in both if vision["qkv_bias"] else ("weight",):
            shape = [3 * hidden, hidden][:2 if kind == "weight" else 1]
            out.add(f"{at}attn.qkv.{kind}", shape, {f"{to}attention.{name}_proj.{kind}": rows(part * hidden, (part + 1) * hidden)
                                                    for part, name in enumerate("qkv")})
        for name, there, shape in (("attn.proj", "attention.projection_layer", [hidden, hidden]),
                                   ("mlp.fc1", "mlp.fc1", [inner, hidden]), ("mlp.fc2", "mlp.fc2", [hidden, inner])):
            for kind in both:
                out.add(f"{at}{name}.{kind}", shape[:2 if kind == "weight" else 1], f"{to}{there}.{kind}")
        for name, there in (("norm1", "layernorm_before"), ("norm2", "layernorm_after")):
            for kind in norms:
                out.add(f"{at}{name}.{kind}", [hidden], f"{to}{there}.{kind}")
        for which in "qk" if vision["qk_normalization"] else "":
            out.add(f"{at}attn.{which}_norm.weight", [hidden], f"{to}attention.{which}_norm.weight")
        out.add(f"{at}ls1", [hidden], f"{to}lambda_1")
        out.add(f"{at}ls2", [hidden], f"{to}lambda_2")
    words, block = raw["llm_config"]["hidden_size"], hidden * round(1 / raw["downsample_ratio"]) ** 2
    for name, there, shape in (("0", "layer_norm", [block]), ("1", "linear_1", [words, block]),
                               ("3", "linear_2", [words, words])):
        for kind in both:
            out.add(f"mlp1.{name}.{kind}", shape if kind == "weight" else shape[:1], f"model.multi_modal_projector.{there}.{kind}")
    return out


@dataclass
class RenamedStandIn(MediaStandIn):
    """A class of transformers under other names, but for counts of batches, which no checkpoint needs."""

    def model(self, weights):
        model = self.empty()
        found = model.load_state_dict({target: weights[name] for name, (_, there) in self.tensors.items() for target in there},
                                      strict=False)
        assert not found.unexpected_keys and all(name.endswith("num_batches_tracked") or name == "lm_head.weight"
                                                 for name in found.missing_keys)
        return model


# Of stages of FastViTHD in the one list of Apple's code: what stands before their blocks, their positions, and them.
DOWN, POSITIONS, BLOCKS = (None, 1, 3, 5, 8), (None, None, None, 6, 9), (0, 2, 4, 7, 10)


def fast_vlm_published(name):
    """What Apple's files call a tensor of transformers' fast_vlm, as transformers' converter of these files says."""
    for there, here in (("model.language_model.", "model."), ("model.multi_modal_projector.linear_1.", "model.mm_projector.0."),
                        ("model.multi_modal_projector.linear_2.", "model.mm_projector.2.")):
        if name.startswith(there):
            return here + name.removeprefix(there)
    if "vision_tower" not in name:
        return name
    name = name.replace("model.vision_tower.timm_model.", "model.vision_tower.vision_tower.model.")
    for part, places in (("blocks.", BLOCKS), ("pos_emb.", POSITIONS), ("downsample.", DOWN)):
        for stage, place in enumerate(places):
            name = name.replace(f".stages.{stage}.{part}", f".network.{place}.")
    if ".network." in name and name.split(".network.")[1].split(".")[1:3] == ["proj", "0"]:
        name = name.replace(".reparam_conv.", ".lkb_reparam.")
    for there, here in ((".stem.", ".patch_embed."), (".final_conv.", ".conv_exp."), (".se.fc1.", ".se.reduce."),
                        (".se.fc2.", ".se.expand."), (".mlp.", ".convffn.")):
        name = name.replace(there, here)
    return name.removesuffix(".gamma")


def llava_qwen2(raw):
    stages = raw["vision_config"]
    text = {key: value for key, value in raw.items() if not key.startswith(("mm_", "image_", "vision_", "model_", "arch"))}
    tokens = (int(raw["mm_vision_tower"].split("_")[-1]) // 64) ** 2
    vision = dict(model_type="timm_wrapper", architecture="fastvit_mci3", hidden_size=raw["mm_hidden_size"], do_pooling=True,
                  global_pool="avg", model_args=dict(inference_mode=True, **stages))
    tied = raw["tie_word_embeddings"]
    out = RenamedStandIn(dict(model_type="fast_vlm", text_config=text | dict(model_type="qwen2"), vision_config=vision,
                              image_token_index=raw["image_token_index"], image_seq_length=tokens, tie_word_embeddings=tied),
                         None if tied else "lm_head.weight")
    for name, tensor in out.empty().state_dict().items():
        if name.endswith("num_batches_tracked") or (tied and name == "lm_head.weight"):
            continue
        out.add(fast_vlm_published(name), list(tensor.shape), name)
    return out


# What LLaVA's first code calls what transformers' files have at these places.
LLAVA_PLACES = [("model.language_model.", "model."), ("model.multi_modal_projector.linear_1.", "model.mm_projector.0."),
                ("model.multi_modal_projector.linear_2.", "model.mm_projector.2."), ("model.image_newline", "model.image_newline"),
                ("model.vision_tower.", "model.vision_tower.vision_tower.vision_model.")]


def llava_published(raw):
    """LLaVA 1.5 and 1.6 of its first code: `llava`, or `llava_next` where pictures are tiles. Canvases have the width first."""
    kind = "mistral" if raw["model_type"] == "llava_mistral" else "llama"
    text = {key: value for key, value in raw.items() if not key.startswith(("mm_", "image_", "vision_", "model_", "arch"))}
    tiles = raw.get("image_aspect_ratio") == "anyres"
    select = dict(patch="default", cls_patch="full")[raw["mm_vision_select_feature"]]
    config = dict(model_type="llava_next" if tiles else "llava", text_config=text | dict(model_type=kind),
                  vision_config=raw["vision_config"], image_token_index=125, vision_feature_layer=raw["mm_vision_select_layer"],
                  vision_feature_select_strategy=select, tie_word_embeddings=False)
    if tiles:
        config["image_grid_pinpoints"] = [[height, width] for width, height in raw["image_grid_pinpoints"]]
    out = MediaStandIn(config, "lm_head.weight")
    for name, tensor in out.empty().state_dict().items():
        there = next((on_disk + name.removeprefix(at) for at, on_disk in LLAVA_PLACES if name.startswith(at)), name)
        # 5.24 has the encoder's parts where older files have a model of them.
        out.add(there.replace("vision_model.vision_model.", "vision_model."), list(tensor.shape), name)
    return out


MEDIA_FAMILIES = {"internvl_chat": internvl_chat, "llava_qwen2": llava_qwen2, "llava_llama": llava_published,
                  "llava_mistral": llava_published}
