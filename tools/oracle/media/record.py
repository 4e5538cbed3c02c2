# SPDX-License-Identifier: Apache-2.0
"""Records what a model computes of prompts that show or play it something."""

import torch
import transformers
from safetensors.torch import save_file

from make_family_fixture import LARGEST, NEW_TOKENS, rounded, rows_of
from reference import check


@torch.no_grad()
def logits(model, prompt, more=()):
    # Without it the class goes on where the prompt before ended.
    if hasattr(getattr(model, "model", None), "rope_deltas"):
        model.model.rope_deltas = None
    return model(**prompt.inputs(more), use_cache=False).logits[0].float()


def record(fresh, prompt):
    model = fresh()
    out, tokens, margins = logits(model, prompt), [], []
    for _ in range(NEW_TOKENS):
        best = logits(model, prompt, tokens)[-1].topk(2)
        tokens.append(int(best.indices[0]))
        margins.append(float(best.values[0]) - float(best.values[1]))
    rows = rows_of(len(prompt.ids))
    found = {"tokens": torch.tensor(prompt.ids), "rows": rows, "logits": out[rows],
             "logits_bf16": logits(rounded(fresh()), prompt)[rows], "greedy": torch.tensor(tokens),
             "greedy_margin": torch.tensor(margins)}
    placed = prompt.positions(model)
    if placed is not None:
        found["positions"] = placed
    if prompt.media:
        with torch.no_grad():
            rows = prompt.encoded(model)
        kept = rows_of(len(rows))
        found |= {"media": torch.tensor(prompt.media), "encoded_rows": kept, "encoded": rows[kept]}
    return found


def save_reference(out, found, **by):
    """Writes what was recorded and says how much it would show. by: what computed it."""
    check({name: value for name, value in found.items() if not name.endswith("media")})
    file = out / "reference.safetensors"
    save_file(found, file, metadata={"transformers": transformers.__version__, **by,
                                     "torch": torch.__version__.split("+")[0]})
    file.chmod(0o644)
    size = sum(path.stat().st_size for path in out.iterdir())
    spread = lambda end: torch.cat([value for name, value in found.items() if name.endswith(end)]).std().item()
    margin = min(value.min().item() for name, value in found.items() if name.endswith("margin"))
    print(f"{out}: {size} bytes, std of logits {spread('/logits'):.2f}, of encoded rows {spread('/encoded'):.2f}, "
          f"smallest margin {margin:.2g}")
    if size > 2 * LARGEST:
        raise SystemExit(f"larger than {2 * LARGEST} bytes")
