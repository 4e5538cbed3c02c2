# SPDX-License-Identifier: Apache-2.0
"""What make_gguf_architectures.py makes: by name the case of test/fixtures/families whose configuration it takes, what it
sets in it (... removes a key), and the type of the file's matrices."""

SMALL = {"hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 32,
         "num_hidden_layers": 2}
# The same of classes whose heads fill the hidden size.
FILLED = {**SMALL, "head_dim": ...}
EXPERTS = {"moe_intermediate_size": 32, "n_routed_experts": 4, "num_experts_per_tok": 2, "num_nextn_predict_layers": 0}
MLA = {**FILLED, "num_key_value_heads": 4, "kv_lora_rank": 32, "qk_nope_head_dim": 32, "qk_rope_head_dim": 16,
       "v_head_dim": 32, **EXPERTS}
# What converters make of these is a plain base, which the class computes of alpha otherwise.
PLAIN_ROPE = {"rope_scaling": None, "max_position_embeddings": 256}
SECTIONS = {"rope_theta": ..., "rope_scaling": ...,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 1, 1]}}
STATES = {"mamba_d_state": 16, "mamba_d_head": 16, "mamba_n_heads": 4, "mamba_d_ssm": 64, "mamba_n_groups": 2}

# What the converter multiplies the weights of Falcon-H1 with: Q8_0 still stands for them exactly.
POWERS_OF_TWO = {"attention_in_multiplier": 2.0, "attention_out_multiplier": 0.5, "embedding_multiplier": 4.0,
                 "key_multiplier": 0.5, "lm_head_multiplier": 0.5, "mlp_multipliers": [2.0, 0.5], "ssm_in_multiplier": 2.0,
                 "ssm_multipliers": [0.5, 0.5, 1.0, 2.0, 0.5], "ssm_out_multiplier": 0.5}

# What published files say beside the sizes, in the words of their own code, and the converter asks for.
NOMIC = {"n_positions": 8192, "max_trained_positions": 2048, "activation_function": "swiglu", "causal": False,
         "rotary_emb_fraction": 1.0, "rotary_emb_interleaved": False, "rotary_emb_scale_base": None, "prenorm": False,
         "qkv_proj_bias": False, "mlp_fc1_bias": False, "mlp_fc2_bias": False}

CASES = {
    "gpt-oss": {"family": "gpt_oss", "set": {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 8,
                "num_hidden_layers": 2, "layer_types": ["sliding_attention", "full_attention"],
                "swiglu_limit": 7.0, "swiglu_alpha": 1.702}},
    "deepseek2-lite": {"family": "deepseek_v2-lite", "set": {**MLA, "attention_bias": False}},
    "deepseek2-whole-latents": {"family": "deepseek_v2-lite", "whole_latents": True,
                                "set": {**MLA, "attention_bias": False, "num_hidden_layers": 1, "n_routed_experts": 2}},
    "deepseek2-v3": {"family": "deepseek_v3", "set": {**MLA, "n_group": 2, "topk_group": 1, "q_lora_rank": 32}},
    "glm4": {"family": "glm4", "set": SMALL},
    "glm4moe": {"family": "glm4_moe", "set": {**SMALL, **EXPERTS}},
    "lfm2": {"family": "lfm2", "set": {**FILLED, "num_hidden_layers": 2, "block_ff_dim": 48, "full_attn_idxs": [1]}},
    "lfm2moe": {"family": "lfm2_moe", "set": {**FILLED, "num_experts": 4, "moe_intermediate_size": 32,
                "layer_types": ["conv", "full_attention"]}},
    "qwen3next": {"family": "qwen3_next", "set": {**SMALL, "linear_key_head_dim": 16, "linear_value_head_dim": 16,
                  "linear_num_key_heads": 2, "linear_num_value_heads": 4, "num_experts": 4, "num_experts_per_tok": 2,
                  "shared_expert_intermediate_size": 32, "full_attention_interval": 2}},
    "qwen35": {"family": "qwen3_5_text", "set": {**SMALL, "head_dim": 32, "linear_key_head_dim": 32, "linear_value_head_dim": 32,
               "full_attention_interval": 2}},
    "qwen35moe": {"family": "qwen3_5_moe_text", "set": {**SMALL, "head_dim": 32, "linear_key_head_dim": 32, "linear_value_head_dim": 32,
                  "num_experts": 4, "num_experts_per_tok": 2, "shared_expert_intermediate_size": 32,
                  "full_attention_interval": 2}},
    # The text of models that see: their converters, and what the classes of text alone compute.
    "qwen2vl": {"class": "Qwen2VLForConditionalGeneration", "set": {**FILLED, **SECTIONS, "model_type": "qwen2",
                "architectures": ["Qwen2ForCausalLM"], "num_hidden_layers": 1}},
    "qwen3vl": {"class": "Qwen3VLForConditionalGeneration", "set": {**SMALL, **SECTIONS, "model_type": "qwen3",
                "architectures": ["Qwen3ForCausalLM"], "num_hidden_layers": 1}},
    "qwen3vlmoe": {"family": "qwen3_moe", "class": "Qwen3VLMoeForConditionalGeneration", "set": {**SMALL, **SECTIONS,
                   "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "num_hidden_layers": 1}},
    "llama4": {"family": "llama4_text", "set": {**SMALL, "num_hidden_layers": 4, "intermediate_size_mlp": 32,
               "num_local_experts": 4, "interleave_moe_layer_step": 2, "attention_chunk_size": 8192,
               "floor_scale": 8192, "attn_scale": 0.1}},
    "mistral3": {"family": "ministral3", "set": {**SMALL, "max_position_embeddings": 64}},
    "ernie4_5": {"family": "ernie4_5", "set": SMALL},
    "ernie4_5-moe": {"family": "ernie4_5_moe", "set": {**FILLED, "moe_num_experts": 4, "moe_num_shared_experts": 2,
                     "moe_layer_start_index": 1, "moe_layer_end_index": 1, "moe_intermediate_size": 32, "moe_k": 2}},
    "hunyuan-dense": {"family": "hunyuan_v1_dense", "set": {**SMALL, **PLAIN_ROPE}},
    "hunyuan-moe": {"family": "hunyuan_v1_moe", "set": {**SMALL, **PLAIN_ROPE, "num_experts": 4, "moe_topk": [2, 2],
                    "num_shared_expert": [1, 1], "moe_intermediate_size": [32, 32]}},
    "seed_oss": {"family": "seed_oss", "set": SMALL},
    "exaone": {"family": "exaone", "set": {**SMALL, "head_dim": 8, "num_layers": 2, "num_hidden_layers": ...}},
    "exaone4": {"family": "exaone4", "set": {**SMALL, "num_hidden_layers": 4, "sliding_window": 8}},
    "exaone4-global": {"family": "exaone4-global", "set": {**SMALL, "layer_types": ["full_attention"] * 2}},
    "command-r": {"family": "cohere", "set": {**FILLED, "use_qk_norm": False}},
    "cohere2": {"family": "cohere2", "set": {**FILLED, "rotary_pct": 1.0, "num_hidden_layers": 4, "sliding_window": 8}},
    "falcon-h1": {"family": "falcon_h1", "set": {**SMALL, **STATES, **POWERS_OF_TWO}},
    "granitemoe": {"family": "granitemoe", "set": {**FILLED, "num_local_experts": 4}},
    "granitemoe-shared": {"family": "granitemoeshared", "set": {**FILLED, "num_local_experts": 4,
                          "shared_intermediate_size": 32, "attention_bias": False}},
    "granitehybrid": {"family": "granitemoehybrid", "set": {**FILLED, **STATES, "mamba_d_ssm": ..., "num_local_experts": 4,
                      "shared_intermediate_size": 32, "layer_types": ["mamba", "attention"]}},
    "nemotron": {"family": "nemotron", "set": {**SMALL, "head_dim": 8}},
    "nemotron_h": {"family": "nemotron_h", "set": {"hidden_size": 32, "intermediate_size": 32, "mamba_head_dim": 16,
                   "mamba_num_heads": 4, "ssm_state_size": 16, "hybrid_override_pattern": "M*-", "num_hidden_layers": 3},
                   "unsaid": ["num_experts_per_tok"]},
    "nemotron_h_moe": {"family": "nemotron_h", "set": {"hidden_size": 32, "intermediate_size": 32, "mamba_head_dim": 16,
                       "mamba_num_heads": 4, "ssm_state_size": 16, "hybrid_override_pattern": "ME*", "num_hidden_layers": 3,
                       "moe_intermediate_size": 32, "moe_shared_expert_intermediate_size": 32, "n_routed_experts": 4,
                       "num_experts_per_tok": 2}},
    "internlm2": {"family": "internlm2", "set": {**FILLED, "rope_scaling": None, "max_position_embeddings": 256}},
    "stablelm": {"family": "stablelm", "set": {**FILLED, "num_key_value_heads": 4, "partial_rotary_factor": 0.5}},
    "phi2": {"family": "phi", "set": {**FILLED, "num_key_value_heads": 4, "intermediate_size": 128, "partial_rotary_factor": 0.5}},
    "gpt2": {"family": "gpt2", "set": {"n_embd": 32, "n_layer": 2, "n_positions": 64, "n_ctx": 64}},
    "gptneox": {"family": "gpt_neox", "set": {**FILLED, "num_key_value_heads": ..., "partial_rotary_factor": 0.5,
                "rotary_pct": 0.5}},
    "gptneox-sequential": {"family": "gpt_neox-sequential", "set": {**FILLED, "num_key_value_heads": ..., "rotary_pct": 0.5,
                           "hidden_act": "gelu", "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0,
                           "partial_rotary_factor": 0.5}}},
    "bloom": {"family": "bloom", "set": {"hidden_size": 32, "n_layer": 2}},
    "mpt": {"family": "mpt", "set": {"d_model": 32, "n_layers": 2}},
    "falcon": {"family": "falcon", "set": {"hidden_size": 32, "num_attention_heads": 4, "n_head": 4, "n_layer": 2,
               "num_hidden_layers": 2}},
    "falcon-multi-query": {"family": "falcon-multi-query", "set": {"hidden_size": 32, "n_layer": 2, "num_kv_heads": 1, "num_hidden_layers": 2}},
    "minicpm": {"family": "minicpm", "set": {**FILLED, "rope_scaling": {"rope_type": "longrope",
                "short_factor": [1.0, 1.1, 1.2, 1.3], "long_factor": [1.1, 1.4, 2.1, 4.0],
                "original_max_position_embeddings": 256}}},
    "minicpm3": {"family": "minicpm3", "set": {**FILLED, "num_key_value_heads": 4, "dim_model_base": 256, "rope_scaling": None}},
    "olmo": {"family": "olmo", "set": {**FILLED, "num_key_value_heads": 4}},
    "olmoe": {"family": "olmoe", "set": {**FILLED, "num_key_value_heads": 4, "num_experts": 4, "num_experts_per_tok": 2}},
    "bert": {"encoder": "bert", "set": {**FILLED, "num_key_value_heads": ..., "max_position_embeddings": 32}},
    "nomic-bert": {"encoder": "nomic_bert", "set": {**FILLED, **NOMIC, "num_key_value_heads": ...}},
    "gemma-embedding": {"encoder": "gemma3_text-bidirectional", "set": {**SMALL, "query_pre_attn_scalar": 16,
                        "sliding_window": 8, "num_key_value_heads": 1, "layer_types": ["sliding_attention"] * 2}},
    "dots1": {"family": "dots1", "set": {**SMALL, **EXPERTS, "num_key_value_heads": 4, "n_group": 1, "topk_group": 1,
              "sliding_window": None}},
    "gemma3n": {"family": "gemma3n_text", "set": {"hidden_size": 32, "intermediate_size": [64] * 4, "sliding_window": 8,
                "hidden_size_per_layer_input": 32, "vocab_size_per_layer_input": 60}},
    "chatglm": {"family": "chatglm", "set": {"hidden_size": 64, "num_attention_heads": 4, "ffn_hidden_size": 64,
                "num_layers": 2, "num_hidden_layers": 2, "padded_vocab_size": 64}},
    "deepseek": {"family": "deepseek", "set": {**FILLED, **EXPERTS, "num_key_value_heads": 4}},
    "arcee": {"family": "arcee", "set": SMALL},
    "mamba2": {"family": "mamba2", "set": {"hidden_size": 32, "head_dim": 16, "state_size": 16, "num_hidden_layers": 2}},
}
