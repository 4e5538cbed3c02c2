# SPDX-License-Identifier: Apache-2.0
"""What transformers computes: logits, greedy tokens with their margins, and what each module returns on the way."""

import sys
from contextlib import contextmanager

import torch
from transformers.pytorch_utils import Conv1D

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@torch.no_grad()
def forward(model, ids):
    """Logits [tokens, vocab] in float32 of one pass over the whole prompt."""
    return model(ids[None], use_cache=False).logits[0].float()


@torch.no_grad()
def greedy(model, ids, new_tokens, use_cache=True):
    """Greedy continuation [new_tokens], and how far each token's logit was ahead of the second best."""
    out = model.generate(ids[None], max_new_tokens=new_tokens, min_new_tokens=new_tokens, do_sample=False,
                         use_cache=use_cache, attention_mask=torch.ones_like(ids[None]),
                         return_dict_in_generate=True, output_logits=True)
    steps = torch.stack([x[0].float() for x in out.logits])
    tokens = out.sequences[0, len(ids):]
    assert len(tokens) == new_tokens and torch.equal(tokens, steps.argmax(-1))
    top = steps.topk(2).values
    return tokens, top[:, 0] - top[:, 1]


def free_generation(model):
    """Nothing that a configuration says about generation counts: only greedy and the length matter here."""
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0
    return model.eval()


def random_prompt(length, vocab):
    """Token ids [length] that depend on the length alone; the first is 1."""
    gen = torch.Generator().manual_seed(1000 + length)
    ids = torch.randint(3, vocab, (length,), generator=gen)
    ids[0] = 1
    return ids


def first_tensor(value):
    """The tensor of a module's output: itself, or the first of a tuple or of a dataclass."""
    if isinstance(value, torch.Tensor):
        return value
    if isinstance(value, (tuple, list)) and value:
        return first_tensor(value[0])
    if hasattr(value, "to_tuple"):
        return first_tensor(value.to_tuple())
    return None


def by_token(value, tokens):
    """[1, tokens, ...] or [1, heads, tokens, ...] as [tokens, ...]; anything else as it is.  float32 where floating."""
    if value.ndim >= 3 and value.shape[0] == 1:
        value = value[0]
        if value.shape[0] != tokens and value.ndim >= 3 and value.shape[1] == tokens:
            value = value.transpose(0, 1)
    value = value.detach()
    return (value.float() if value.is_floating_point() else value).clone().contiguous()


def same(a, b):
    """Whether two tensors are one piece of memory.  Both must be alive."""
    return a.data_ptr() == b.data_ptr() and a.numel() == b.numel()


@contextmanager
def recorded(model, tokens):
    """Yields a dict that forward passes of `tokens` tokens fill; see reference.py for the names."""
    found, handles, ours, wrapped = {}, [], [], []

    def add(name, value):
        if isinstance(value, torch.Tensor) and value.numel() > 0:
            # A module that runs more than once (an expert, a layer that is shared) keeps its first call.
            found.setdefault(name, by_token(value, tokens))

    def after(name):
        def hook(_module, _args, output):
            value = first_tensor(output)
            if value is not None:
                add(name, value)
                ours.append(value)
        return hook

    def before(name):
        def hook(_module, args):
            # What no module returned was computed between modules: attention before its projection, a gated product.
            if args and isinstance(args[0], torch.Tensor) and args[0].is_floating_point():
                if not any(same(args[0], value) for value in ours):
                    add(f"{name}:input", args[0])
                    ours.append(args[0])
        return hook

    paths = {module: name for name, module in model.named_modules()}
    for module, name in paths.items():
        if not name:
            continue
        handles.append(module.register_forward_hook(after(name)))
        if not list(module.children()):
            handles.append(module.register_forward_pre_hook(before(name)))

    def wrap(inner):
        def attention(module, query, key, value, *args, **kwargs):
            for part, tensor in (("query", query), ("key", key), ("value", value)):
                add(f"{paths.get(module, 'attention')}:{part}", tensor)
            return inner(module, query, key, value, *args, **kwargs)
        return attention

    # Eager attention is a function of the model's own file, which is looked up at each call.
    for source in {sys.modules[type(module).__module__] for module in paths}:
        inner = getattr(source, "eager_attention_forward", None)
        if inner is not None:
            source.eager_attention_forward = wrap(inner)
            wrapped.append((source, inner))
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
        for source, inner in wrapped:
            source.eager_attention_forward = inner


def conv1d_weights(model):
    """Names of weights stored [in, out]."""
    return {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, Conv1D)}
