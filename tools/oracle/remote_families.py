# SPDX-License-Identifier: Apache-2.0
"""Families that transformers does not have, because their classes come as code beside the checkpoint: which tensors their
checkpoints hold, and where each stands in a class of transformers that computes the same.

A family is a function of config.json's content that returns a StandIn. Shapes, packings and scales are facts of the
published code; the arithmetic is that of transformers.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import nn
from transformers import (CONFIG_MAPPING, AutoModelForCausalLM, MistralLarge4Config, MistralLarge4ForConditionalGeneration,
                          Step3p7Config, Step3p7ForConditionalGeneration)

LAYER = "model.layers.{}."


@dataclass
class StandIn:
    """config: of the class in transformers. tensors: by name on disk its shape and, of one row order or split, what it is
    there: {name: (shape, {name there: function of the tensor})}. head: what logits are linear in."""
    config: dict
    tensors: dict = field(default_factory=dict)
    head: str = "lm_head.weight"
    # Of one tensor there the names here, a list for each matrix of a stack: they lie one below the other.
    stacks: dict = field(default_factory=dict)
    # What the class has and the family has not, with values that make it do nothing.
    constants: dict = field(default_factory=dict)
    # What the class lacks and is put into it.
    layer_norm_eps: float | None = None
    has_biases: bool = False
    # Whether its norms multiply by 1 + weight.
    zero_norms: bool = False

    @property
    def name(self):
        extras = [what for what, has in (("LayerNorm", self.layer_norm_eps), ("biases", self.has_biases)) if has]
        return self.config["model_type"] + (f" with {' and '.join(extras)}" if extras else "")

    def add(self, name, shape, **there):
        """there: by a key of no meaning (name, function) pairs, or names alone for the tensor as it is."""
        self.tensors[name] = (shape, dict(pair if isinstance(pair, tuple) else (pair, whole) for pair in there.values()))

    def model(self, weights):
        """The model of transformers with these weights (by their names on disk)."""
        raw = dict(self.config)
        config = CONFIG_MAPPING[raw["model_type"]].from_dict(raw)
        model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float()
        if self.layer_norm_eps:
            put_layer_norms(model, self.layer_norm_eps)
        if self.has_biases:
            put_biases(model)
        state = {}
        for name, (_, there) in self.tensors.items():
            state |= {target: change(weights[name]) for target, change in there.items()}
        for target, matrices in self.stacks.items():
            state[target] = torch.stack([torch.cat([weights[name] for name in names]) for names in matrices])
        state |= self.constants
        missing, unexpected = model.load_state_dict(state, strict=False)
        # A tied head is its embedding; biases that the family lacks stay zero.
        left = [name for name in missing if not name.endswith(".bias") and name != "lm_head.weight"]
        assert not left and not unexpected, (left, unexpected)
        with torch.no_grad():
            for name in missing:
                if name.endswith(".bias"):
                    model.get_parameter(name).zero_()
        model.tie_weights()
        return model.eval()


def whole(tensor):
    return tensor


def rows(start, end):
    return lambda tensor: tensor[start:end].contiguous()


def order(indices):
    return lambda tensor: tensor[indices].contiguous()


def put_layer_norms(model, eps):
    for path, module in list(model.named_modules()):
        if type(module).__name__.endswith("RMSNorm"):
            parent, _, name = path.rpartition(".")
            setattr(model.get_submodule(parent), name, nn.LayerNorm(module.weight.shape, eps=eps))


def put_biases(model):
    for path, module in model.named_modules():
        if isinstance(module, nn.Linear) and path != "lm_head" and module.bias is None:
            module.bias = nn.Parameter(torch.zeros(module.out_features))


def grouped(groups, heads, size):
    """Of a tensor [groups, sum(heads), size, ...] the rows of each part, group by group."""
    index = torch.arange(groups * sum(heads) * size).view(groups, sum(heads), size)
    return [part.reshape(-1) for part in index.split(heads, dim=1)]


def common(raw, **there):
    """The sizes of a decoder under transformers' names. there: others, and those that raw spells in its own way."""
    same = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
            "vocab_size", "max_position_embeddings", "rms_norm_eps", "rope_theta", "rope_scaling")
    found = {key: raw[key] for key in same if raw.get(key) is not None}
    return {**found, "tie_word_embeddings": raw.get("tie_word_embeddings", False), **there}


def linear(stand_in, name, there, shape, has_bias):
    stand_in.add(f"{name}.weight", shape, w=f"{there}.weight")
    if has_bias:
        stand_in.add(f"{name}.bias", shape[:1], b=f"{there}.bias")


def internlm2(raw):
    has_bias = raw.get("bias", True)
    out = StandIn(common(raw, model_type="llama", attention_bias=has_bias), head="output.weight")
    hidden, inner, vocab = raw["hidden_size"], raw["intermediate_size"], raw["vocab_size"]
    heads, kv = raw["num_attention_heads"], raw["num_key_value_heads"]
    size = hidden // heads
    parts = dict(zip("qkv", grouped(kv, [heads // kv, 1, 1], size)))
    out.add("model.tok_embeddings.weight", [vocab, hidden], w="model.embed_tokens.weight")
    for i in range(raw["num_hidden_layers"]):
        at, own = LAYER.format(i), f"model.layers.{i}."
        for kind in ("weight", "bias") if has_bias else ("weight",):
            shape = [(heads + 2 * kv) * size, hidden][:2 if kind == "weight" else 1]
            out.add(f"{own}attention.wqkv.{kind}", shape, **{p: (f"{at}self_attn.{p}_proj.{kind}", order(index))
                                                               for p, index in parts.items()})
        linear(out, f"{own}attention.wo", f"{at}self_attn.o_proj", [hidden, heads * size], has_bias)
        for own_name, name, shape in (("w1", "gate", [inner, hidden]), ("w3", "up", [inner, hidden]),
                                      ("w2", "down", [hidden, inner])):
            linear(out, f"{own}feed_forward.{own_name}", f"{at}mlp.{name}_proj", shape, False)
        out.add(f"{own}attention_norm.weight", [hidden], w=f"{at}input_layernorm.weight")
        out.add(f"{own}ffn_norm.weight", [hidden], w=f"{at}post_attention_layernorm.weight")
    out.add("model.norm.weight", [hidden], w="model.norm.weight")
    out.add("output.weight", [vocab, hidden], w="lm_head.weight")
    return out


def llama_names(raw, out, biased):
    """Tensors under Llama's own names; biased: names of the projections that have biases."""
    hidden, inner, vocab = raw["hidden_size"], raw["intermediate_size"], raw["vocab_size"]
    heads = raw["num_attention_heads"]
    keys = raw.get("num_key_value_heads", heads) * (hidden // heads)
    out.add("model.embed_tokens.weight", [vocab, hidden], w="model.embed_tokens.weight")
    for i in range(raw["num_hidden_layers"]):
        at = LAYER.format(i)
        for name, shape in (("self_attn.q_proj", [hidden, hidden]), ("self_attn.k_proj", [keys, hidden]),
                            ("self_attn.v_proj", [keys, hidden]), ("self_attn.o_proj", [hidden, hidden]),
                            ("mlp.gate_proj", [inner, hidden]), ("mlp.up_proj", [inner, hidden]),
                            ("mlp.down_proj", [hidden, inner])):
            linear(out, at + name, at + name, shape, name.rpartition(".")[2] in biased)
        for name in ("input_layernorm", "post_attention_layernorm"):
            out.add(f"{at}{name}.weight", [hidden], w=f"{at}{name}.weight")
    out.add("model.norm.weight", [hidden], w="model.norm.weight")
    if not out.config["tie_word_embeddings"]:
        out.add("lm_head.weight", [vocab, hidden], w="lm_head.weight")
    return out


ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")


def internlm(raw):
    has_bias = raw.get("bias", True)
    return llama_names(raw, StandIn(common(raw, model_type="llama", attention_bias=has_bias)),
                       ATTENTION if has_bias else ())


def minicpm(raw):
    layers, hidden = raw["num_hidden_layers"], raw["hidden_size"]
    size = hidden // raw["num_attention_heads"]
    has_bias = raw.get("attention_bias", False)
    scales = {"embedding_multiplier": raw["scale_emb"], "residual_multiplier": raw["scale_depth"] / math.sqrt(layers),
              "attention_multiplier": size ** -0.5, "logits_scaling": hidden / raw["dim_model_base"]}
    config = common({"tie_word_embeddings": True, **raw}, model_type="granite", attention_bias=has_bias, **scales)
    return llama_names(raw, StandIn(config), ATTENTION if has_bias else ())


def chatglm(raw):
    hidden, inner, layers = raw["hidden_size"], raw["ffn_hidden_size"], raw["num_layers"]
    heads, size, vocab = raw["num_attention_heads"], raw["kv_channels"], raw["padded_vocab_size"]
    is_packed = raw.get("multi_query_attention", False)
    kv = raw["multi_query_group_num"] if is_packed else heads
    bias = raw.get("add_bias_linear", False)
    qkv_bias = bias or raw.get("add_qkv_bias", False)
    config = {"model_type": "glm", "hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers,
              "num_attention_heads": heads, "num_key_value_heads": kv, "head_dim": size, "vocab_size": vocab,
              "max_position_embeddings": raw["seq_length"], "rms_norm_eps": raw["layernorm_epsilon"],
              "rope_theta": 10_000.0 * raw.get("rope_ratio", 1), "partial_rotary_factor": 0.5,
              "attention_bias": qkv_bias, "tie_word_embeddings": False, "pad_token_id": None}
    has_norm_bias = not raw.get("rmsnorm", True)
    out = StandIn(config, head="transformer.output_layer.weight", has_biases=bias,
                  layer_norm_eps=raw["layernorm_epsilon"] if has_norm_bias else None)
    parts = dict(zip("qkv", grouped(kv, [heads // kv, 1, 1], size) if not is_packed else
                     torch.arange((heads + 2 * kv) * size).split([heads * size, kv * size, kv * size])))
    if not raw.get("original_rope", True):
        # Pairs (i, i + half) of the part that turns become neighbours, which glm turns together.
        turned = torch.stack(torch.arange(size // 2).chunk(2), dim=1).reshape(-1)
        head = torch.cat([turned, torch.arange(size // 2, size)])
        for part in "qk":
            parts[part] = parts[part].view(-1, size)[:, head].reshape(-1)
    norms = ("weight", "bias") if has_norm_bias else ("weight",)
    out.add("transformer.embedding.word_embeddings.weight", [vocab, hidden], w="model.embed_tokens.weight")
    for i in range(layers):
        at, own = LAYER.format(i), f"transformer.encoder.layers.{i}."
        for kind in ("weight", "bias") if qkv_bias else ("weight",):
            shape = [(heads + 2 * kv) * size, hidden][:2 if kind == "weight" else 1]
            out.add(f"{own}self_attention.query_key_value.{kind}", shape,
                    **{p: (f"{at}self_attn.{p}_proj.{kind}", order(index)) for p, index in parts.items()})
        linear(out, f"{own}self_attention.dense", f"{at}self_attn.o_proj", [hidden, heads * size], bias)
        linear(out, f"{own}mlp.dense_h_to_4h", f"{at}mlp.gate_up_proj", [2 * inner, hidden], bias)
        linear(out, f"{own}mlp.dense_4h_to_h", f"{at}mlp.down_proj", [hidden, inner], bias)
        for name in ("input_layernorm", "post_attention_layernorm"):
            for kind in norms:
                out.add(f"{own}{name}.{kind}", [hidden], w=f"{at}{name}.{kind}")
    for kind in norms:
        out.add(f"transformer.encoder.final_layernorm.{kind}", [hidden], w=f"model.norm.{kind}")
    out.add("transformer.output_layer.weight", [vocab, hidden], w="lm_head.weight")
    return out


def telechat(raw):
    hidden, inner, layers, heads = raw["hidden_size"], raw["ffn_hidden_size"], raw["n_layer"], raw["n_head"]
    kv, vocab, size = raw.get("num_key_value_heads") or heads, raw["vocab_size"], hidden // heads
    tied = raw.get("tie_word_embeddings", True)
    trained = raw.get("training_seqlen", 8192)
    # Published code has 4096 or 8192 in place of base_seqlen where config.json does not say it.
    base = raw.get("base_seqlen", 4096 if tied else 8192)
    alpha = max(2 ** math.ceil(math.log(trained / base, 2) + 1) - 1, 1)
    config = {"model_type": "llama", "hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers,
              "num_attention_heads": heads, "num_key_value_heads": kv, "vocab_size": vocab,
              "max_position_embeddings": trained, "rms_norm_eps": raw["layer_norm_epsilon"],
              "rope_theta": 10_000.0 * alpha ** (size / (size - 2)), "attention_bias": True, "mlp_bias": True,
              "tie_word_embeddings": tied}
    out = StandIn(config)
    # TeleChat-7B, whose head is its embedding, was saved without it.
    prefix = "" if tied else "transformer."
    keys, values = grouped(kv, [1, 1], size)
    out.add(f"{prefix}word_embeddings.weight", [vocab, hidden], w="model.embed_tokens.weight")
    for i in range(layers):
        at, own = LAYER.format(i), f"{prefix}h.{i}."
        linear(out, f"{own}self_attention.query", f"{at}self_attn.q_proj", [hidden, hidden], False)
        out.add(f"{own}self_attention.key_value.weight", [2 * kv * size, hidden],
                k=(f"{at}self_attn.k_proj.weight", order(keys)), v=(f"{at}self_attn.v_proj.weight", order(values)))
        linear(out, f"{own}self_attention.dense", f"{at}self_attn.o_proj", [hidden, hidden], True)
        linear(out, f"{own}mlp.gate_proj", f"{at}mlp.gate_proj", [inner, hidden], False)
        linear(out, f"{own}mlp.up_proj", f"{at}mlp.up_proj", [inner, hidden], False)
        linear(out, f"{own}mlp.down_proj", f"{at}mlp.down_proj", [hidden, inner], True)
        for name in ("input_layernorm", "post_attention_layernorm"):
            out.add(f"{own}{name}.weight", [hidden], w=f"{at}{name}.weight")
    out.add(f"{prefix}ln_f.weight", [hidden], w="model.norm.weight")
    if not tied:
        out.add("lm_head.weight", [vocab, hidden], w="lm_head.weight")
    return out


def qwen(raw):
    hidden, inner, layers = raw["hidden_size"], raw["intermediate_size"] // 2, raw["num_hidden_layers"]
    heads, size, vocab = raw["num_attention_heads"], raw["kv_channels"], raw["vocab_size"]
    bias, tied = not raw.get("no_bias", True), raw.get("tie_word_embeddings", False)
    config = {"model_type": "llama", "hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers,
              "num_attention_heads": heads, "num_key_value_heads": heads, "head_dim": size, "vocab_size": vocab,
              "max_position_embeddings": raw["seq_length"], "rms_norm_eps": raw["layer_norm_epsilon"],
              "rope_theta": float(raw["rotary_emb_base"]), "attention_bias": True, "mlp_bias": bias,
              "tie_word_embeddings": tied}
    out = StandIn(config)
    width = heads * size
    out.add("transformer.wte.weight", [vocab, hidden], w="model.embed_tokens.weight")
    for i in range(layers):
        at, own = LAYER.format(i), f"transformer.h.{i}."
        for kind in ("weight", "bias"):
            out.add(f"{own}attn.c_attn.{kind}", [3 * width, hidden][:2 if kind == "weight" else 1],
                    **{p: (f"{at}self_attn.{p}_proj.{kind}", rows(n * width, (n + 1) * width))
                       for n, p in enumerate("qkv")})
        linear(out, f"{own}attn.c_proj", f"{at}self_attn.o_proj", [hidden, width], bias)
        linear(out, f"{own}mlp.w1", f"{at}mlp.up_proj", [inner, hidden], bias)
        linear(out, f"{own}mlp.w2", f"{at}mlp.gate_proj", [inner, hidden], bias)
        linear(out, f"{own}mlp.c_proj", f"{at}mlp.down_proj", [hidden, inner], bias)
        out.add(f"{own}ln_1.weight", [hidden], w=f"{at}input_layernorm.weight")
        out.add(f"{own}ln_2.weight", [hidden], w=f"{at}post_attention_layernorm.weight")
    out.add("transformer.ln_f.weight", [hidden], w="model.norm.weight")
    if not tied:
        out.add("lm_head.weight", [vocab, hidden], w="lm_head.weight")
    return out


def deepseek(raw):
    """Qwen2-MoE whose shared expert is weighed by sigmoid(0) = 1/2 and doubled, both of which are exact."""
    hidden, inner = raw["hidden_size"], raw["moe_intermediate_size"]
    layers, shared = range(raw["num_hidden_layers"]), (raw.get("n_shared_experts") or 0) * inner
    count = raw["n_routed_experts"]
    dense = [i for i in layers if i < raw["first_k_dense_replace"] or i % raw["moe_layer_freq"]]
    has_bias = raw["attention_bias"]
    assert not has_bias, "Qwen2-MoE has no bias of o_proj"
    out = StandIn(common(raw, model_type="qwen2_moe", qkv_bias=False, num_experts=count, mlp_only_layers=dense,
                         num_experts_per_tok=raw["num_experts_per_tok"], moe_intermediate_size=inner,
                         shared_expert_intermediate_size=shared or 8, norm_topk_prob=raw["norm_topk_prob"]))
    llama_names(raw, out, ())
    projections = {"gate": [inner, hidden], "up": [inner, hidden], "down": [hidden, inner]}
    for i in set(layers) - set(dense):
        at = f"{LAYER.format(i)}mlp."
        for name in projections:
            del out.tensors[f"{at}{name}_proj.weight"]
            for e in range(count):
                out.add(f"{at}experts.{e}.{name}_proj.weight", projections[name])
        out.add(f"{at}gate.weight", [count, hidden], w=f"{at}gate.weight")
        own = [[f"{at}experts.{e}.{name}_proj.weight" for name in ("gate", "up")] for e in range(count)]
        out.stacks[f"{at}experts.gate_up_proj"] = own
        out.stacks[f"{at}experts.down_proj"] = [[f"{at}experts.{e}.down_proj.weight"] for e in range(count)]
        out.constants[f"{at}shared_expert_gate.weight"] = torch.zeros(1, hidden)
        for name, (rows, columns) in projections.items():
            there = f"{at}shared_expert.{name}_proj.weight"
            shape = [rows, shared or 8] if name == "down" else [shared or 8, columns]
            if shared:
                factor = 2 if name == "down" else 1
                out.add(f"{at}shared_experts.{name}_proj.weight", shape, w=(there, lambda w, f=factor: w * f))
            else:
                out.constants[there] = torch.zeros(shape)
    return out


def orion(raw):
    """A StableLM all of whose heads turn."""
    out = llama_names(raw, StandIn(common(raw, model_type="stablelm", partial_rotary_factor=1.0,
                                          layer_norm_eps=raw["rms_norm_eps"])), ())
    for name in [name for name in out.tensors if name.endswith("norm.weight")]:
        bias = name.replace(".weight", ".bias")
        out.add(bias, [raw["hidden_size"]], b=bias)
    return out


def text_of(raw, model_type, head):
    """The text alone of a class that has it in `model.language_model`, beside its eyes and ears."""
    out = StandIn(raw["text_config"] | {"model_type": model_type}, head=head)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(CONFIG_MAPPING[model_type].from_dict(dict(out.config)))
    for name, tensor in model.state_dict().items():
        if name != "lm_head.weight" or head:
            out.add(name.replace("model.", "model.language_model.", 1), list(tensor.shape), w=name)
    return out


def gemma3n(raw):
    """Its text alone: the whole needs timm for the eyes."""
    return text_of(raw, "gemma3n_text", None)


def apertus1p5(raw):
    """Its text alone: eyes and ears give tokens, and are far larger than what is computed here."""
    return text_of(raw, "apertus1p5_text", "lm_head.weight")


class TextOfWhole(StandIn):
    """The text of a class that sees, which has no class of its own: its eyes are as small as can be."""

    name = "step3p7"

    def model(self, weights):
        config = Step3p7Config(text_config=dict(self.config), tie_word_embeddings=self.config.get("tie_word_embeddings", False),
                               vision_config=dict(width=16, layers=1, heads=1, image_size=56, patch_size=14, mlp_ratio=1.0))
        model = Step3p7ForConditionalGeneration._from_config(config, attn_implementation="eager").float()
        state = {}
        for name, (_, there) in self.tensors.items():
            for target, change in there.items():
                state[target.replace("model.", "model.language_model.", 1)] = change(weights[name])
        for target, names in self.stacks.items():
            state[target.replace("model.", "model.language_model.", 1)] = torch.cat([weights[name] for name in names], 1)
        missing, unexpected = model.load_state_dict(state, strict=False)
        left = [name for name in missing if not name.startswith(("model.vision_model.", "model.multi_modal_projector."))
                and not (name == "lm_head.weight" and config.tie_word_embeddings)]
        assert not left and not unexpected, (left, unexpected)
        model.tie_weights()
        return model.eval()


def step3p5(raw):
    """The text of a Step3p7ForConditionalGeneration. Stacks of gates and of what they gate are one there."""
    out = TextOfWhole(raw, zero_norms=True)
    config = Step3p7Config(text_config=dict(raw)).text_config
    hidden, size, kv = config.hidden_size, config.head_dim, config.num_key_value_heads
    out.add("model.embed_tokens.weight", [config.vocab_size, hidden], w="model.embed_tokens.weight")
    for i in range(config.num_hidden_layers):
        at = f"model.layers.{i}."
        own = config.per_layer_config[i]
        heads = own.num_attention_heads
        for name, rows_out in (("q", heads * size), ("k", kv * size), ("v", kv * size)):
            linear(out, f"{at}self_attn.{name}_proj", f"{at}self_attn.{name}_proj", [rows_out, hidden], config.attention_bias)
        linear(out, f"{at}self_attn.o_proj", f"{at}self_attn.o_proj", [hidden, heads * size], config.attention_bias)
        linear(out, f"{at}self_attn.g_proj", f"{at}self_attn.g_proj", [heads, hidden], False)
        for name, width in (("self_attn.q_norm", size), ("self_attn.k_norm", size), ("input_layernorm", hidden),
                            ("post_attention_layernorm", hidden)):
            out.add(f"{at}{name}.weight", [width], w=f"{at}{name}.weight")
        is_sparse = config.mlp_layer_types[i] == "sparse"
        there, here = ("mlp.shared_experts", "share_expert") if is_sparse else ("mlp", "mlp")
        width = config.share_expert_dim if is_sparse else config.intermediate_size
        for name, shape in (("gate_proj", [width, hidden]), ("up_proj", [width, hidden]), ("down_proj", [hidden, width])):
            linear(out, f"{at}{here}.{name}", f"{at}{there}.{name}", shape, config.mlp_bias)
        if is_sparse:
            experts, width = config.n_routed_experts, config.moe_intermediate_size
            out.add(f"{at}moe.gate.weight", [experts, hidden], w=f"{at}mlp.gate.weight")
            out.add(f"{at}moe.router_bias", [experts], w=f"{at}mlp.gate.e_score_correction_bias")
            out.add(f"{at}moe.down_proj.weight", [experts, hidden, width], w=f"{at}mlp.experts.down_proj")
            for name in ("gate_proj", "up_proj"):
                out.add(f"{at}moe.{name}.weight", [experts, width, hidden])
            out.stacks[f"{at}mlp.experts.gate_up_proj"] = [f"{at}moe.{name}.weight" for name in ("gate_proj", "up_proj")]
    out.add("model.norm.weight", [hidden], w="model.norm.weight")
    if not raw.get("tie_word_embeddings"):
        out.add("lm_head.weight", [config.vocab_size, hidden], w="lm_head.weight")
    return out


class TextOfLarge(StandIn):
    """The same of Mistral Large 4, whose rotary embedding belongs to its layers."""

    name = "mistral_large4"

    def model(self, weights):
        vision = dict(model_type="pixtral", hidden_size=16, intermediate_size=16, num_hidden_layers=1,
                      num_attention_heads=2, head_dim=8, patch_size=14, image_size=28)
        config = MistralLarge4Config(text_config=dict(self.config), vision_config=vision,
                                     tie_word_embeddings=self.config.get("tie_word_embeddings", False))
        model = MistralLarge4ForConditionalGeneration._from_config(config, attn_implementation="eager").float()
        state = {}
        for name, (_, there) in self.tensors.items():
            state |= {target: change(weights[name]) for target, change in there.items()}
        for target, matrices in self.stacks.items():
            state[target] = torch.stack([torch.cat([weights[name] for name in names]) for names in matrices])
        state = {name.replace("model.", "model.language_model.", 1): tensor for name, tensor in state.items()}
        missing, unexpected = model.load_state_dict(state, strict=False)
        left = [name for name in missing if not name.startswith(("model.vision_tower.", "model.multi_modal_projector."))
                and not (name == "lm_head.weight" and config.tie_word_embeddings)]
        assert not left and not unexpected, (left, unexpected)
        model.tie_weights()
        return model.eval()


def mistral_large4(raw):
    """The text of a MistralLarge4ForConditionalGeneration, whose files have names of their own."""
    out = TextOfLarge(raw["text_config"], head="output.weight")
    config = MistralLarge4Config(text_config=dict(out.config)).text_config
    hidden, heads, rank = config.hidden_size, config.num_attention_heads, config.kv_lora_rank
    whole, has_bias = config.qk_nope_head_dim + config.qk_rope_head_dim, config.attention_bias
    out.add("tok_embeddings.weight", [config.vocab_size, hidden], w="model.embed_tokens.weight")
    out.add("lerope.alpha", [config.qk_rope_head_dim // 2], w="model.rotary_emb.alpha")

    def norm(own, there, size, kinds=("weight",)):
        for kind in kinds:
            out.add(f"{own}.{kind}", [size], w=f"{there}.{kind}")

    def mlp(own, there, width):
        for name, target, shape in (("w1", "gate_proj", [width, hidden]), ("w3", "up_proj", [width, hidden]),
                                    ("w2", "down_proj", [hidden, width])):
            linear(out, f"{own}.{name}", f"{there}.{target}", shape, False)

    def growth(own, there, count):
        out.add(f"{own}.ssmax_scaling.s", [count], w=f"{there}.softmax_scaling.scale")
        out.add(f"{own}.ssmax_scaling.b", [count], w=f"{there}.softmax_scaling.bias")

    for i in range(config.num_hidden_layers):
        own, there = f"layers.{i}.attention", f"model.layers.{i}.self_attn"
        turned = config.qk_rope_head_dim if config.no_rope_layers[i] else 0
        norm(f"layers.{i}.attention_norm", f"model.layers.{i}.input_layernorm", hidden)
        norm(f"layers.{i}.ffn_norm", f"model.layers.{i}.post_attention_layernorm", hidden)
        linear(out, f"{own}.wq", f"{there}.q_proj", [heads * whole, hidden], False)
        if config.kv_source_layers[i] == i:
            linear(out, f"{own}.wkv_a_with_mqa", f"{there}.kv_a_proj_with_mqa", [rank + turned, hidden], has_bias)
            norm(f"{own}.kv_a_norm", f"{there}.kv_a_layernorm", rank)
        linear(out, f"{own}.wkv_b", f"{there}.kv_b_proj", [heads * (whole - turned + config.v_head_dim), rank], False)
        linear(out, f"{own}.wo", f"{there}.o_proj", [hidden, heads * config.v_head_dim], has_bias)
        growth(own, there, heads)
        if config.indexer_types[i] == "full":
            size, count, both = config.index_head_dim, config.index_n_heads, ("weight", "bias")
            for name, rows_out in (("wq_b", count * size), ("wk", size), ("weights_proj", count)):
                linear(out, f"{own}.indexer.{name}", f"{there}.indexer.{name}", [rows_out, hidden], False)
            norm(f"{own}.indexer.k_norm", f"{there}.indexer.k_norm", size, both)
            norm(f"{own}.indexer.q_input_norm", f"{there}.indexer.q_input_norm", hidden, both)
            growth(f"{own}.indexer", f"{there}.indexer", count)
        if config.mlp_layer_types[i] == "dense":
            mlp(f"layers.{i}.feed_forward", f"model.layers.{i}.mlp", config.intermediate_size)
            continue
        width, at = config.moe_intermediate_size, f"layers.{i}.experts"
        mlp(f"layers.{i}.shared_experts", f"model.layers.{i}.mlp.shared_experts", width * config.n_shared_experts)
        linear(out, f"layers.{i}.gate", f"model.layers.{i}.mlp.gate", [config.n_routed_experts, hidden], False)
        stacks = {"gate_up_proj": [], "down_proj": []}
        for e in range(config.n_routed_experts):
            for name, shape in (("w1", [width, hidden]), ("w2", [hidden, width]), ("w3", [width, hidden])):
                out.add(f"{at}.{e}.{name}.weight", shape)
            stacks["gate_up_proj"].append([f"{at}.{e}.w1.weight", f"{at}.{e}.w3.weight"])
            stacks["down_proj"].append([f"{at}.{e}.w2.weight"])
        out.stacks |= {f"model.layers.{i}.mlp.experts.{name}": names for name, names in stacks.items()}
    norm("norm", "model.norm", hidden)
    if not config.tie_word_embeddings:
        out.add("output.weight", [config.vocab_size, hidden], w="lm_head.weight")
    return out


def step3p7(raw):
    """Its text alone, whose tensors have the names that they have without eyes."""
    return step3p5(raw["text_config"])


FAMILIES = {"mistral_large4": mistral_large4, "step3p5": step3p5, "step3p7": step3p7, "gemma3n": gemma3n, "apertus1p5": apertus1p5, "deepseek": deepseek, "internlm": internlm, "internlm2": internlm2, "minicpm": minicpm, "chatglm": chatglm, "telechat": telechat,
            "qwen": qwen, "orion": orion}
