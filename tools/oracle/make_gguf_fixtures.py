"""Records models in GGUF, and what transformers computes with the numbers that they hold.

make_gguf_fixtures.py test/fixtures/gguf

Blocks are written and read back by the gguf package; tensors have the names that its table gives them, and lie as
llama.cpp's converter lays them. Where transformers reads GGUF itself, its logits must be the same.
"""

import base64
import json
import pathlib
import sys
import tempfile

import gguf
import numpy as np
import torch
import transformers
from gguf import GGMLQuantizationType as Type
from gguf import MODEL_ARCH as Arch

HIDDEN, INNER, LAYERS, HEADS, KV_HEADS, VOCAB = 32, 64, 2, 4, 2, 96
BASE = dict(
    hidden_size=HIDDEN,
    intermediate_size=INNER,
    num_hidden_layers=LAYERS,
    num_attention_heads=HEADS,
    num_key_value_heads=KV_HEADS,
    vocab_size=VOCAB,
    max_position_embeddings=256,
    bos_token_id=1,
    eos_token_id=2,
    pad_token_id=None,
)
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=8192, rope_theta=500000.0)

# name: architecture, class of the configuration, what it has beside BASE, type of the linears
CASES = {
    "llama-q8_0": (Arch.LLAMA, "LlamaConfig", dict(rope_parameters=LLAMA3, tie_word_embeddings=False), Type.Q8_0),
    "llama-f16": (Arch.LLAMA, "LlamaConfig", dict(tie_word_embeddings=False), Type.F16),
    "mixtral-q5_0": (Arch.LLAMA, "MixtralConfig", dict(num_local_experts=4, num_experts_per_tok=2), Type.Q5_0),
    "qwen2-q4_0": (Arch.QWEN2, "Qwen2Config", dict(tie_word_embeddings=True), Type.Q4_0),
    "qwen2moe-q8_0": (Arch.QWEN2MOE, "Qwen2MoeConfig", dict(num_experts=4, num_experts_per_tok=2,
                      moe_intermediate_size=32, shared_expert_intermediate_size=32), Type.Q8_0),
    "qwen3-q4_0": (Arch.QWEN3, "Qwen3Config", dict(head_dim=32, tie_word_embeddings=False), Type.Q4_0),
    "qwen3moe-mxfp4": (Arch.QWEN3MOE, "Qwen3MoeConfig", dict(head_dim=32, num_experts=4, num_experts_per_tok=2,
                       moe_intermediate_size=32, norm_topk_prob=True), Type.MXFP4),
    "gemma-q8_0": (Arch.GEMMA, "GemmaConfig", dict(head_dim=16), Type.Q8_0),
    "gemma2-q8_0": (Arch.GEMMA2, "Gemma2Config", dict(head_dim=16, query_pre_attn_scalar=16, sliding_window=8),
                    Type.Q8_0),
    "gemma3-q8_0": (Arch.GEMMA3, "Gemma3TextConfig", dict(head_dim=16, query_pre_attn_scalar=16, sliding_window=8,
                   num_hidden_layers=6, intermediate_size=32), Type.Q8_0),
    "phi3-q8_0": (Arch.PHI3, "Phi3Config", dict(), Type.Q8_0),
    "granite-q8_0": (Arch.GRANITE, "GraniteConfig", dict(embedding_multiplier=3.0, attention_multiplier=0.2,
                     residual_multiplier=0.5, logits_scaling=2.0), Type.Q8_0),
    "smollm3-q8_0": (Arch.SMOLLM3, "SmolLM3Config", dict(num_hidden_layers=4, intermediate_size=32), Type.Q8_0),
    "olmo2-q5_1": (Arch.OLMO2, "Olmo2Config", dict(), Type.Q5_1),
    "starcoder2-q8_0": (Arch.STARCODER2, "Starcoder2Config", dict(use_bias=True), Type.Q8_0),
}
# K quants, which the gguf package reads and does not write, have wider rows; types by parts of names, as in mixtures.
WIDE = dict(hidden_size=256, intermediate_size=256, num_hidden_layers=1)
ADDED = {
    "llama-q4_k": (Arch.LLAMA, "LlamaConfig", dict(WIDE, tie_word_embeddings=False), {"": Type.Q4_K}),
    # Parts of one product that differ, and a tied table.
    "qwen2-q4_k_m": (Arch.QWEN2, "Qwen2Config", dict(WIDE, tie_word_embeddings=True),
                     {"token_embd": Type.Q6_K, "attn_v": Type.Q6_K, "ffn_down": Type.Q5_K, "ffn_up": Type.Q4_1,
                      "attn_output": Type.Q5_K, "": Type.Q4_K}),
    # Minimums of experts.
    "mixtral-q4_1": (Arch.LLAMA, "MixtralConfig", dict(num_local_experts=4, num_experts_per_tok=2,
                     num_hidden_layers=1), Type.Q4_1),
}
CASES |= ADDED
# What transformers 5.24 reads by itself, in the same way. It leaves rope_freqs out, and takes sizes of heads of the class.
READ_BY_TRANSFORMERS = ["llama-f16", "qwen2-q4_0"]
TURNED = (Arch.LLAMA, Arch.GRANITE, Arch.SMOLLM3)
WHOLE_NORMS = (Arch.GEMMA, Arch.GEMMA2, Arch.GEMMA3)
PROMPT = [1] + [(7 * i * i + 11 * i) % (VOCAB - 10) + 5 for i in range(1, 21)]


def random_weights(model, seed):
    generator = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        noise = torch.randn(weight.shape, generator=generator)
        with torch.no_grad():
            if "norm" in name and name.endswith("weight"):
                start = 0.0 if "Gemma" in type(model).__name__ else 1.0
                weight.copy_(start + 0.3 * noise)
            elif weight.dim() == 1:
                weight.copy_(0.3 * noise)
            elif "embed_tokens" in name:
                weight.copy_(noise)
            else:
                weight.copy_(noise * (1.6 / weight.shape[-1] ** 0.5))


def as_llama_cpp_turns(weight, heads):
    rows = weight.shape[0]
    return weight.reshape(heads, 2, rows // heads // 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def tensors_of(arch, model):
    """GGUF's tensors as functions that give numbers of the model, and take what they became back."""
    names = gguf.get_tensor_name_map(arch, model.config.num_hidden_layers)
    heads, kv_heads = model.config.num_attention_heads, model.config.num_key_value_heads
    for name, weight in model.named_parameters():
        if name == "lm_head.weight" and model.config.tie_word_embeddings:
            continue
        value = weight.detach().numpy()
        if "experts.gate_up_proj" in name or "experts.down_proj" in name:
            layer = name.split(".")[2]
            if "down" in name:
                yield f"blk.{layer}.ffn_down_exps.weight", weight, lambda w: w, lambda w, out: out
            else:
                half = value.shape[1] // 2
                yield (f"blk.{layer}.ffn_gate_exps.weight", weight, lambda w, h=half: w[:, :h],
                       lambda w, out, h=half: np.concatenate([out, w[:, h:]], axis=1))
                yield (f"blk.{layer}.ffn_up_exps.weight", weight, lambda w, h=half: w[:, h:],
                       lambda w, out, h=half: np.concatenate([w[:, :h], out], axis=1))
            continue
        renamed = names.get_name(name.replace("block_sparse_moe", "mlp"), try_suffixes=(".weight", ".bias"))
        assert renamed, name
        if arch in TURNED and (".q_proj" in name or ".k_proj" in name):
            own = heads if ".q_proj" in name else kv_heads
            back = lambda w, out, n=own: (
                out.reshape(n, out.shape[0] // n // 2, 2, *out.shape[1:]).swapaxes(1, 2).reshape(out.shape))
            yield renamed, weight, lambda w, n=own: as_llama_cpp_turns(w, n), back
        elif arch in WHOLE_NORMS and "norm" in name:
            yield renamed, weight, lambda w: w + 1, lambda w, out: out - 1
        elif "shared_expert_gate" in name:
            yield renamed, weight, lambda w: w.reshape(-1), lambda w, out: out.reshape(w.shape)
        else:
            yield renamed, weight, lambda w: w, lambda w, out: out


def random_k(kind, shape, random):
    """Blocks of a K quant whose numbers are about as large as those of other weights."""
    block, size = gguf.GGML_QUANT_SIZES[kind]
    count = int(np.prod(shape)) // block
    blocks = random.integers(0, 256, (count, size), dtype=np.uint8)
    unit = 1.6 / shape[-1] ** 0.5

    def put(at, mean):
        scales = (mean * random.uniform(0.7, 1.3, count)).astype("<f2")
        blocks[:, at : at + 2] = scales.view(np.uint8).reshape(-1, 2)

    if kind == Type.Q6_K:
        put(208, unit / 18 / 70)
    else:
        steps = 7.5 if kind == Type.Q4_K else 15.5
        put(0, unit / steps * 1.7 / 36)
        put(2, unit * 1.7 / 36)
    return blocks.reshape(*shape[:-1], -1)


def kind_of(types, name):
    return next(kind for part, kind in types.items() if part in name)


def write_model(path, arch, model, linear_type):
    config = model.config
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[arch])
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_parameters.get("full_attention", config.rope_parameters)["rope_theta"])
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_rope_dimension_count(head_dim)
    if head_dim * config.num_attention_heads != config.hidden_size or arch in WHOLE_NORMS:
        writer.add_key_length(head_dim)
        writer.add_value_length(head_dim)
    if arch == Arch.STARCODER2:
        writer.add_layer_norm_eps(config.norm_epsilon)
    else:
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    if arch == Arch.GRANITE:
        writer.add_embedding_scale(config.embedding_multiplier)
        writer.add_attention_scale(config.attention_multiplier)
        writer.add_residual_scale(config.residual_multiplier)
        writer.add_logit_scale(config.logits_scaling)
    if arch in (Arch.GEMMA2, Arch.GEMMA3):
        writer.add_sliding_window(config.sliding_window)
    if arch == Arch.GEMMA2:
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)
    experts = getattr(config, "num_local_experts", None) or getattr(config, "num_experts", None)
    if experts:
        writer.add_expert_count(experts)
        writer.add_expert_used_count(config.num_experts_per_tok)
    if arch in (Arch.QWEN2MOE, Arch.QWEN3MOE):
        writer.add_expert_feed_forward_length(config.moe_intermediate_size)
    if arch == Arch.QWEN2MOE:
        writer.add_expert_shared_feed_forward_length(config.shared_expert_intermediate_size)
    random = np.random.default_rng(5)
    for name, weight, give, take in tensors_of(arch, model):
        numbers = np.ascontiguousarray(give(weight.detach().numpy()), dtype=np.float32)
        plain = numbers.ndim == 1 or "ffn_gate_inp" in name
        kind = Type.F32 if plain else Type.Q8_0 if name in ("token_embd.weight", "output.weight") and \
            linear_type not in (Type.F32, Type.F16) else linear_type
        if isinstance(linear_type, dict) and not plain:
            kind = kind_of(linear_type, name)
        is_k = kind in (Type.Q4_K, Type.Q5_K, Type.Q6_K)
        stored = random_k(kind, numbers.shape, random) if is_k else gguf.quantize(numbers, kind)
        writer.add_tensor(name, stored, raw_dtype=kind)
        read = gguf.dequantize(stored, kind).reshape(numbers.shape)
        with torch.no_grad():
            weight.copy_(torch.from_numpy(np.ascontiguousarray(take(weight.detach().numpy(), read))))
    if config.rope_parameters.get("rope_type") == "llama3":
        plain = 1.0 / config.rope_parameters["rope_theta"] ** (np.arange(0, head_dim, 2) / head_dim)
        scaled = model.model.rotary_emb.inv_freq.numpy()
        writer.add_tensor("rope_freqs.weight", (plain / scaled).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def logits_of(model):
    with torch.no_grad():
        return model(torch.tensor([PROMPT])).logits[0].float()


def record(name, out, seed):
    arch, config_class, beside, linear_type = CASES[name]
    config = getattr(transformers, config_class)(**{**BASE, **beside})
    config._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
    random_weights(model, seed)
    if not config.tie_word_embeddings:
        with torch.no_grad():
            model.lm_head.weight.mul_(2)
    path = out / f"{name}.gguf"
    write_model(path, arch, model, linear_type)
    logits = logits_of(model)
    assert logits.std() >= 1, (name, logits.std())
    if name in READ_BY_TRANSFORMERS:
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / path.name).write_bytes(path.read_bytes())
            other = transformers.AutoModelForCausalLM.from_pretrained(
                folder, gguf_file=path.name, dtype=torch.float32, attn_implementation="eager").eval()
            assert (logits_of(other) - logits).abs().max() < 1e-4, name
    print(name, path.stat().st_size, f"std {logits.std():.2f}")
    return {"logits": base64.b64encode(logits.numpy().astype("<f4").tobytes()).decode()}


BLOCK_TYPES = [Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q8_0, Type.Q2_K, Type.Q3_K, Type.Q4_K, Type.Q5_K,
               Type.Q6_K, Type.IQ4_NL, Type.IQ4_XS, Type.MXFP4]
ROWS, COLUMNS = 3, 256
# Where the 16-bit scales of a block begin; the exponent of MXFP4 is its first byte.
SCALES = {Type.Q4_1: [0, 2], Type.Q5_1: [0, 2], Type.Q2_K: [80, 82], Type.Q3_K: [108], Type.Q4_K: [0, 2],
          Type.Q5_K: [0, 2], Type.Q6_K: [208]}


def record_types(out):
    """Random blocks of every type that is read, and their numbers."""
    random = np.random.default_rng(3)
    writer = gguf.GGUFWriter(out / "types.gguf", "llama")
    numbers = {}
    for kind in BLOCK_TYPES:
        block, size = gguf.GGML_QUANT_SIZES[kind]
        blocks = random.integers(0, 256, (ROWS * COLUMNS // block, size), dtype=np.uint8)
        if kind == Type.MXFP4:
            blocks[:, 0] = random.integers(118, 134, len(blocks))
            blocks[0, 0] = 1
        for at in SCALES.get(kind, [0] if kind != Type.MXFP4 else []):
            scales = (random.standard_normal(len(blocks)) * 0.1).astype("<f2")
            scales[-1] = 0
            blocks[:, at : at + 2] = scales.view(np.uint8).reshape(-1, 2)
        stored = blocks.reshape(ROWS, -1)
        writer.add_tensor(kind.name, stored, raw_dtype=kind)
        read = gguf.dequantize(stored, kind).astype("<f4").reshape(ROWS, COLUMNS)
        numbers[kind.name] = base64.b64encode(read.tobytes()).decode()
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return {"rows": ROWS, "columns": COLUMNS, "numbers": numbers}


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    cases = {name: record(name, out, seed) for seed, name in enumerate(CASES)}
    versions = {"gguf": "0.19.0", "transformers": transformers.__version__}
    (out / "types.json").write_text(json.dumps(record_types(out)) + "\n")
    (out / "models.json").write_text(json.dumps({"versions": versions, "prompt": PROMPT, "cases": cases}) + "\n")


main()
