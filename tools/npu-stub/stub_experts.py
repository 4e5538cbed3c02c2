"""What operations of experts compute: who is asked (ATB), and how rows go there and come back (MindIE's aclnn operations)."""
import torch

from stub_checks import require

TORCH_DTYPES = {
    "ACL_FLOAT": torch.float32,
    "ACL_FLOAT16": torch.float16,
    "ACL_BF16": torch.bfloat16,
    "ACL_INT8": torch.int8,
    "ACL_INT32": torch.int32,
    "ACL_INT64": torch.int64,
}


def softmax(param, tensors):
    [x] = tensors
    [axis] = param["axes"]
    return [x.float().softmax(axis).to(x.dtype)]


class Choices:
    """Experts that somebody else chose for each token of a text, [layers][tokens][chosen], for steps that go on in it.

    Scores that differ by less than the roundings before them may rank either way; what is further apart may not.
    """

    # Of a token's largest score: what a few roundings to bf16 move the logits by that scores are made of.
    NEAR = 1 / 16
    # Scores of groups that were not chosen are lower.
    NEVER = -1e29

    def __init__(self, layers):
        self.layers = [torch.tensor(rows) for rows in layers]
        self.layer, self.first = 0, 0

    def next(self, tokens):
        """What the next choice of experts, of so many tokens, will be: those of the next layer, or of the next step's first."""
        return self.layers[self.layer][self.first : self.first + tokens]

    def of(self, scores, own):
        """Instead of `own`, the best of `scores` [tokens, experts]."""
        chosen = self.next(len(scores))
        self.layer = (self.layer + 1) % len(self.layers)
        self.first = self.first + len(scores) if self.layer == 0 else self.first
        self.require_near(scores, chosen, own)
        return chosen

    def require_near(self, scores, chosen, own):
        least, least_own = (scores.gather(-1, each).amin(-1).float() for each in (chosen, own))
        largest = scores.masked_fill(scores < self.NEVER, 0).abs().amax(-1).float()
        gap = (least_own - least).max().item()
        require(bool((least_own - least <= self.NEAR * largest).all()), f"an expert lacks {gap} to be chosen")


# Set by who runs a program; without any, the highest scores are chosen.
choices = None


def sort(param, tensors):
    [x] = tensors
    kept = param["num"][0]
    values, indices = x.sort(dim=-1, descending=True, stable=True)
    if choices is not None:
        indices = choices.of(x, indices[..., :kept])
        values = x.gather(-1, indices)
    return [values[..., :kept].contiguous(), indices[..., :kept].to(torch.int32)]


def group_topk(param, tensors):
    """Scores of the groups that are not among the best become 0, in place."""
    x = tensors[0]
    groups = x.unflatten(-1, (param["groupNum"], -1)).float()
    scored = param["n"] if param["groupMultiFlag"] == 1 else 1
    scores = groups.topk(scored, dim=-1).values.sum(-1)

    def best_groups(scores):
        return scores.sort(dim=-1, descending=True, stable=True).indices[..., : param["k"]]

    best = best_groups(scores)
    if choices is not None:
        # Groups of experts that somebody chose come first.
        wanted = choices.next(len(x)) // groups.shape[-1]
        choices.require_near(scores, wanted, best)
        best = best_groups(scores.scatter(-1, wanted, torch.inf))
    kept = torch.zeros_like(scores).scatter(-1, best, 1.0)
    x.copy_((groups * kept.unsqueeze(-1)).flatten(-2))
    return [x]


def init_routing(param, tensors):
    """Rows by their experts, the row of each choice, and how many rows the experts up to each one have."""
    x, chosen = tensors
    experts = chosen.flatten().long()
    order = experts.argsort(stable=True)
    places = torch.empty_like(order)
    places[order] = torch.arange(len(order))
    ends = experts.bincount(minlength=param["expertNum"]).cumsum(0)
    return [x[order // param["topkNum"]], places.to(torch.int32), ends.to(torch.int32)]


def grouped_matmul(param, tensors):
    x, weight, *bias, ends = tensors
    out = torch.empty(x.shape[0], weight.shape[1])
    begin = 0
    for expert, end in enumerate(ends.tolist()):
        y = x[begin:end].float() @ weight[expert].float().t()
        out[begin:end] = y + bias[0][expert].float() if bias else y
        begin = end
    return [out.to(TORCH_DTYPES[param["outDataType"]])]


def token_unpermute(param, tensors):
    rows, places, weights = tensors
    chosen = rows[places.long()].float().unflatten(0, weights.shape)
    return [(chosen * weights.float().unsqueeze(-1)).sum(1).to(rows.dtype)]


EXPERT_KERNELS = {
    "Cast": lambda param, tensors: [tensors[0].to(TORCH_DTYPES[param["dtype"]])],
    "GroupTopk": group_topk,
    "GroupedMatmul": grouped_matmul,
    "MoeInitRouting": init_routing,
    "MoeTokenUnpermute": token_unpermute,
    "Softmax": softmax,
    "Sort": sort,
    # w/o a param, aclnnLinalgVectorNorm of MindIE has the order 1.
    "VectorNorm": lambda param, tensors: [tensors[0].float().abs().sum(-1, keepdim=True).to(tensors[0].dtype)],
}
