#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the operation oracle: small inputs and outputs of ATB operations, from formulas written with torch.

Everything floating point is computed in float32 from the stored (already rounded) inputs and rounded once to the
output type.  Entries whose data types the device does not list for the operation carry "extension": true; a
portable engine may still support them.  See README.md.
"""

import argparse
import json
import math
import pathlib

import torch
from safetensors.torch import save_file

F32, F16, BF16 = torch.float32, torch.float16, torch.bfloat16
TYPES = {"f32": F32, "f16": F16, "bf16": BF16}
GEN = torch.Generator().manual_seed(2024)
TENSORS, ENTRIES = {}, []

ELEMENT = {F32: 2.0**-20, F16: 2.0**-10, BF16: 2.0**-7}  # one unit in the last place; float32 gets a little more
REASONS = {
    "exact": "data movement, integers or one correctly rounded operation: every bit must agree",
    "element": "one rounding of a float32 value, so at most one unit in the last place apart",
    "sum": "the order of a float32 sum is free; an engine may round the sum before it adds the bias",
    "attention": "the order of sums and the way softmax is blocked are free; an engine may round probabilities",
}


def randn(*shape, dtype=F32, std=1.0, mean=0.0):
    return (torch.randn(*shape, generator=GEN) * std + mean).to(dtype)


def ints(high, *shape, dtype=torch.int64, low=0):
    return torch.randint(low, high, shape, generator=GEN).to(dtype)


def add(name, op, param, inputs, outputs, kind, extension=False, in_place=None, note=None, host=None):
    """inputs, outputs: {suffix: tensor} in order; a (name, tensor) value refers to a tensor shared by entries."""

    def store(side):
        names = []
        for suffix, tensor in side.items():
            full = f"{name}.{suffix}"
            if isinstance(tensor, tuple):
                full, tensor = tensor
            assert tensor.numel() > 0 and (not tensor.is_floating_point() or not tensor.isnan().any()), full
            if full in TENSORS:
                assert TENSORS[full] is tensor, full
            TENSORS[full] = tensor
            names.append(full)
        return names

    in_names = store(inputs)
    out_names = store(outputs)
    dtype = next((TENSORS[n].dtype for n in out_names if TENSORS[n].is_floating_point()), None)
    if kind == "exact" or dtype is None:
        tolerance = {"rtol": 0.0, "atol": 0.0, "reason": REASONS["exact"]}
    else:
        rtol = ELEMENT[dtype] * {"element": 1, "sum": 2, "attention": 4}[kind]
        biggest = max(TENSORS[n].float()[TENSORS[n].float().isfinite()].abs().max().item() for n in out_names
                      if TENSORS[n].is_floating_point())
        atol = rtol * {"element": 2.0**-6, "sum": 0.25, "attention": 0.25}[kind] * biggest
        tolerance = {"rtol": float(f"{rtol:.3g}"), "atol": float(f"{atol:.3g}"), "reason": REASONS[kind]}
    entry = {"name": name, "op": op, "param": param, "inputs": in_names, "outputs": out_names,
             "tolerance": tolerance}
    if in_place:
        entry["inPlace"] = in_place  # output index -> input index that the device overwrites
    if host:
        entry["hostInputs"] = host  # input indices whose values are needed on the host as well
    if extension:
        entry["extension"] = True
    if note:
        entry["note"] = note
    ENTRIES.append(entry)


def both(dtypes, fn):
    for short in dtypes.split():
        fn(short, TYPES[short])


def rms(x, gamma, eps):
    x = x.float()
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * gamma.float()


def norms(short, dtype):
    ext = dtype is F32
    eps = 1e-5
    x, gamma = randn(5, 72, dtype=dtype, std=2.0), randn(72, dtype=dtype, std=0.3, mean=1.0)
    param = {"layerType": "RMS_NORM_NORM", "normParam": {"epsilon": eps, "quantType": "QUANT_UNDEFINED"}}
    add(f"rmsnorm-{short}", "RmsNorm", param, {"x": x, "gamma": gamma}, {"y": rms(x, gamma, eps).to(dtype)}, "sum",
        ext)
    # mean(x^2) is about as large as epsilon here, so a wrong epsilon shows
    small, eps2 = randn(3, 72, dtype=dtype, std=0.01), 1e-4
    param = {"layerType": "RMS_NORM_NORM", "normParam": {"epsilon": eps2}}
    add(f"rmsnorm-epsilon-{short}", "RmsNorm", param, {"x": small, "gamma": gamma},
        {"y": rms(small, gamma, eps2).to(dtype)}, "sum", ext)
    res = randn(5, 72, dtype=dtype)
    s = x.float() + res.float()
    param = {"layerType": "RMS_NORM_PRENORM", "preNormParam": {"epsilon": eps, "hasBias": False}}
    add(f"rmsnorm-prenorm-{short}", "RmsNorm", param, {"x": x, "res": res, "gamma": gamma},
        {"y": rms(s, gamma, eps).to(dtype), "sum": s.to(dtype)}, "sum", ext)

    beta = randn(72, dtype=dtype, std=0.5)
    shifted = randn(5, 72, dtype=dtype, std=2.0, mean=3.0)
    ln = torch.nn.functional.layer_norm(shifted.float(), (72,), gamma.float(), beta.float(), eps)
    param = {"layerType": "LAYER_NORM_NORM", "normParam": {"epsilon": eps, "beginNormAxis": 1, "beginParamsAxis": 0}}
    add(f"layernorm-{short}", "LayerNorm", param, {"x": shifted, "gamma": gamma, "beta": beta}, {"y": ln.to(dtype)},
        "sum")
    s = shifted.float() + 0.5 * res.float()
    ln = torch.nn.functional.layer_norm(s, (72,), gamma.float(), beta.float(), eps)
    param = {"layerType": "LAYER_NORM_PRENORM", "preNormParam": {"epsilon": eps, "zoomScaleValue": 0.5}}
    add(f"layernorm-prenorm-{short}", "LayerNorm", param, {"x": shifted, "res": res, "gamma": gamma, "beta": beta},
        {"y": ln.to(dtype), "sum": s.to(dtype)}, "sum", ext)


def linears(short, dtype):
    k, n = 112, 67
    w, b = randn(n, k, dtype=dtype, std=k**-0.5), randn(n, dtype=dtype)
    for m in (1, 7):
        x = randn(m, k, dtype=dtype)
        y = x.float() @ w.float().T
        add(f"linear-m{m}-{short}", "Linear", {"transposeB": True, "hasBias": False}, {"x": x, "w": (f"linear-{short}.w", w)},
            {"y": y.to(dtype)}, "sum")
        add(f"linear-bias-m{m}-{short}", "Linear", {"transposeB": True, "hasBias": True},
            {"x": (f"linear-m{m}-{short}.x", x), "w": (f"linear-{short}.w", w),
             "b": (f"linear-{short}.b", b)},
            {"y": (y + b.float()).to(dtype)}, "sum", dtype is F32)
    x, w = randn(2, 3, 40, dtype=dtype), randn(40, 21, dtype=dtype, std=40**-0.5)
    add(f"linear-3d-nt-{short}", "Linear", {"transposeB": False, "hasBias": False}, {"x": x, "w": w},
        {"y": (x.float() @ w.float()).to(dtype)}, "sum", note="weight stored [k, n]; 3-D input")


def compute(a, b, kind):
    a, b = a.float(), b.float()
    return {"ADD": a + b, "SUB": a - b, "MUL": a * b, "REALDIV": a / b}[kind]


def elewise():
    def binary(short, dtype):
        a, b = randn(4, 9, dtype=dtype), randn(4, 9, dtype=dtype)
        b = torch.where(b.abs() < 0.1, torch.ones_like(b), b)
        for kind in ("ADD", "SUB", "MUL", "REALDIV"):
            name = f"elewise-{kind.lower()}-{short}"
            ext = dtype is F32 and kind in ("SUB", "MUL")
            add(name, "Elewise", {"elewiseType": f"ELEWISE_{kind}"}, {"a": a, "b": b},
                {"y": compute(a, b, kind).to(dtype)}, "exact" if kind != "REALDIV" else "element", ext)
        row, col = randn(1, 9, dtype=dtype), randn(4, 1, dtype=dtype)
        add(f"elewise-add-broadcast-{short}", "Elewise", {"elewiseType": "ELEWISE_ADD"}, {"a": row, "b": col},
            {"y": compute(row, col, "ADD").to(dtype)}, "exact")
        add(f"elewise-muls-{short}", "Elewise", {"elewiseType": "ELEWISE_MULS", "mulsParam": {"varAttr": 0.37}},
            {"x": a}, {"y": (a.float() * torch.tensor(0.37)).to(dtype)}, "element")
        for kind, f in (("COS", torch.cos), ("SIN", torch.sin), ("TANH", torch.tanh)):
            x = randn(3, 11, dtype=dtype, std=2.0)
            add(f"elewise-{kind.lower()}-{short}", "Elewise", {"elewiseType": f"ELEWISE_{kind}"}, {"x": x},
                {"y": f(x.float()).to(dtype)}, "element")
        add(f"elewise-neg-{short}", "Elewise", {"elewiseType": "ELEWISE_NEG"}, {"x": a}, {"y": -a}, "exact")
        c = a.clone()
        c[0] = b[0]
        for kind, y in (("LESS", c < b), ("GREATER", c > b), ("EQUAL", c == b)):
            add(f"elewise-{kind.lower()}-{short}", "Elewise", {"elewiseType": f"ELEWISE_{kind}"},
                {"a": c, "b": b}, {"y": y.to(torch.int8)}, "exact", True)

    both("f32 f16 bf16", binary)
    a, b = ints(2, 3, 5, dtype=torch.int8), ints(2, 3, 5, dtype=torch.int8)
    add("elewise-logical_and", "Elewise", {"elewiseType": "ELEWISE_LOGICAL_AND"}, {"a": a, "b": b}, {"y": a & b}, "exact")
    add("elewise-logical_or", "Elewise", {"elewiseType": "ELEWISE_LOGICAL_OR"}, {"a": a, "b": b}, {"y": a | b}, "exact")
    add("elewise-logical_not", "Elewise", {"elewiseType": "ELEWISE_LOGICAL_NOT"}, {"x": a}, {"y": 1 - a}, "exact")
    for dtype, short in ((torch.int32, "i32"), (torch.int64, "i64")):
        a, b = ints(1000, 3, 5, dtype=dtype, low=-1000), ints(1000, 3, 5, dtype=dtype, low=-1000)
        add(f"elewise-add-{short}", "Elewise", {"elewiseType": "ELEWISE_ADD"}, {"a": a, "b": b}, {"y": a + b}, "exact")
    # ties to even, overflow of float16, subnormals of float16
    x = torch.tensor([[1.0, -1.5, 1 + 2.0**-11, 1 + 3 * 2.0**-11, 65519.0, 70000.0, -1e6, 0.0, -0.0],
                      [6e-8, 2.0**-25, 3e-5, 1 + 2.0**-8, 1 + 3 * 2.0**-8, 3.0e38, -1e-30, math.pi, 1 / 3]])
    ACL = {F32: "ACL_FLOAT", F16: "ACL_FLOAT16", BF16: "ACL_BF16", torch.int32: "ACL_INT32", torch.int64: "ACL_INT64"}
    for source, target, name in ((x, F16, "f32-f16"), (x, BF16, "f32-bf16"), (x.to(F16), F32, "f16-f32"),
                                 (x.to(BF16), F32, "bf16-f32"),
                                 (ints(2**31 - 1, 7, dtype=torch.int32, low=-(2**31)), torch.int64, "i32-i64"),
                                 (ints(2**31 - 1, 7, dtype=torch.int64, low=-(2**31)), torch.int32, "i64-i32")):
        add(f"elewise-cast-{name}", "Elewise", {"elewiseType": "ELEWISE_CAST", "outTensorType": ACL[target]},
            {"x": source}, {"y": source.to(target)}, "exact",
            note="round to nearest, ties to even; too large for float16 becomes infinity" if "f16" in name else None)


def activations(short, dtype):
    x = randn(4, 26, dtype=dtype, std=2.5)
    f = x.float()
    plain = {
        "relu": ("ACTIVATION_RELU", {}, f.clamp(min=0), "exact", dtype is F16),
        "gelu-tanh": ("ACTIVATION_GELU", {"geluMode": "TANH_MODE"},
                      torch.nn.functional.gelu(f, approximate="tanh"), "sum", False),
        "gelu-none": ("ACTIVATION_GELU", {"geluMode": "NONE_MODE"}, torch.nn.functional.gelu(f), "sum", False),
        "fast-gelu": ("ACTIVATION_FAST_GELU", {},
                      f * torch.exp(0.851 * (f - f.abs())) / (1 + torch.exp(-1.702 * f.abs())), "sum", dtype is F32),
        "swish": ("ACTIVATION_SWISH", {"scale": 1.0}, f / (1 + torch.exp(-f)), "sum", dtype is F32),
        "swish-scale": ("ACTIVATION_SWISH", {"scale": 1.6}, f / (1 + torch.exp(-1.6 * f)), "sum", dtype is F32),
        "sigmoid": ("ACTIVATION_SIGMOID", {}, torch.sigmoid(f), "sum", dtype is F32),
    }
    for name, (kind, more, y, tolerance, ext) in plain.items():
        add(f"activation-{name}-{short}", "Activation", {"activationType": kind, **more},
            {"x": (f"activation-{short}.x", x)}, {"y": y.to(dtype)}, tolerance, ext)
    a, b = f.chunk(2, -1)
    add(f"activation-swiglu-{short}", "Activation", {"activationType": "ACTIVATION_SWIGLU_FORWARD", "dim": -1},
        {"x": (f"activation-{short}.x", x)}, {"y": (torch.nn.functional.silu(a) * b).to(dtype)}, "sum")
    y = f.abs() + 0.1
    pos = y.to(dtype)
    add(f"activation-log-{short}", "Activation", {"activationType": "ACTIVATION_LOG"}, {"x": pos},
        {"y": pos.float().log().to(dtype)}, "sum")


def movement(short, dtype):
    x = randn(3, 37, dtype=dtype, std=3.0)
    add(f"softmax-{short}", "Softmax", {"axes": [-1]}, {"x": x}, {"y": x.float().softmax(-1).to(dtype)}, "sum")
    big = randn(2, 3, 5, dtype=dtype, std=3.0) + 60
    joint = big.float().flatten(1).softmax(-1).view(2, 3, 5)
    add(f"softmax-axes-{short}", "Softmax", {"axes": [1, 2]}, {"x": big}, {"y": joint.to(dtype)}, "sum",
        note="one softmax over both axes; exp overflows if the maximum is not taken off")
    x = randn(3, 24, dtype=dtype)
    a, b = x.chunk(2, 1)
    ext = dtype is F32
    add(f"split-2-{short}", "Split", {"splitDim": 1, "splitNum": 2}, {"x": x},
        {"a": a.contiguous(), "b": b.contiguous()}, "exact", ext)
    parts = x.split([12, 8, 4], 1)
    add(f"split-3-sizes-{short}", "Split", {"splitDim": 1, "splitNum": 3, "splitSizes": [12, 8, 4]}, {"x": x},
        dict(zip("abc", (p.contiguous() for p in parts))), "exact", ext)
    y = randn(3, 5, dtype=dtype)
    add(f"concat-{short}", "Concat", {"concatDim": 1}, {"a": x, "b": y}, {"y": torch.cat([x, y], 1)}, "exact", ext)
    t = randn(2, 3, 4, dtype=dtype)
    add(f"transpose-{short}", "Transpose", {"perm": [1, 0, 2]}, {"x": t},
        {"y": t.permute(1, 0, 2).contiguous()}, "exact", ext)
    add(f"slice-{short}", "Slice", {"offsets": [0, -2, 1], "size": [2, 1, -1]}, {"x": t},
        {"y": t[:, 1:2, 1:].contiguous()}, "exact", note="a negative offset counts from the end; size -1 goes to the end")
    table, idx = randn(13, 6, dtype=dtype), ints(13, 7)
    add(f"gather-{short}", "Gather", {"axis": 0}, {"x": table, "indices": idx}, {"y": table[idx]}, "exact")
    idx = ints(6, 2, 3, dtype=torch.int32)
    add(f"gather-axis1-{short}", "Gather", {"axis": 1}, {"x": table, "indices": idx},
        {"y": table[:, idx.long()].contiguous()}, "exact")
    data, idx = randn(4, 9, dtype=dtype), ints(9, 4, 3)
    add(f"gather-batch-{short}", "Gather", {"axis": 1, "batchDims": 1}, {"x": data, "indices": idx},
        {"y": data.gather(1, idx)}, "exact")
    order = torch.stack([torch.randperm(19, generator=GEN) for _ in range(3)]).to(dtype) / 8
    values, index = order.topk(5, dim=-1)
    add(f"sort-{short}", "Sort", {"num": [5]}, {"x": order}, {"values": values, "indices": index.to(torch.int32)},
        "exact")


def rotate_half(x):
    a, b = x.chunk(2, -1)
    return torch.cat([-b, a], -1)


def ropes(short, dtype):
    lengths, d = [5, 7], 16
    positions = torch.cat([torch.arange(3, 3 + n) for n in lengths])
    freqs = positions[:, None] * (10000.0 ** (-torch.arange(0, d, 2) / d))[None]
    emb = torch.cat([freqs, freqs], -1)
    q, k = randn(sum(lengths), 4 * d, dtype=dtype), randn(sum(lengths), 2 * d, dtype=dtype)
    seqlen = torch.tensor(lengths, dtype=torch.int32)
    base = {"q": (f"rope-{short}.q", q), "k": (f"rope-{short}.k", k)}

    def half(x, cos, sin):
        x = x.float().view(x.shape[0], -1, d)
        return (x * cos.float()[:, None] + rotate_half(x) * sin.float()[:, None]).flatten(1)

    tables = [("", dtype)] + ([("-f32-tables", F32)] if dtype is F16 else [])
    for suffix, table in tables:
        cos, sin = emb.cos().to(table), emb.sin().to(table)
        add(f"rope-half{suffix}-{short}", "Rope", {"rotaryCoeff": 2},
            {**base, "cos": cos, "sin": sin, "seqlen": seqlen},
            {"q_out": half(q, cos, sin).to(dtype), "k_out": half(k, cos, sin).to(dtype)}, "sum", dtype is F32,
            in_place={"0": 0, "1": 1})
    # interleaved pairs; the tables hold every frequency twice, side by side
    cos, sin = (freqs.cos().repeat_interleave(2, -1).to(dtype), freqs.sin().repeat_interleave(2, -1).to(dtype))

    def pairs(x):
        x = x.float().view(x.shape[0], -1, d // 2, 2)
        c, s = cos.float()[:, None, 0::2], sin.float()[:, None, 0::2]
        return torch.stack([x[..., 0] * c - x[..., 1] * s, x[..., 1] * c + x[..., 0] * s], -1).flatten(1)

    add(f"rope-interleaved-{short}", "Rope", {"rotaryCoeff": d},
        {**base, "cos": cos, "sin": sin, "seqlen": seqlen},
        {"q_out": pairs(q).to(dtype), "k_out": pairs(k).to(dtype)}, "sum", dtype is F32, in_place={"0": 0, "1": 1})


def attend(q, k, v, scale, mask=None):
    """q [T,N,D], k, v [S,Nkv,D], mask [T,S] added."""
    group = q.shape[1] // k.shape[1]
    k, v = (t.float().repeat_interleave(group, 1) for t in (k, v))
    score = torch.einsum("tnd,snd->nts", q.float(), k) * scale
    if mask is not None:
        score = score + mask
    return torch.einsum("nts,snd->tnd", score.softmax(-1), v)


def causal(n):
    return torch.full((n, n), float("-inf")).triu(1)


def device_mask(blocked, dtype):
    """bfloat16 kernels multiply the mask by -3e38 (so it holds 0 and 1); float16 ones add it as it is."""
    if dtype is BF16:
        return blocked.to(dtype)
    return torch.zeros(blocked.shape).masked_fill(blocked, float("-inf")).to(dtype)


MASK_NOTE = ("the mask holds 1 where attention is forbidden (it is multiplied by -3e38)",
             "the mask is added as it is: -inf where attention is forbidden")


def attentions(short, dtype):
    ext, heads, kv, d = dtype is F32, 4, 2, 16
    note = MASK_NOTE[0 if dtype is BF16 else 1]
    lengths = [5, 23]
    total, scale = sum(lengths), 1 / math.sqrt(d)
    q = randn(total, heads, d, dtype=dtype, std=1.5)
    k, v = randn(total, kv, d, dtype=dtype, std=1.2), randn(total, kv, d, dtype=dtype)
    seqlen = torch.tensor(lengths, dtype=torch.int32)
    triangle = device_mask(torch.ones(128, 128).triu(1).bool(), dtype)
    shared = ("mask128-" + short, triangle)

    def packed(lens, mask):
        outs, start = [], 0
        for n in lens:
            s = slice(start, start + n)
            outs.append(attend(q[s], k[s], v[s], scale, mask(n)))
            start += n
        return torch.cat(outs).to(dtype)

    def param(**kw):
        return {"calcType": "PA_ENCODER", "headNum": heads, "kvHeadNum": kv, "qkScale": scale, **kw}

    base = {name: (f"self-attention-{short}.{name}", t) for name, t in (("q", q), ("k", k), ("v", v))}
    add(f"self-attention-causal-{short}", "SelfAttention", param(maskType="MASK_TYPE_NORM", isTriuMask=1),
        {**base, "mask": shared, "seqlen": seqlen}, {"y": packed(lengths, causal)}, "attention", ext, host=[4],
        note=note + "; 128x128 triangle for any length")
    add(f"self-attention-full-{short}", "SelfAttention", param(), {**base, "seqlen": seqlen},
        {"y": packed(lengths, lambda n: None)}, "attention", ext, host=[3], note="no mask: every key is seen")
    # a general mask: a sliding window of 6 keys
    rows, cols = torch.arange(23)[:, None], torch.arange(23)[None]
    blocked = (cols > rows) | (cols <= rows - 6)
    exact = torch.zeros(23, 23).masked_fill(blocked, float("-inf"))
    add(f"self-attention-window-{short}", "SelfAttention", param(maskType="MASK_TYPE_NORM", isTriuMask=0),
        {**base, "mask": device_mask(blocked, dtype), "seqlen": seqlen},
        {"y": packed(lengths, lambda n: exact[:n, :n])}, "attention", ext, host=[4], note=note)
    # longer than the triangle, one kv head for all
    n = 150
    lq = randn(n, 2, 8, dtype=dtype, std=1.5)
    lk, lv = randn(n, 1, 8, dtype=dtype, std=1.5), randn(n, 1, 8, dtype=dtype)
    add(f"self-attention-causal-150-{short}", "SelfAttention",
        {"calcType": "PA_ENCODER", "headNum": 2, "kvHeadNum": 1, "qkScale": 0.35, "maskType": "MASK_TYPE_NORM",
         "isTriuMask": 1},
        {"q": lq, "k": lk, "v": lv, "mask": shared, "seqlen": torch.tensor([n], dtype=torch.int32)},
        {"y": attend(lq, lk, lv, 0.35, causal(n)).to(dtype)}, "attention", ext, host=[4],
        note=note + "; the 128x128 triangle serves longer sequences as well")

    # paged decode: unused slots hold large numbers that must not be read
    block, blocks = 16, 7
    contexts = [1, 17, 48]
    tables = torch.tensor([[5, 0, 0], [2, 4, 0], [6, 1, 3]], dtype=torch.int32)
    kc = torch.full((blocks, block, kv, d), 50.0).to(dtype)
    vc = torch.full((blocks, block, kv, d), -50.0).to(dtype)
    pq = randn(3, heads, d, dtype=dtype, std=1.5)
    outs = []
    for row, n in enumerate(contexts):
        ks, vs = randn(n, kv, d, dtype=dtype, std=1.2), randn(n, kv, d, dtype=dtype)
        for j in range(n):
            kc[tables[row, j // block], j % block] = ks[j]
            vc[tables[row, j // block], j % block] = vs[j]
        outs.append(attend(pq[row:row + 1], ks, vs, scale))
    lens = torch.tensor(contexts, dtype=torch.int32)
    add(f"paged-attention-{short}", "PagedAttention", {"headNum": heads, "kvHeadNum": kv, "qkScale": scale},
        {"q": pq, "key_cache": kc, "value_cache": vc, "block_tables": tables, "context_lens": lens},
        {"y": torch.cat(outs).to(dtype)}, "attention", ext, host=[4],
        note="block tables are padded with 0; slots past a context hold large values")

    key, value = randn(6, kv, d, dtype=dtype), randn(6, kv, 12, dtype=dtype)
    slots = torch.tensor([9, 0, -1, 19, 7, 8], dtype=torch.int32)
    kc2, vc2 = randn(3, 8, kv, d, dtype=dtype), randn(3, 8, kv, 12, dtype=dtype)
    ko, vo = kc2.clone(), vc2.clone()
    for i, s in enumerate(slots.tolist()):
        if s >= 0:
            ko[s // 8, s % 8], vo[s // 8, s % 8] = key[i], value[i]
    add(f"reshape-and-cache-{short}", "ReshapeAndCache", {},
        {"key": key, "value": value, "key_cache": kc2, "value_cache": vc2, "slots": slots},
        {"key_cache_out": ko, "value_cache_out": vo}, "exact", ext, in_place={"0": 2, "1": 3},
        note="slot -1 is skipped; key and value heads differ in size")


def cross_attentions(short, dtype):
    heads, kv, d, scale = 4, 2, 16, 0.25
    lengths = [(1, 9), (5, 2)]
    queries, keys = (sum(each) for each in zip(*lengths))
    q, k = randn(queries, heads, d, dtype=dtype, std=1.5), randn(keys, kv, d, dtype=dtype, std=1.2)
    v = randn(keys, kv, d, dtype=dtype)
    outs, rows, columns = [], 0, 0
    for n, m in lengths:
        outs.append(attend(q[rows:rows + n], k[columns:columns + m], v[columns:columns + m], scale))
        rows, columns = rows + n, columns + m
    seqlen = torch.tensor(lengths, dtype=torch.int32).T.contiguous()
    add(f"self-attention-cross-{short}", "SelfAttention",
        {"calcType": "PA_ENCODER", "headNum": heads, "kvHeadNum": kv, "qkScale": scale},
        {"q": q, "k": k, "v": v, "seqlen": seqlen}, {"y": torch.cat(outs).to(dtype)}, "attention", dtype is F32, host=[3],
        note="seqlen [2, batch]: queries of each sequence and its keys, which are others")


def main():
    parser = argparse.ArgumentParser()
    root = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--out", type=pathlib.Path, default=root / "test/fixtures/oracle")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    both("f32 f16 bf16", norms)
    both("f32 f16 bf16", linears)
    elewise()
    both("f32 f16 bf16", activations)
    both("f32 f16 bf16", movement)
    both("f32 f16 bf16", ropes)
    both("f32 f16 bf16", attentions)
    both("f32 f16 bf16", cross_attentions)
    names = [e["name"] for e in ENTRIES]
    assert len(set(names)) == len(names)
    args.out.mkdir(parents=True, exist_ok=True)
    # tensors are cloned: inputs shared by entries under other names must not share storage in the file
    save_file({k: v.clone().contiguous() for k, v in TENSORS.items()}, args.out / "ops.safetensors")
    lines = ",\n".join(json.dumps(e) for e in ENTRIES)
    (args.out / "ops.json").write_text(f'{{"entries": [\n{lines}\n]}}\n')
    size = (args.out / "ops.safetensors").stat().st_size
    print(f"{len(ENTRIES)} entries of {len({e['op'] for e in ENTRIES})} operations, {size} bytes")
    assert size <= 600 * 1000


if __name__ == "__main__":
    main()
