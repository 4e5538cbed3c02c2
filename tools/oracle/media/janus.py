# SPDX-License-Identifier: Apache-2.0
"""Janus, and DeepSeek-VL with one encoder: pictures in the middle of squares."""

from transformers.models.deepseek_vl.image_processing_pil_deepseek_vl import DeepseekVLImageProcessorPil
from transformers.models.janus.image_processing_pil_janus import JanusImageProcessorPil

from media.base import END, IMAGE, SQUARES, START, TEXT, SquarePrompt, each, patches_in, side_of


class BetweenPrompt(SquarePrompt):
    """Each picture stands between two tokens."""

    def place(self, part, token, count):
        self.begin(part)
        self.add([START] + [token] * count + [END])


def prompts_of(kind, processor_class):
    def prompts(case, out):
        processor = processor_class(size={"height": side_of(case), "width": side_of(case)}, **case["fitted"])
        processor.save_pretrained(out)
        return each(kind, SQUARES, processor, patches_in(case["config"]["vision_config"]))
    return prompts


HALVES = dict(image_mean=[0.5] * 3, image_std=[0.5] * 3)
LLAMA = TEXT | dict(model_type="llama", num_hidden_layers=2, rope_theta=10000.0)

CASES = {}
CASES["janus"] = dict(
    config=dict(text_config=LLAMA, image_token_id=IMAGE,
                vision_config=dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, image_size=56,
                                   patch_size=14, mlp_ratio=1.5, projection_dim=64, num_image_tokens=16),
                vq_config=dict(base_channels=32, channel_multiplier=[1], num_res_blocks=1, latent_channels=32,
                               num_embeddings=8, embed_dim=4, projection_dim=8, image_token_embed_dim=8)),
    prompts=prompts_of(BetweenPrompt, JanusImageProcessorPil), fitted=HALVES, seed=1)
# No biases of queries, keys and values; narrow pictures are made wider; the head is not the embedding.
CASES["janus-plain"] = CASES["janus"] | dict(
    config=CASES["janus"]["config"] | dict(
        tie_word_embeddings=False,
        vision_config=CASES["janus"]["config"]["vision_config"] | dict(
            attention_bias=False, hidden_act="gelu_pytorch_tanh", mlp_ratio=2, image_size=60)),
    fitted=dict(min_size=25), seed=1)
CASES["deepseek_vl"] = dict(
    config=dict(text_config=LLAMA, image_token_id=IMAGE,
                vision_config=dict(model_type="siglip_vision_model", hidden_size=64, intermediate_size=96,
                                   num_hidden_layers=2, num_attention_heads=4, image_size=56, patch_size=14,
                                   hidden_act="gelu", vision_use_head=False)),
    prompts=prompts_of(SquarePrompt, DeepseekVLImageProcessorPil), fitted=HALVES, seed=1)
# The encoder has a head, which nothing reads; text of another kind.
CASES["deepseek_vl-qwen2"] = CASES["deepseek_vl"] | dict(
    config=CASES["deepseek_vl"]["config"] | dict(
        tie_word_embeddings=False, text_config=LLAMA | dict(model_type="qwen2"),
        vision_config=CASES["deepseek_vl"]["config"]["vision_config"] | dict(
            vision_use_head=True, hidden_act="gelu_pytorch_tanh", image_size=60)),
    fitted=dict(min_size=25), seed=2)
