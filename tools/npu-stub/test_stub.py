"""The stubs go red for what ATB and MindIE refuse, or would take for something else. Needs PyTorch, no NPU:

    python tools/npu-stub/test_stub.py
"""
import json
import unittest

import torch

import _libatb_torch as mindie
import torch_atb
from stub_checks import StubError
from stub_experts import Choices
from stub_graph import StubOperation

NORM = {"layerType": "RMS_NORM_NORM", "normParam": {"epsilon": 1e-5}}
LAYER_NORM = {"layerType": "LAYER_NORM_NORM", "normParam": {"epsilon": 1e-5, "beginNormAxis": 1}}
LINEAR = {"transposeB": True, "hasBias": False}
ENCODER = {"calcType": "PA_ENCODER", "headNum": 2, "kvHeadNum": 1, "qkScale": 0.25}
PAGED = {"headNum": 2, "kvHeadNum": 1, "qkScale": 0.25}
LATENT = {"headNum": 2, "kvHeadNum": 1, "qkScale": 0.25, "mlaVHeadSize": 12}
TOPK = {"groupNum": 2, "k": 1, "groupMultiFlag": 1, "n": 2}
SPEC = {**PAGED, "maskType": "MASK_TYPE_NORM", "calcType": "CALC_TYPE_SPEC"}


def f16(*shape):
    return torch.zeros(shape, dtype=torch.float16)


def bf16(*shape):
    return torch.zeros(shape, dtype=torch.bfloat16)


def int32(*shape):
    return torch.zeros(shape, dtype=torch.int32)


def int8(*shape):
    return torch.zeros(shape, dtype=torch.int8)


def run(op, param, *tensors, on_host=True):
    return StubOperation(op, param).execute(list(tensors), [on_host] * len(tensors))


def packed(**changes):
    """What SelfAttention reads: 3 tokens of one prompt."""
    tensors = {"q": f16(3, 2, 16), "k": f16(3, 1, 16), "v": f16(3, 1, 16), "lengths": int32(1) + 3, **changes}
    return list(tensors.values())


def cached(**changes):
    """What PagedAttention reads: one token of each of 2 sequences, in blocks of 16."""
    cache = f16(4, 16, 1, 16)
    tensors = {"q": f16(2, 2, 16), "k": cache, "v": cache, "tables": int32(2, 1), "lengths": int32(2) + 1, **changes}
    return list(tensors.values())


def latent(**changes):
    """The same without values, which are parts of keys."""
    tensors = cached(**changes)
    return tensors[:2] + tensors[3:]


def several_latent(**changes):
    """3 tokens of one sequence against the cache, and what each of them sees."""
    return [*latent(q=f16(3, 2, 16), tables=int32(1, 1), lengths=int32(1) + 3, **changes), f16(3, 3), int32(1) + 3]


def turned(width=16, **changes):
    tensors = {"q": f16(3, 2 * width), "k": f16(3, width), "cos": f16(3, width), "sin": f16(3, width), **changes}
    return [*tensors.values(), int32(1)]


class Legal(unittest.TestCase):
    def test_what_exports_write_is_accepted(self):
        for op, param, tensors in [
            ("RmsNorm", NORM, [f16(3, 16), f16(16)]),
            ("LayerNorm", LAYER_NORM, [f16(3, 8), f16(8), f16(8)]),
            ("Linear", LINEAR, [f16(3, 8), f16(5, 8)]),
            ("Rope", {"rotaryCoeff": 2}, turned()),
            ("SelfAttention", ENCODER, packed()),
            ("PagedAttention", PAGED, cached()),
            ("Activation", {"activationType": "ACTIVATION_RELU"}, [bf16(3, 8)]),
            ("Elewise", {"elewiseType": "ELEWISE_MUL"}, [f16(3, 8), f16(8)]),
            ("Split", {"splitDim": 1, "splitNum": 3, "splitSizes": [4, 2, 2]}, [f16(3, 8)]),
            ("PagedAttention", LATENT, latent()),
            ("PagedAttention", {**LATENT, "maskType": "MASK_TYPE_SPEC", "calcType": "CALC_TYPE_SPEC"}, several_latent()),
            ("ReshapeAndCache", {"kvCacheCfg": "K_CACHE_V_BYPASS"}, [f16(3, 1, 16), f16(4, 16, 1, 16), int32(3)]),
            ("Elewise", {"elewiseType": "ELEWISE_CAST", "outTensorType": "ACL_FLOAT"}, [bf16(3, 8)]),
            ("GroupTopk", TOPK, [f16(3, 8), int32(1024)]),
            ("Sort", {"num": [2]}, [f16(3, 8)]),
        ]:
            with self.subTest(op):
                run(op, param, *tensors)

    def test_results_are_those_of_pytorch(self):
        x, gamma, beta = torch.randn(3, 8), torch.randn(8), torch.randn(8)
        [normed] = run("LayerNorm", LAYER_NORM, x, gamma, beta)
        centred = x - x.mean(-1, keepdim=True)
        expected = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * gamma + beta
        torch.testing.assert_close(normed, expected)
        q, k, v = torch.randn(3, 2, 16), torch.randn(3, 1, 16), torch.randn(3, 1, 16)
        mask = torch.zeros(128, 128).masked_fill(torch.ones(128, 128).triu(1).bool(), -65504)
        param = {**ENCODER, "maskType": "MASK_TYPE_NORM", "isTriuMask": 1}
        [out] = run("SelfAttention", param, q, k, v, mask, int32(1) + 3)
        heads = [each.transpose(0, 1) for each in (q, k.expand(3, 2, 16), v.expand(3, 2, 16))]
        expected = torch.nn.functional.scaled_dot_product_attention(*heads, is_causal=True, scale=0.25)
        torch.testing.assert_close(out, expected.transpose(0, 1))

    def test_latent_values_are_the_first_numbers_of_keys(self):
        q, keys = torch.randn(3, 2, 16), torch.randn(3, 1, 16)
        heads = [each.transpose(0, 1) for each in (q, keys.expand(3, 2, 16), keys[..., :12].expand(3, 2, 12))]
        expected = torch.nn.functional.scaled_dot_product_attention(*heads, is_causal=True, scale=0.25).transpose(0, 1)
        for dtype, blocked in ((torch.float32, -65504.0), (torch.bfloat16, 1.0)):
            mask = torch.zeros(128, 128).masked_fill(torch.ones(128, 128).triu(1).bool(), blocked).to(dtype)
            prompt = {**LATENT, "calcType": "PA_ENCODER", "maskType": "MASK_TYPE_NORM", "isTriuMask": 1}
            [whole] = run("SelfAttention", prompt, q.to(dtype), keys.to(dtype), mask, int32(1) + 3)
            cache = torch.zeros(4, 16, 1, 16, dtype=dtype)
            run("ReshapeAndCache", {"kvCacheCfg": "K_CACHE_V_BYPASS"}, keys.to(dtype), cache, torch.arange(3, dtype=torch.int32))
            spec = {**LATENT, "maskType": "MASK_TYPE_SPEC", "calcType": "CALC_TYPE_SPEC"}
            [pieces] = run("PagedAttention", spec, q.to(dtype), cache, int32(1, 1), int32(1) + 3, mask[:3, :3].contiguous(), int32(1) + 3)
            tolerance = {"rtol": 0.02, "atol": 0.02} if dtype == torch.bfloat16 else {"rtol": 1e-5, "atol": 1e-5}
            torch.testing.assert_close(whole.float(), expected, **tolerance)
            torch.testing.assert_close(pieces.float(), expected, **tolerance)

    def test_rows_come_back_from_their_experts(self):
        x, weight = torch.randn(4, 8), torch.randn(3, 5, 8)
        chosen = torch.tensor([[2, 0], [0, 1], [1, 2], [2, 1]], dtype=torch.int32)
        probs = torch.rand(4, 2)
        rows, places, ends = run("MoeInitRouting", {"topkNum": 2, "expertNum": 3}, x, chosen)
        param = {"transposeB": True, "hasBias": False, "quantType": 0, "outDataType": "ACL_FLOAT"}
        [multiplied] = run("GroupedMatmul", param, rows, weight, ends.long())
        [out] = run("MoeTokenUnpermute", {}, multiplied, places, probs)
        expected = torch.einsum("tk,tknd,td->tn", probs, weight[chosen.long()], x)
        torch.testing.assert_close(out, expected)

    def test_groups_are_scored_by_their_best(self):
        x = torch.tensor([[9.0, 0, 0, 0, 5, 5, 0, 0], [0, 4, 4, 0, 7, 0, 0, 0]])
        [out] = run("GroupTopk", TOPK, x, int32(1024))
        self.assertIs(out, x)
        self.assertEqual(x.tolist(), [[0, 0, 0, 0, 5, 5, 0, 0], [0, 4, 4, 0, 0, 0, 0, 0]])
        by_largest = torch.tensor([[9.0, 0, 0, 0, 5, 5, 0, 0]])
        run("GroupTopk", {**TOPK, "groupMultiFlag": 0}, by_largest, int32(1024))
        self.assertEqual(by_largest.tolist(), [[9, 0, 0, 0, 0, 0, 0, 0]])


class Refused(unittest.TestCase):
    def refused(self, pattern, call, *args, **kwargs):
        with self.subTest(pattern), self.assertRaisesRegex(StubError, pattern):
            call(*args, **kwargs)

    def test_names_keys_and_enum_strings(self):
        make = StubOperation
        self.refused("no operation RMSNorm", make, "RMSNorm", NORM)
        self.refused("Linear reads no key transpose_b", make, "Linear", {"transpose_b": True})
        self.refused("reads no key eps", make, "RmsNorm", {**NORM, "normParam": {"eps": 1e-5}})
        self.refused("unknown enum string", make, "Activation", {"activationType": "ACTIVATION_SILU"})
        self.refused("unknown enum string", make, "SelfAttention", {**ENCODER, "maskType": "MASK_TYPE_SLIDING_WINDOW_NORM"})
        self.refused("unknown enum string", make, "PagedAttention", {**PAGED, "maskType": "UNDEFINED"})
        self.refused("hasBias must be bool", make, "Linear", {"hasBias": 1})
        self.refused("qkScale must be a number", make, "PagedAttention", {**PAGED, "qkScale": "0.25"})
        self.refused("heads, 3 of keys", make, "PagedAttention", {**PAGED, "headNum": 4, "kvHeadNum": 3})
        self.refused("with 2 heads of keys", make, "PagedAttention", {**LATENT, "kvHeadNum": 2})
        self.refused("with ALiBi", make, "PagedAttention", {**LATENT, "maskType": "MASK_TYPE_ALIBI"})
        self.refused("a mask of its own", make, "PagedAttention", {**SPEC, "mlaVHeadSize": 12})
        self.refused("epsilon must be positive", make, "LayerNorm", {**LAYER_NORM, "normParam": {"epsilon": 0}})

    def test_counts(self):
        graph = mindie.GraphOperation("layer")
        graph.add_input_output(["x", "w", "b"], ["y"])
        for inputs, outputs in [(["x"], ["y"]), (["x", "w", "b"], ["y"]), (["x", "w"], ["y", "z"])]:
            operation = mindie.BaseOperation("Linear", json.dumps(LINEAR), "linear")
            self.refused("reads 2|writes 1", graph.add_operation, operation, inputs, outputs)
        # Linear's parser takes a bias for granted.
        without = mindie.BaseOperation("Linear", json.dumps({"transposeB": True}), "linear")
        self.refused("reads 3", graph.add_operation, without, ["x", "w"], ["y"])
        spec = mindie.BaseOperation("PagedAttention", json.dumps(SPEC), "attention")
        self.refused("reads 7", graph.add_operation, spec, ["x"] * 6, ["y"])
        operation = torch_atb.Operation(torch_atb.LinearParam(transpose_b=True, has_bias=False))
        self.refused("3 tensors for 2 inputs", operation.forward, [f16(3, 8), f16(5, 8), f16(5)])

    def test_dtypes(self):
        self.refused("dtypes differ", run, "Linear", LINEAR, f16(3, 8), bf16(5, 8))
        self.refused("floats expected", run, "Linear", LINEAR, int8(3, 8), int8(5, 8))
        self.refused("dtypes differ", run, "RmsNorm", NORM, bf16(3, 16), f16(16))
        self.refused("dtypes differ", run, "LayerNorm", LAYER_NORM, f16(3, 8), f16(8), bf16(8))
        self.refused("dtypes differ", run, "Elewise", {"elewiseType": "ELEWISE_ADD"}, f16(3, 8), bf16(8))
        self.refused("RELU has no float16", run, "Activation", {"activationType": "ACTIVATION_RELU"}, f16(3, 8))
        self.refused("floats expected", run, "Split", {"splitDim": 1, "splitNum": 2}, int32(3, 8))
        self.refused("must be int32", run, "SelfAttention", ENCODER, *packed(lengths=int32(1).long()))
        self.refused("must be int32", run, "PagedAttention", PAGED, *cached(tables=int32(2, 1).long()))
        self.refused("indices must be integers", run, "Gather", {"axis": 0}, f16(8, 2), f16(3))
        w8a16 = {"transposeB": True, "hasBias": True}
        scales = bf16(5, 1)
        self.refused("bias", run, "W8A16MatMul", w8a16, bf16(3, 8), int8(5, 8), scales, scales, bf16(5))

    def test_shapes(self):
        self.refused("times", run, "Linear", LINEAR, f16(3, 8), f16(5, 4))
        self.refused("RmsNorm", run, "RmsNorm", NORM, f16(3, 16), f16(4))
        self.refused("RmsNorm", run, "RmsNorm", NORM, f16(3, 24), f16(24))
        self.refused("values of 24 in keys of 16", run, "PagedAttention", {**LATENT, "mlaVHeadSize": 24}, *latent())
        spec = {**LATENT, "maskType": "MASK_TYPE_SPEC", "calcType": "CALC_TYPE_SPEC"}
        masked = several_latent()
        masked[4] = f16(4, 4)
        self.refused("for 3 tokens", run, "PagedAttention", spec, *masked)
        self.refused("indices", run, "GroupTopk", TOPK, f16(3, 8), int32(8))
        self.refused("MoeInitRouting", run, "MoeInitRouting", {"topkNum": 2, "expertNum": 3}, f16(3, 8), int32(3, 1))
        self.refused("batches", run, "Linear", LINEAR, f16(3, 4, 8), f16(2, 5, 8))
        self.refused("beginNormAxis 1", run, "LayerNorm", LAYER_NORM, f16(3, 2, 8), f16(8), f16(8))
        self.refused("LayerNorm", run, "LayerNorm", LAYER_NORM, f16(3, 8), f16(8), f16(1))
        self.refused("do not broadcast", run, "Elewise", {"elewiseType": "ELEWISE_ADD"}, f16(3, 8), f16(4))
        self.refused("into 3", run, "Split", {"splitDim": 1, "splitNum": 3}, f16(3, 8))
        self.refused("into", run, "Split", {"splitDim": -1, "splitNum": 2, "splitSizes": [4, 4]}, f16(3, 8))
        self.refused("dim must be -1", run, "Activation", {"activationType": "ACTIVATION_SWIGLU_FORWARD", "dim": 1}, f16(3, 8))
        self.refused("rotaryCoeff 8", run, "Rope", {"rotaryCoeff": 8}, *turned())
        self.refused("Rope", run, "Rope", {"rotaryCoeff": 2}, *turned(width=8))
        self.refused("Rope", run, "Rope", {"rotaryCoeff": 2}, *turned(cos=f16(2, 16)))
        self.refused("SelfAttention", run, "SelfAttention", ENCODER, *packed(q=f16(3, 4, 16)))
        self.refused("lengths", run, "SelfAttention", ENCODER, *packed(lengths=int32(1) + 2))
        blocks = f16(4, 24, 1, 16)
        self.refused("PagedAttention", run, "PagedAttention", PAGED, *cached(k=blocks, v=blocks))
        blocks = f16(4, 144, 1, 16)
        spec = [*cached(k=blocks, v=blocks), f16(16, 16), int32(2) + 1]
        self.refused("PagedAttention", run, "PagedAttention", SPEC, *spec)

    def test_the_host(self):
        self.refused("needs input 3 on the host", run, "SelfAttention", ENCODER, *packed(), on_host=False)
        self.refused("needs input 4 on the host", run, "PagedAttention", PAGED, *cached(), on_host=False)
        self.refused("needs input 3 on the host", run, "PagedAttention", LATENT, *latent(), on_host=False)

    def test_graphs(self):
        self.refused("no name of a graph", mindie.GraphOperation, "layer 0")
        graph = mindie.GraphOperation("layer")
        graph.add_input_output(["x", "w"], ["y"])
        inner = mindie.BaseOperation("Linear", json.dumps(LINEAR), "linear")
        graph.add_operation(inner, ["h", "w"], ["y"])
        self.refused("h is read before it is written", graph.build)
        self.refused("one place", graph.add_operation, inner, ["x", "w"], ["y"])
        wide = mindie.GraphOperation("wide")
        wide.add_input_output([f"x{i}" for i in range(257)], [])
        self.refused("257 tensors", wide.build)
        outer = mindie.GraphOperation("outer")
        outer.execute_as_single = False
        outer.add_input_output(["x"], ["a", "b", "c"])
        split = mindie.BaseOperation("Split", json.dumps({"splitDim": 1, "splitNum": 3}), "split")
        outer.add_operation(split, ["x"], ["a", "b", "c"])
        self.refused("more outputs than inputs", outer.build)

    def test_experts_that_others_chose(self):
        scores = torch.tensor([[0.5, 0.31, 0.3, 0.1], [0.1, 0.2, 0.6, 0.3]])
        own = torch.tensor([[0, 1], [2, 3]])
        # Two layers, of which each chooses for two tokens.
        choices = Choices([[[0, 2], [3, 2]], [[1, 0], [2, 3]]])
        self.assertEqual(choices.of(scores, own).tolist(), [[0, 2], [3, 2]])
        self.assertEqual(choices.of(scores, own).tolist(), [[1, 0], [2, 3]])
        self.refused("an expert lacks 0.1", Choices([[[0, 1], [2, 1]]]).of, scores, own)

    def test_keywords_and_enum_objects_of_torch_atb(self):
        self.refused("no keyword epsilon", torch_atb.RmsNormParam, epsilon=1e-5)
        self.refused("must be ActivationType", torch_atb.ActivationParam, activation_type="ACTIVATION_RELU")
        other = torch_atb.PagedAttentionParam.MaskType.MASK_TYPE_NORM
        self.refused("must be MaskType", torch_atb.SelfAttentionParam, mask_type=other)
        self.assertFalse(hasattr(torch_atb, "W8A16MatMulParam"))


if __name__ == "__main__":
    unittest.main()
