"""Makes the inputs of a step as manifest.json's recipes say. One sequence, whose blocks are 0, 1, 2, ..."""
import math

import torch

from inserts import axis_positions, counts_for, deep_index, deep_rows, embedding_rows, grid_positions, inserted_rows, seen_keys
from weights import TORCH_DTYPES

TRIANGLE = 128


class Step:
    """`count` tokens of one sequence, from position `start` on; `inserts` is what stands in all of it that is no text."""

    def __init__(self, token_ids, start, prompt_length, block_size, num_blocks, inserts):
        self.token_ids = token_ids
        self.start = start
        self.count = len(token_ids)
        self.context = start + self.count
        self.prompt_length = prompt_length
        self.block_size = block_size
        self.num_blocks = num_blocks
        self.positions = torch.arange(start, self.context)
        self.inserts = inserts

    def blocks(self):
        return torch.arange(self.num_blocks).reshape(1, -1)


def hidden(queries, keys, window, both_ways=False, seen=None, chunk=None):
    """Where a query must not look: keys after it, or with `seen` behind so many, and keys a window or more before it, or
    in an earlier chunk of positions; with both_ways keys more than a window away."""
    behind = queries.reshape(-1, 1) - torch.arange(keys)
    if both_ways:
        return behind.abs() > window
    blocked = behind < 0 if seen is None else torch.arange(keys) >= seen.reshape(-1, 1)
    if chunk is not None:
        blocked = blocked | (torch.arange(keys) < (queries - queries % chunk).reshape(-1, 1))
    return blocked if window is None else blocked | (behind >= window)


def make_mask(recipe, step, blocked_value):
    form, window, chunk = recipe["form"], recipe.get("windowSize"), recipe.get("chunkSize")
    if form == "triangle":
        blocked = hidden(torch.arange(TRIANGLE), TRIANGLE, window)
    elif form == "positions":
        both_ways = recipe.get("bothWays", False)
        blocked = hidden(torch.arange(step.context), step.context, window, both_ways, chunk=chunk)
    elif form == "sequences":
        queries = torch.arange(step.context)
        blocked = hidden(queries, step.context, window, seen=seen_keys(step, queries)).unsqueeze(0)
    elif form == "tokens":
        seen = seen_keys(step, step.positions) if recipe.get("seesInserts") else None
        blocked = hidden(step.positions, step.context, window, seen=seen)
    else:
        blocked = hidden(step.positions[-1:], step.context, window, chunk=chunk).unsqueeze(0)
    return torch.zeros(blocked.shape).masked_fill(blocked, blocked_value)


def make_alibi_mask(recipe, step, blocked_value):
    """Of each head slope * (key - query): [heads, context, context], or of each token [tokens, heads, 1, context]."""
    queries = step.positions if recipe["form"] == "tokens" else torch.arange(step.context)
    distances = torch.arange(step.context) - queries.reshape(-1, 1)
    slopes = torch.tensor(recipe["slopes"]).reshape(-1, 1, 1)
    mask = (slopes * distances).masked_fill(hidden(queries, step.context, None), blocked_value)
    return mask.transpose(0, 1).unsqueeze(2) if recipe["form"] == "tokens" else mask


def rotary_rows(recipe, positions, lengths):
    """cos or sin [rows, headDim] in float32; `lengths`: of the sequence, as far as each row knows it."""
    frequencies, dim = recipe["frequencies"], recipe["rotaryDim"]
    by = frequencies["by"]
    if by == "position":
        inverse = torch.tensor(frequencies["inverse"]).reshape(1, -1)
    elif by == "long_or_short":
        is_long = (lengths > frequencies["originalMaxPositionEmbeddings"]).reshape(-1, 1)
        inverse = torch.where(is_long, torch.tensor(frequencies["long"]), torch.tensor(frequencies["short"]))
    elif by == "dynamic_length":
        limit, factor, theta = (frequencies[key] for key in ("maxPositionEmbeddings", "factor", "theta"))
        stretch = (factor * lengths.float() / limit - (factor - 1)).clamp(min=1.0)
        base = (theta * stretch ** (dim / (dim - 2))).reshape(-1, 1)
        inverse = 1.0 / base ** (torch.arange(0, dim, 2).float() / dim)
    else:
        raise ValueError(f"unknown frequencies: {by}")
    angles = positions.float().reshape(-1, 1) * inverse
    turned = (angles.cos() if recipe["part"] == "cos" else angles.sin()) * recipe["attentionFactor"]
    rest = (recipe["headDim"] - dim) // 2
    still = torch.full((turned.shape[0], rest), 1.0 if recipe["part"] == "cos" else 0.0)
    half = torch.cat([turned, still], dim=1)
    if "kept" in recipe:
        kept = torch.zeros(half.shape[1])
        kept[recipe["kept"]] = 1
        half = half * kept
    return torch.cat([half, half], dim=1)


def sinusoids(recipe, positions):
    """A vector of each position: sines, then cosines."""
    half = recipe["hiddenSize"] // 2
    frequencies = torch.exp(torch.arange(half).float() * -(math.log(10000) / recipe.get("steps", half - 1)))
    rows = torch.arange(positions) + recipe["firstRow"]
    angles = rows.float().reshape(-1, 1) * frequencies
    table = torch.cat([angles.sin(), angles.cos()], dim=1)
    table[rows == recipe.get("zeroRow", -1)] = 0
    return table


def make_input(name, described, step, manifest, max_positions):
    recipe = described.get("recipe")
    if recipe is None:
        raise ValueError(f"manifest.json does not say how {name} is made: make it in step_inputs.py")
    made = recipe["made"]
    if made == "token_ids":
        return torch.tensor(step.token_ids)
    if made == "positions":
        return step.positions
    if made == "row_numbers":
        return torch.arange(step.count)
    if made == "range":
        return torch.arange(recipe["count"])
    if made == "slots":
        # Block i of the sequence is block i of the cache.
        return step.positions
    if made == "block_tables":
        return step.blocks()
    if made == "block_tables_of_tokens":
        return step.blocks().expand(step.count, -1)
    if made == "context_lengths_of_tokens":
        return step.positions + 1
    if made == "context_lengths":
        return torch.tensor([step.context])
    if made == "query_lengths":
        return torch.tensor([step.count])
    if made == "last_rows":
        return torch.tensor([step.count - 1])
    if made == "inserted_rows":
        return inserted_rows(step, described["shape"][1])
    if made == "embedding_rows":
        return embedding_rows(step)
    if made == "insert_shares":
        return torch.full((step.count, 1), recipe["scale"] if counts_for(step, recipe.get("of")) else 0.0)
    if made == "deep_rows":
        return deep_rows(step, described["shape"][1], recipe["level"])
    if made == "deep_index":
        return deep_index(step)
    if made == "axis_positions":
        return axis_positions(step, recipe["axis"])
    if made == "grid_positions":
        return grid_positions(step, recipe["axis"])
    if made == "mask":
        return make_mask(recipe, step, manifest["mask_values"][recipe["reader"]])
    if made == "alibi_mask":
        # SelfAttention, too, adds these masks as they are.
        return make_alibi_mask(recipe, step, manifest["mask_values"]["PagedAttention"])
    if made == "query_scales":
        if "power" in recipe:
            grown = 1 + (step.positions + recipe["first"]).float() / recipe["length"]
            return (grown ** recipe["power"]).reshape(-1, 1)
        steps = ((step.positions + recipe["first"]) // recipe["length"]).float()
        return (1 + recipe["beta"] * torch.log(1 + steps)).reshape(-1, 1)
    if made == "sinusoids":
        return sinusoids(recipe, max_positions)
    if made == "rotary":
        if recipe["frequencies"]["by"] == "position":
            return rotary_rows(recipe, torch.arange(max_positions), None)
        lengths = torch.clamp(step.positions + 1, min=step.prompt_length)
        return rotary_rows(recipe, step.positions, lengths)
    raise ValueError(f"{name} is made by {made}, which this program does not know")


def make_inputs(manifest, kind, step, max_positions, device):
    """The step's inputs on the device, by name."""
    inputs = {}
    for name, described in manifest["step_inputs"][kind].items():
        tensor = make_input(name, described, step, manifest, max_positions)
        inputs[name] = tensor.to(TORCH_DTYPES[described["dtype"]]).contiguous().to(device)
    return inputs
