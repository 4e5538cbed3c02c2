"""Writes test/fixtures/oracle/rope.json: inverse frequencies, attention factors and rows of cos and sin of transformers'
rotary embeddings, for each kind of scaling. usage: make_rope_fixtures.py (with requirements.txt installed)"""
import json
import pathlib

import torch
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

OUT = pathlib.Path(__file__).resolve().parents[2] / "test/fixtures/oracle/rope.json"
SHORT = [1.0 + 0.05 * i for i in range(8)]
LONG = [1.0 + 1.1 * i for i in range(8)]
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 8192}
# name, head_dim, max_position_embeddings, theta, scaling, positions of one forward
CASES = [
    ("plain", 16, 256, 10000.0, None, [0, 1, 17, 255]),
    ("plain, large theta", 128, 40960, 1e6, None, [0, 1, 4095, 40959]),
    ("linear", 16, 64, 10000.0, {"type": "linear", "factor": 4.0}, [0, 1, 17, 255]),
    ("dynamic within the context", 16, 64, 10000.0, {"rope_type": "dynamic", "factor": 4.0}, list(range(64))),
    ("dynamic beyond the context", 16, 64, 10000.0, {"rope_type": "dynamic", "factor": 4.0}, list(range(150))),
    ("llama3", 64, 131072, 500000.0, LLAMA3, [0, 1, 100, 8191, 8192, 131071]),
    ("yarn", 16, 64, 10000.0, {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}, [0, 1, 63, 255]),
    ("yarn of Qwen2.5", 128, 32768, 1e6, {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
     [0, 1, 32767, 131071]),
    ("yarn with mscale", 16, 256, 10000.0, {"rope_type": "yarn", "factor": 4.0, "mscale": 1.0, "mscale_all_dim": 0.5,
                                           "beta_fast": 16, "beta_slow": 2, "original_max_position_embeddings": 64},
     [0, 1, 63, 255]),
    ("yarn without truncation", 16, 256, 10000.0, {"rope_type": "yarn", "factor": 4.0, "truncate": False, "beta_fast": 4,
                                                  "attention_factor": 1.3, "original_max_position_embeddings": 64},
     [0, 1, 63, 255]),
    ("yarn with a null factor", 16, 256, 10000.0, {"rope_type": "yarn", "factor": None,
                                                  "original_max_position_embeddings": 64}, [0, 1, 63, 255]),
    ("longrope, short", 16, 256, 10000.0, {"rope_type": "longrope", "short_factor": SHORT, "long_factor": LONG,
                                          "original_max_position_embeddings": 64}, list(range(64))),
    ("longrope, long", 16, 256, 10000.0, {"rope_type": "longrope", "short_factor": SHORT, "long_factor": LONG,
                                         "original_max_position_embeddings": 64}, list(range(65))),
    ("longrope with an attention factor", 16, 256, 10000.0,
     {"rope_type": "longrope", "short_factor": SHORT, "long_factor": LONG, "attention_factor": 1.05, "factor": 4.0,
      "original_max_position_embeddings": 64}, list(range(100))),
]


def main():
    entries = []
    for name, head_dim, max_positions, theta, scaling, positions in CASES:
        config = {"hidden_size": 4 * head_dim, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": head_dim,
                  "max_position_embeddings": max_positions, "rope_theta": theta}
        given = {"rope_scaling": dict(scaling)} if scaling else {}
        rope = LlamaRotaryEmbedding(LlamaConfig(**config, **given))
        cos, sin = rope(torch.zeros(1, dtype=torch.float32), torch.tensor([positions]))
        keep = sorted({0, 1, len(positions) // 2, len(positions) - 1})
        half = head_dim // 2
        entries.append({
            "name": name,
            "config": {**config, "rope_scaling": scaling},
            "positions": positions if len(positions) < 10 else len(positions),
            "inverse": rope.inv_freq.tolist(),
            "attention_factor": float(rope.attention_scaling),
            "rows": [{"row": row, "cos": cos[0, row, :half].tolist(), "sin": sin[0, row, :half].tolist()} for row in keep],
        })
    OUT.write_text(json.dumps({"entries": entries}) + "\n")


main()
