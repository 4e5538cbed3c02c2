# SPDX-License-Identifier: Apache-2.0
"""How large a random weight must be so that a mistake in its use changes the logits.

Weights as a training run begins with (norms of 1, biases of 0, everything else small) hide mistakes: a forgotten norm, a
bias that nobody adds, or attention that is nearly uniform leaves the logits as they were.  These scales keep logits and
attention scores spread out, and give each norm weight and bias a value that matters.

With them each tensor of 96 small checkpoints of 49 families, put to its neutral value (0, or the norm's 1), moved some
output by more than 0.02. Two kinds cannot: biases of keys without rotary embedding, which move all scores of a row
alike, and the pooler of an encoder, which comes after its vectors.

Names are those of Hugging Face checkpoints; a tensor's role is read from the last parts of its name.
"""

import re

# Norms of query and key lie around this, above 1: it spreads the attention scores, which a norm would otherwise bound.
QK_NORM_MEAN = 1.3
NORM_STD = 0.3
BIAS_STD = 0.3
TIED_EMBEDDING_STD = 0.2

NORM = re.compile(r"(norm|norms\.\d+|(^|[._])ln(_\w+)?)\.weight$", re.IGNORECASE)
QK_NORM = re.compile(r"(q|k|query|key)_(layer)?norm")
# A product that follows an embedding is none, whatever its name begins with.
EMBEDDING = re.compile(r"(embed(?!dings_project)\w*|wte|wpe|embd)\.weight$")
# What names a matrix, standard deviation of its outputs for inputs of unit size, the same with tied embeddings.
# The first row that matches holds.
MATRICES = [
    (re.compile(r"(lm_head|embed_out|output_layer|score|classifier(\.out_proj)?)$"), 2.0, 2.0),
    # A router must prefer some experts clearly.
    (re.compile(r"(mlp|moe|block_sparse_moe|feed_forward)\.(gate|router)(\.wg)?$|shared_expert_gate$"), 2.0, 2.0),
    (re.compile(r"(^|\.)(q_proj|k_proj|query|key|q_b_proj|kv_a_proj_with_mqa)$"), 1.25, 1.25),
    (re.compile(r"(qkv_proj|query_key_value|c_attn|W_pack|Wqkv|wqkv|qkv)$"), 1.25, 1.25),
    (re.compile(r"(^|\.)(v_proj|value)$"), 1.0, 1.0),
    (re.compile(r"(o_proj|out_proj|wo|attn\.c_proj|(attention|attn)\.dense|attention\.output\.dense)$"), 0.9, 0.3),
    (re.compile(r"(down_proj|dense_4h_to_h|fc2|w2|c_proj|output\.dense)$"), 0.7, 0.3),
    # Zamba: what makes steps, B and C. Nothing norms them, and what comes out is a product of three of them.
    (re.compile(r"x_proj_weight$"), 0.5, 0.5),
    # Zamba2: what adapters add to a projection, and what a transformer adds to a mixer's input.
    (re.compile(r"adapter_list\.\d+\.1$"), 0.3, 0.3),
    (re.compile(r"layers\.\d+\.linear$"), 0.4, 0.1),
    (re.compile(r""), 1.2, 1.2),
]


def is_norm(name, ndim):
    return NORM.search(name) is not None or (ndim == 1 and name.endswith(".weight"))


def is_embedding(name):
    return EMBEDDING.search(name) is not None


def mean_and_std(name, shape, tied, fan_in=None, norm_mean=1.0):
    """Mean and standard deviation of the weight of this name and shape.

    tied: whether the output head is the embedding.  fan_in: how many inputs each output sums; the last size of the shape
    unless given (Conv1D of gpt2 stores [in, out]).  norm_mean: the value at which a norm's weight does nothing, 0 for
    norms that multiply by 1 + weight.
    """
    if is_norm(name, len(shape)):
        return norm_mean + (QK_NORM_MEAN - 1 if QK_NORM.search(name) else 0.0), NORM_STD
    if is_embedding(name):
        return 0.0, TIED_EMBEDDING_STD if tied else 1.0
    if name.endswith("layer_scalar"):
        # It multiplies all that a layer gives.
        return 1.0, NORM_STD
    if re.search(r"hc_\w*scale$", name):
        # What hyper-connections multiply by before their sigmoids.
        return 1.0, NORM_STD
    if name.endswith("ssmax_scaling.b"):
        # What queries are multiplied by before they grow.
        return 1.0, NORM_STD
    if name.endswith(".ape"):
        # What a token's place in a window adds to its gates.
        return 0.0, 1.0
    if len(shape) == 1 or name.endswith("bias"):
        return 0.0, BIAS_STD
    path = name.removesuffix(".weight")
    free, when_tied = next((a, b) for pattern, a, b in MATRICES if pattern.search(path))
    return 0.0, (when_tied if tied else free) / (fan_in or shape[-1]) ** 0.5
