# SPDX-License-Identifier: Apache-2.0
"""Models with Pixtral's tower, which sees pictures of any size: LLaVA, Mistral 3, LightOnOCR. A case has `pixels`, the
longest side of a picture, and `block`, patches along a block that becomes a token."""

import torch
from transformers.models.pixtral.image_processing_pil_pixtral import PixtralImageProcessorPil

from media.base import END, IMAGE, SQUARES, START, TEXT, Prompt, each, image


class RowPrompt(Prompt):
    def __init__(self, parts, number, processor, unit):
        self.processor, self.unit, self.pixels, self.sizes = processor, unit, [], []
        super().__init__(parts, number)

    def show(self, *part):
        _, width, height, seed = part
        out = self.processor(images=[image(width, height, seed)], return_tensors="pt")
        self.pixels.append(out["pixel_values"][0])
        self.sizes.append([int(side) for side in out["image_sizes"][0]])
        self.begin(part)
        rows, columns = (side // self.unit for side in self.sizes[-1])
        for row in range(rows):
            self.add([IMAGE] * columns + [START if row + 1 < rows else END])

    def inputs(self, more=()):
        if not self.pixels:
            return self.texts(more)
        most = [max(sides) for sides in zip(*self.sizes)]
        padded = [torch.nn.functional.pad(pixels, (0, most[1] - width, 0, most[0] - height))
                  for pixels, (height, width) in zip(self.pixels, self.sizes)]
        return self.texts(more) | dict(pixel_values=torch.stack(padded), image_sizes=torch.tensor(self.sizes))

    def encoded(self, model):
        """Of all tokens of pictures, words included."""
        inputs = self.inputs()
        ids = inputs["input_ids"][0]
        rows = model.get_input_embeddings()(ids)
        seen = model.model.get_image_features(inputs["pixel_values"], image_sizes=inputs["image_sizes"]).pooler_output
        rows[ids == IMAGE] = torch.cat(list(seen))
        return rows[(ids == IMAGE) | (ids == START) | (ids == END)].float()


class BlockPrompt(RowPrompt):
    """The same without words."""

    def add(self, ids):
        super().add([token for token in ids if token not in (START, END)])

    def encoded(self, model):
        inputs = self.inputs()
        return torch.cat(list(model.model.get_image_features(inputs["pixel_values"],
                                                             image_sizes=inputs["image_sizes"]).pooler_output)).float()


def prompts(case, out, kind=RowPrompt):
    unit = case["config"]["vision_config"]["patch_size"] * case["block"]
    processor = PixtralImageProcessorPil(size={"longest_edge": case["pixels"]},
                                         patch_size={"height": unit, "width": unit})
    processor.save_pretrained(out)
    return each(kind, SQUARES, processor, unit)


def block_prompts(case, out):
    return prompts(case, out, BlockPrompt)


CASES = {}
# Rows of pictures of any size, behind which words stand; each patch is a token.
CASES["llava-pixtral"] = dict(
    config=dict(text_config=TEXT | dict(model_type="mistral", head_dim=16, sliding_window=None),
                image_token_index=IMAGE,
                vision_feature_layer=-1, vision_feature_select_strategy="full",
                vision_config=dict(model_type="pixtral", hidden_size=64, intermediate_size=96, num_hidden_layers=2,
                                   num_attention_heads=4, patch_size=14, hidden_act="silu")),
    prompts=prompts, pixels=112, block=1, seed=1)
# Blocks of 28 pixels, behind whose rows words stand.
CASES["mistral3"] = dict(
    config=dict(text_config=TEXT | dict(model_type="mistral", head_dim=16, sliding_window=None),
                image_token_index=IMAGE,
                tie_word_embeddings=False,
                vision_config=dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                                   patch_size=14, hidden_act="silu")),
    # With which no placeholder is generated.
    prompts=prompts, pixels=224, block=2, seed=6)
# The same without words, before text of Qwen 3.
CASES["lighton_ocr"] = dict(
    config=dict(text_config=TEXT | dict(model_type="qwen3", head_dim=16), image_token_id=IMAGE,
                vision_config=CASES["mistral3"]["config"]["vision_config"] | dict(model_type="pixtral")),
    prompts=block_prompts, pixels=224, block=2, seed=1)
# Blocks of nine patches, a head of its own.
CASES["lighton_ocr-thirds"] = CASES["lighton_ocr"] | dict(
    config=CASES["lighton_ocr"]["config"] | dict(tie_word_embeddings=False, spatial_merge_size=3,
                                                 vision_config=CASES["lighton_ocr"]["config"]["vision_config"] | dict(
        patch_size=8, num_attention_heads=2)), block=3, seed=1)
# Text whose attention is latent and whose MLPs are experts; queries grow within a picture.
CASES["mistral3-mistral4"] = dict(
    config=CASES["mistral3"]["config"] | dict(
        text_config=TEXT | dict(model_type="mistral4", num_key_value_heads=4, q_lora_rank=48, kv_lora_rank=32,
                                qk_nope_head_dim=16, qk_rope_head_dim=16, v_head_dim=16, n_routed_experts=6,
                                num_experts_per_tok=2, first_k_dense_replace=2, moe_intermediate_size=24,
                                max_position_embeddings=1024,
                                rope_parameters=dict(rope_type="yarn", rope_theta=10000.0, factor=16.0, mscale=1.0,
                                                     original_max_position_embeddings=64, mscale_all_dim=1.0,
                                                     llama_4_scaling_beta=0.1))),
    # With which no choice of experts hangs on rounding.
    prompts=prompts, pixels=224, block=2, seed=3)
