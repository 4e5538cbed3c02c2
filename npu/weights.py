"""Reads a checkpoint's weights as manifest.json says: from safetensors files, by offset, changed and packed."""
import os

import numpy as np
import torch

TORCH_DTYPES = {
    "float": torch.float32,
    "float16": torch.float16,
    "bf16": torch.bfloat16,
    "int8": torch.int8,
    "uint8": torch.uint8,
    "int32": torch.int32,
    "int64": torch.int64,
}

# NumPy has no bfloat16: its bits are read as integers.
NUMPY_DTYPES = {
    "float": np.float32,
    "float16": np.float16,
    "bf16": np.int16,
    "int8": np.int8,
    "uint8": np.uint8,
    "int32": np.int32,
    "int64": np.int64,
}


def read_part(part, directory):
    """Rows of a weight, in the dtype of the file or, after arithmetic, in float32."""
    dtype = part["dtype"]
    if "value" in part:
        return torch.full(part["shape"], part["value"], dtype=torch.float32)
    count = int(np.prod(part["shape"], dtype=np.int64))
    path = os.path.join(directory, part["file"])
    values = np.fromfile(path, NUMPY_DTYPES[dtype], count, offset=part["offset"])
    if values.size != count:
        raise ValueError(f"{path} ends before the {count} numbers at byte {part['offset']}")
    tensor = torch.from_numpy(values)
    if dtype == "bf16":
        tensor = tensor.view(torch.bfloat16)
    tensor = tensor.reshape(part["shape"])
    if part.get("transposed"):
        tensor = tensor.t()
    if "row_order" in part:
        tensor = tensor[torch.tensor(part["row_order"])]
    if part.get("unit_rows"):
        tensor = torch.nn.functional.normalize(tensor.float(), dim=1)
    if "times" in part or "plus" in part:
        tensor = tensor.float() * part.get("times", 1.0) + part.get("plus", 0.0)
    return tensor.contiguous()


def read_weight(weight, weights, directory):
    """One tensor of the graphs: its parts one below the other, in their order of packing."""
    dtype = TORCH_DTYPES[weight["dtype"]]
    parts = [read_part(part, directory) for part in weight["parts"]]
    if dtype == torch.int8:
        # Two 4-bit integers in a byte may be stored as uint8; their bits are what counts.
        parts = [part.view(torch.int8) if part.dtype == torch.uint8 else part for part in parts]
    if "row_scales" in weight:
        # An embedding that is tied to a head of integers.
        scales = torch.cat([read_part(part, directory) for part in weights[weight["row_scales"]]["parts"]])
        parts = [torch.cat(parts).float() * scales.float().reshape(-1, 1)]
    if dtype == torch.int64:
        # Scales of products of int8 that give float16: ATB takes their bits, in words.
        parts = [part.float().view(torch.int32) for part in parts]
    tensor = torch.cat([part.to(dtype) for part in parts])
    return tensor.reshape(weight["shape"]).contiguous()


def read_weights(manifest, directory, device):
    weights = manifest["weights"]
    return {name: read_weight(weight, weights, directory).to(device) for name, weight in weights.items()}


def make_caches(manifest, num_blocks, device):
    caches = {}
    for cache in manifest["caches"]:
        dtype = TORCH_DTYPES[cache["dtype"]]
        shape = [num_blocks, manifest["block_size"], cache["heads"]]
        caches[cache["key"]] = torch.zeros(shape + [cache["key_size"]], dtype=dtype, device=device)
        if "value" in cache:
            caches[cache["value"]] = torch.zeros(shape + [cache["value_size"]], dtype=dtype, device=device)
    return caches
