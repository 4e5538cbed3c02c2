# SPDX-License-Identifier: Apache-2.0
"""Makes a published config.json small enough for a test, and keeps every branch that it takes.

The file keeps its own spelling (rope_scaling or rope_parameters, n_embd or hidden_size); only values change, and `shrink`
returns each change as a sentence.  The rules:

- Heads: an equal number of query and kv heads becomes 4 and 4; one kv head stays one, under 4 query heads; else 2 kv
  heads, under 2, 3 or 4 times as many query heads: the ratio itself up to 4, else 3 where it is odd and 4 where even.
- Head size 16; 20, 24 or 32 where a partial rotary part would come out odd.  The hidden size is heads * head size
  where it was, half of that where it was less, twice that where it was more.  MLA: 16 + 16 per head (value 12 where it
  was not the same as the part without rotary), ranks 24 and 32.
- MLPs keep their ratio to the hidden size, in multiples of 8 and at least 16.
- 131 tokens.  Special ids that no longer exist become 1, 2, 3, ... in the order of the file.
- Layers: the shortest beginning that has each kind of layer (of layer_types, mlp_layer_types, ...), at least 3.
  max_window_layers and first_k_dense_replace become 1.  Lists with one entry per layer are cut.
- Experts: at most 8, at most 4 of them chosen (half of them where there are fewer), at most 4 groups, at most 2 chosen.
- Windows, and choices of sparse attention, of at most 20 tokens.  A scaled rotary embedding keeps its ratio to an original context of 64 tokens; other
  models know 256 positions.  Lists of factors per frequency are thinned out.
- quantization_config goes: random weights are not quantised.
"""

import copy

from transformers import CONFIG_MAPPING

VOCAB = 131
WINDOW = 20
ORIGINAL_CONTEXT = 64
POSITIONS = 256
MIN_LAYERS = 3
EXPERTS, CHOSEN, GROUPS, CHOSEN_GROUPS = 8, 4, 4, 2

# Other spellings of a field, of published files and of remote code; those that a file has change with it.
SPELLINGS = {
    "hidden_size": ["n_embd", "d_model", "word_embed_proj_dim", "embedding_size"],
    "num_hidden_layers": ["n_layer", "n_layers", "num_layers"],
    "num_attention_heads": ["n_head", "n_heads"],
    "num_key_value_heads": ["num_kv_heads", "n_head_kv", "multi_query_group_num"],
    "max_position_embeddings": ["n_positions", "n_ctx", "seq_length", "max_sequence_length"],
    "sliding_window": ["sliding_window_size"],
}
MLP_SIZES = ["intermediate_size", "n_inner", "ffn_dim", "dff", "ffn_hidden_size", "moe_intermediate_size",
             "shared_expert_intermediate_size", "shared_intermediate_size", "intermediate_size_mlp"]
EXPERT_COUNTS = ["num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts"]
CHOSEN_COUNTS = ["num_experts_per_tok", "moe_topk", "moe_k", "num_experts_per_token"]


def config_of(raw):
    """The transformers configuration of a config.json."""
    model_type = raw.get("model_type")
    if model_type not in CONFIG_MAPPING:
        raise SystemExit(f"transformers has no model_type {model_type!r}. Families of remote code need a reference of "
                         "their own: map the weights onto an equivalent class, or write the formulas in torch.")
    return CONFIG_MAPPING[model_type].from_dict(copy.deepcopy(raw))


def is_small(config):
    return config.hidden_size <= 256 and config.num_hidden_layers <= 8 and config.vocab_size <= 1024


def heads(n, kv):
    if kv == n:
        return 4, 4
    if kv == 1:
        return 4, 1
    ratio = n // kv
    return 2 * (ratio if ratio <= 4 else 3 + (ratio + 1) % 2), 2


def thinned(values, count):
    """count of the values, first and last among them."""
    last = max(count - 1, 1)
    return [values[round(i * (len(values) - 1) / last)] for i in range(count)]


def brief(value):
    return f"{len(value)} entries" if isinstance(value, list) and len(value) > 4 else value


class Shrinker:
    def __init__(self, raw):
        self.raw = copy.deepcopy(raw)
        self.config = config_of(raw)
        self.changes = []
        self.wanted = {}

    def value(self, key, default=None):
        """What the model will use: the file's value, or the class's default."""
        value = getattr(self.config, key, None)
        if value is None:
            value = next((self.raw[k] for k in [key, *SPELLINGS.get(key, [])] if self.raw.get(k) is not None), None)
        return default if value is None else value

    def put(self, key, value):
        """Sets a key that is in the file."""
        if key in self.raw and self.raw[key] is not None and self.raw[key] != value:
            self.changes.append(f"{key}: {brief(self.raw[key])} -> {brief(value)}")
            self.raw[key] = value

    def want(self, key, value):
        """Sets every spelling of a field; added at the end where the file leaves it to a default that is not this."""
        real = getattr(self.config, "attribute_map", {}).get(key, key)
        for name in {key, real, *SPELLINGS.get(key, [])}:
            if name != "word_embed_proj_dim" or self.raw.get(name) == self.config.hidden_size:
                self.put(name, value)
        if hasattr(self.config, key):
            self.wanted[key] = value

    def most(self, key, limit):
        value = self.value(key)
        if isinstance(value, int) and not isinstance(value, bool) and value > limit:
            self.want(key, limit)

    def attention(self):
        n = self.value("num_attention_heads")
        kv = self.value("num_key_value_heads", self.value("num_kv_heads", n))
        hidden = self.config.hidden_size
        size = self.value("head_dim", hidden // n)
        new_n, new_kv = heads(n, kv)
        part = self.value("partial_rotary_factor") or (self.raw.get("rope_parameters") or {}).get(
            "partial_rotary_factor") or self.raw.get("rotary_pct") or 1.0
        new_size = next((d for d in (16, 20, 24, 32) if int(d * part) % 2 == 0), 16)
        if self.value("kv_lora_rank"):
            same = self.value("v_head_dim") == self.value("qk_nope_head_dim")
            for key, value in (("q_lora_rank", 32), ("kv_lora_rank", 32), ("qk_nope_head_dim", 16),
                               ("qk_rope_head_dim", 16), ("v_head_dim", 16 if same else 12)):
                if self.value(key) is not None:
                    self.want(key, value)
            self.put("head_dim", 16)
            self.put("qk_head_dim", 32)
            new_hidden = 64
        else:
            total = new_n * new_size
            new_hidden = total if n * size == hidden else total // 2 if n * size > hidden else total * 2
            if self.value("head_dim") is not None:
                self.want("head_dim", new_size)
            self.put("kv_channels", new_size)
            scalar = self.value("query_pre_attn_scalar")
            if scalar is not None:
                self.want("query_pre_attn_scalar", max(1, round(scalar * new_size / size)))
        self.want("num_attention_heads", new_n)
        self.want("num_key_value_heads", new_kv)
        if hasattr(self.config, "num_kv_heads"):
            self.wanted["num_kv_heads"] = new_kv
        self.want("hidden_size", new_hidden)
        self.put("dim_model_base", max(1, round(self.raw.get("dim_model_base", 0) * new_hidden / hidden)))
        for key, limit in (("linear_num_key_heads", 2), ("linear_num_value_heads", 4), ("linear_key_head_dim", 16),
                           ("linear_value_head_dim", 16)):
            self.most(key, limit)
        for key, limit in (("index_topk", WINDOW), ("index_n_heads", 8), ("index_head_dim", 16)):
            self.most(key, limit)
        for key in MLP_SIZES:
            old = self.value(key)
            if isinstance(old, int) and old > 0:
                self.want(key, max(16, round(old * new_hidden / hidden / 8) * 8))
        if self.value("rotary_dim"):
            self.want("rotary_dim", max(2, round(self.value("rotary_dim") * new_size / size / 2) * 2))
        frequencies = int(size * part) // 2
        return frequencies, int(new_size * part) // 2

    def layers(self):
        old = self.config.num_hidden_layers
        windows = self.raw.get("max_window_layers")
        lists = {k: v for k, v in {**self.config.to_dict(), **self.raw}.items()
                 if isinstance(v, list) and len(v) == old and old > MIN_LAYERS}
        # The first layer of each kind.
        first = [v.index(kind) + 1 for k, v in lists.items() if not (windows and k == "layer_types")
                 for kind in v if not isinstance(kind, (dict, list))]
        new = min(old, max([MIN_LAYERS, *first, *[self.raw.get(k) or 0 for k in (
            "decoder_sparse_step", "moe_layer_interval", "sliding_window_pattern", "full_attention_interval")]]))
        for key, values in lists.items():
            cut = values[:new]
            if windows and key == "layer_types":
                cut = [values[0]] + [values[-1]] * (new - 1)
            self.put(key, cut)
        if windows is not None:
            self.put("max_window_layers", 1 if windows < old else new)
        self.put("first_k_dense_replace", min(1, self.raw.get("first_k_dense_replace") or 0))
        self.put("mlp_only_layers", [i for i in self.raw.get("mlp_only_layers") or [] if i < new])
        self.put("moe_layer_start_index", min(1, self.raw.get("moe_layer_start_index") or 0))
        self.put("moe_layer_end_index", new - 1)
        self.want("num_hidden_layers", new)

    def experts(self):
        for key in EXPERT_COUNTS:
            self.most(key, EXPERTS)
        for key in CHOSEN_COUNTS:
            count = next((self.value(k) for k in EXPERT_COUNTS if isinstance(self.value(k), int)), 0)
            self.most(key, min(CHOSEN, max(1, min(count, EXPERTS) // 2)))
        self.most("n_group", GROUPS)
        self.most("topk_group", CHOSEN_GROUPS)

    def positions(self, frequencies, new_frequencies):
        for key in ("sliding_window", "attention_chunk_size", "attention_window", "local_attention"):
            self.most(key, WINDOW)
        known = self.value("max_position_embeddings", POSITIONS)
        scalings = [d for key in ("rope_scaling", "rope_parameters") for d in self.ropes(self.raw.get(key))]
        scaled = [d for d in scalings if (d.get("rope_type") or d.get("type") or "default") != "default"]
        original = self.raw.get("original_max_position_embeddings") or next(
            (d["original_max_position_embeddings"] for d in scaled if "original_max_position_embeddings" in d), known)
        ratio = min(1.0, (ORIGINAL_CONTEXT / original) if scaled else POSITIONS / known)
        # Roberta's table has two positions more than it serves.
        extra = known % 16 if not scaled and known > POSITIONS else 0
        self.want("max_position_embeddings", round(known * ratio) + extra)
        self.put("original_max_position_embeddings", round(original * ratio))
        for d in scalings:
            before = dict(d)
            if "original_max_position_embeddings" in d:
                d["original_max_position_embeddings"] = round(d["original_max_position_embeddings"] * ratio)
            for key in ("short_factor", "long_factor"):
                if len(d.get(key) or []) == frequencies:
                    d[key] = thinned(d[key], new_frequencies)
            self.changes += [f"rope {k}: {brief(before[k])} -> {brief(d[k])}" for k in d if before[k] != d[k]]

    def ropes(self, value):
        """The dictionary of a rotary embedding, or one per kind of layer."""
        if not isinstance(value, dict):
            return []
        nested = [d for d in value.values() if isinstance(d, dict)]
        return nested or [value]

    def tokens(self):
        self.want("vocab_size", min(self.config.vocab_size, VOCAB))
        self.put("padded_vocab_size", VOCAB)
        used = iter(range(1, VOCAB))

        def small(old):
            return [small(x) for x in old] if isinstance(old, list) else next(used) if old >= VOCAB else old

        for key, old in list(self.raw.items()):
            # Some files say -1 for a token that they do not have.
            if key.endswith(("_token_id", "_token_ids")) and old is not None:
                self.put(key, small(old))

    def result(self):
        for key in ("quantization_config", "auto_map"):
            if self.raw.pop(key, None) is not None:
                self.changes.append(f"{key}: removed")
        made = config_of(self.raw)
        for key, value in self.wanted.items():
            if getattr(made, key, value) != value and self.config.to_dict().get(key) is not None:
                self.changes.append(f"{key}: default {getattr(made, key)} -> {value}")
                self.raw[key] = value
        return self.raw, self.changes


def shrink(raw):
    """config.json's content -> (the small one, each change in words).  A small one comes back as it is."""
    config = config_of(raw)
    within = config.get_text_config()
    if hasattr(within, "hidden_size") and is_small(within):
        return copy.deepcopy(raw), []
    if "text_config" in raw or not hasattr(config, "hidden_size"):
        raise SystemExit("This config.json holds several models. Put that of the text model (text_config, with its "
                         "model_type) into a config.json of its own.")
    work = Shrinker(raw)
    frequencies = work.attention()
    work.layers()
    work.experts()
    work.positions(*frequencies)
    work.tokens()
    return work.result()
