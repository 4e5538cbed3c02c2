#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Weights made from a seed and the tensor's name, the same bit for bit here and in test/oracle/seeded-weights.ts.

A fixture then needs its config.json and a recipe of a few kilobytes in place of its weights.  A recipe (weights.json):

    {"seed": 1, "dtype": "float32", "tensors": {NAME: {"shape": [131, 64], "mean": 0.0, "std": 1.0}, ...}}

Element i, counted in row-major order, of the tensor NAME is

    key = mix(fnv1a(NAME as UTF-8) ^ mix(seed))           32-bit unsigned integers throughout
    a   = mix(key + 2i * 0x9e3779b9)
    b   = mix(key + (2i + 1) * 0x9e3779b9)
    s   = (a & 0xffff) + (a >> 16) + (b & 0xffff) + (b >> 16) - 131070
    w   = mean + s * (std / 37837)                        in float64, each operation rounded once
    then rounded to float32, and from there to the recipe's dtype, to nearest even.

A tensor of {"shape": [rows, columns], "below": N} is a table of int64: element [row, column] is a of i = row, plus the
column, modulo N.  So the numbers of a row differ from each other.

The sum of four uniform numbers is close to a normal distribution, and never farther than 3.47 standard deviations
from its mean; 37837 is the standard deviation of s.  mix is the 32-bit finaliser of MurmurHash3, fnv1a the 32-bit
FNV-1a hash.

usage: seeded_weights.py   writes test/fixtures/oracle/seeded-weights.json, which the TypeScript is tested against
"""

import json
import pathlib

import numpy as np

GOLDEN = 0x9E3779B9
MASK = 0xFFFFFFFF
CENTRE = 131070
SPREAD = 37837.0


def mix(x):
    """x: array of uint32.  Products wrap around."""
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return x ^ (x >> np.uint32(16))


def fnv1a(name):
    h = 0x811C9DC5
    for byte in name.encode():
        h = ((h ^ byte) * 0x01000193) & MASK
    return h


def seeded(seed, name, shape, mean, std):
    """The tensor in float32."""
    count = int(np.prod(shape, dtype=np.int64))
    seed_mixed = mix(np.array([seed & MASK], dtype=np.uint32))[0]
    key = mix(np.array([fnv1a(name)], dtype=np.uint32) ^ seed_mixed)
    at = np.arange(2 * count, dtype=np.uint32) * np.uint32(GOLDEN)
    bits = mix(key + at)
    halves = (bits & np.uint32(0xFFFF)).astype(np.int64) + (bits >> np.uint32(16)).astype(np.int64)
    s = (halves[0::2] + halves[1::2] - CENTRE).astype(np.float64)
    return (mean + s * (std / SPREAD)).astype(np.float32).reshape(shape)


def seeded_table(seed, name, shape, below):
    """The table in int64."""
    seed_mixed = mix(np.array([seed & MASK], dtype=np.uint32))[0]
    key = mix(np.array([fnv1a(name)], dtype=np.uint32) ^ seed_mixed)
    bits = mix(key + np.arange(shape[0], dtype=np.uint32) * np.uint32(2) * np.uint32(GOLDEN))
    return (bits.astype(np.int64)[:, None] + np.arange(shape[1])) % below


def as_dtype(values, dtype):
    """The bits of float32 values rounded to a dtype: uint32 of float32, uint16 of bfloat16 and float16."""
    bits = values.view(np.uint32)
    if dtype == "float32":
        return bits
    if dtype == "float16":
        return values.astype(np.float16).view(np.uint16)
    return ((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)).astype(np.uint16)


def recipe_weights(recipe):
    """name -> float32 array, or one of int64 where the tensor is a table, for each tensor of a recipe."""
    seed = recipe["seed"]
    return {name: seeded_table(seed, name, t["shape"], t["below"]) if "below" in t
            else seeded(seed, name, t["shape"], t["mean"], t["std"]) for name, t in recipe["tensors"].items()}


# seed, name, shape, mean, std
REFERENCE = [
    (1, "model.embed_tokens.weight", [131, 64], 0.0, 1.0),
    (1, "model.layers.0.self_attn.q_proj.weight", [64, 64], 0.0, 0.1562),
    (2, "model.layers.0.self_attn.q_proj.weight", [64, 64], 0.0, 0.1562),
    (4294967295, "model.layers.11.input_layernorm.weight", [64], 1.0, 0.3),
    (7, "модель.ß.bias", [3, 5, 7], -0.1, 1e-3),
]


def main():
    entries = []
    for seed, name, shape, mean, std in REFERENCE:
        values = seeded(seed, name, shape, mean, std)
        entry = {"seed": seed, "name": name, "shape": shape, "mean": mean, "std": std}
        for dtype in ("float32", "bfloat16", "float16"):
            bits = as_dtype(values, dtype).reshape(-1)
            # The FNV-1a hash of all bytes stands for the values that are not listed.
            h = 0x811C9DC5
            for byte in bits.tobytes():
                h = ((h ^ byte) * 0x01000193) & MASK
            entry[dtype] = {"first": bits[:6].tolist(), "hash": h}
        entries.append(entry)
    out = pathlib.Path(__file__).resolve().parents[2] / "test/fixtures/oracle/seeded-weights.json"
    out.write_text('{"entries": [\n' + ",\n".join(json.dumps(e, ensure_ascii=False) for e in entries) + "\n]}\n")


if __name__ == "__main__":
    main()
